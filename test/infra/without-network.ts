/**
 * A preload (`node --import`) for processes that must do without a network: whatever would reach another machine, or ask for a name, fails
 * as it does on a machine that has none, and is noted in the file that MILLRACE_ATTEMPTS names, so that an attempt which is caught, or made
 * by a child, is seen too. Children have it by NODE_OPTIONS.
 */
import dgram from "node:dgram";
import dns from "node:dns";
import { appendFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";

/** A line of the file: the program, what it tried, and with whom. */
function attempt(what: string, target: unknown): Error {
  const whom = typeof target === "object" ? JSON.stringify(target) : String(target);
  appendFileSync(process.env.MILLRACE_ATTEMPTS!, `${process.argv[1] ?? process.execPath}\t${what}\t${whom}\n`);
  return Object.assign(new Error(`there is no network here: ${what} ${whom}`), { code: "ENETUNREACH" });
}

type Anything = (...args: any[]) => any;

function replace(owner: object, name: string, by: (own: Anything) => Anything): void {
  const functions = owner as Record<string, Anything>;
  functions[name] = by(functions[name]!);
}

replace(net.Socket.prototype, "connect", (own) => {
  return function (this: net.Socket, ...args: any[]) {
    // As net's own callers have it: the options may come in a list of arguments.
    const [first] = Array.isArray(args[0]) ? args[0] : args;
    const local = typeof first === "object" ? first?.path : typeof first === "string" && !/^\d+$/.test(first) ? first : undefined;
    if (local !== undefined && first?.port === undefined) return own.apply(this, args);
    const { host, port } = typeof first === "object" ? first : { host: args[1], port: first };
    const error = attempt("connect", `${host ?? "localhost"}:${port}`);
    process.nextTick(() => this.destroy(error));
    return this;
  };
});

for (const name of ["connect", "send"])
  replace(dgram.Socket.prototype, name, () => (...args: readonly unknown[]) => {
    throw attempt(
      `udp ${name}`,
      args.findLast((arg) => typeof arg === "string"),
    );
  });

const asks = (name: string) => /^(lookup|lookupService|resolve\w*|reverse)$/.test(name);
for (const owner of [dns, dns.Resolver.prototype])
  for (const name of Object.getOwnPropertyNames(owner).filter(asks))
    replace(owner, name, () => (host: unknown, ...rest: readonly unknown[]) => {
      const error = attempt(`dns ${name}`, host);
      process.nextTick(rest.at(-1) as (error: Error) => void, error);
    });
for (const owner of [dns.promises, dns.promises.Resolver.prototype])
  for (const name of Object.getOwnPropertyNames(owner).filter(asks))
    replace(owner, name, () => async (host: unknown) => {
      throw attempt(`dns ${name}`, host);
    });

syncBuiltinESMExports();
