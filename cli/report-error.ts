/** Tells the user what went wrong, in one line that says what to do. A stack is for our own mistakes, and only when asked for. */
import { type ErrorKind, MillraceError, messageOf } from "../runtime/base/errors.ts";

/** Exit codes: what a shell sees. Told in docs/commands.md. */
export const exitCodes = {
  done: 0,
  /** It could not be done: the message says why. */
  failed: 1,
  /** Wrong arguments. */
  usage: 2,
  /** Of `check`: the code would refuse the state, or take values for what they are not. */
  doesNotFit: 3,
  /** The order stands and what it asks for has not come about yet. */
  notYet: 4,
  /** Something outside does not answer: the same again may do. */
  unavailable: 5,
  /** Ctrl-C twice. */
  interrupted: 130,
} as const;

const engine = new URL("../runtime/", import.meta.url).href;

/** Wrong arguments: the message says which, the usage how it is done. */
export class UsageError extends Error {}

/** Prints `error: …`, or with `json` an object of it, with the name of the order whose answer was lost, and gives the exit code. */
export function reportError(error: unknown, print: (line: string) => void = (line) => console.error(line), json = false): number {
  const usage = error instanceof UsageError || isArgumentError(error);
  const kind: ErrorKind | "usage" = usage ? "usage" : error instanceof MillraceError ? error.kind : "internal";
  const { order } = error instanceof MillraceError ? error.context : {};
  if (json) print(JSON.stringify({ error: { kind, message: messageOf(error), order } }));
  else print(`error: ${messageOf(error)}`);
  if (!json && usage) print("see --help");
  else if (!json && kind === "user") printPlace((error as MillraceError).cause, print);
  else if (!json && kind === "internal") print("this should not happen; MILLRACE_DEBUG=1 shows where");
  if (process.env.MILLRACE_DEBUG && error instanceof Error) print(String(error.stack));
  if (usage) return exitCodes.usage;
  return kind === "unavailable" ? exitCodes.unavailable : exitCodes.failed;
}

/** Where the author's code threw: the innermost frame outside Node and the engine. */
function printPlace(cause: unknown, print: (line: string) => void): void {
  const frames = cause instanceof Error ? (cause.stack ?? "").split("\n").filter((line) => /^ +at /.test(line)) : [];
  const place = frames.find((line) => !line.includes("node:") && !line.includes(engine) && !line.includes("/node_modules/"));
  if (place !== undefined) print(place.trim());
}

/** Of `parseArgs` in node:util. */
function isArgumentError(error: unknown): boolean {
  return String((error as { code?: unknown } | undefined)?.code).startsWith("ERR_PARSE_ARGS");
}
