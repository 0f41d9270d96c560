/**
 * What stands in for outside resources on one machine: logical names (or operator uids) to paths.
 */
import { MillraceError } from "../base/errors.ts";

/** Logical name of a source or sink, or its uid, to the paths that stand in for it. */
export type Bindings = ReadonlyMap<string, readonly string[]>;

/** From arguments of the form `name=path`; a name that stands several times has several paths. Throws `invalid`. */
export function parseBindings(args: readonly string[]): Bindings {
  const bindings = new Map<string, string[]>();
  for (const arg of args) {
    const at = arg.indexOf("=");
    if (at < 1 || at === arg.length - 1) throw new MillraceError("invalid", `a binding is written name=path: ${arg}`);
    const name = arg.slice(0, at);
    bindings.set(name, [...(bindings.get(name) ?? []), arg.slice(at + 1)]);
  }
  return bindings;
}

/** What a connector is bound to: by its uid, else by its logical name. */
export function bindingOf(bindings: Bindings, uid: string, name: string): readonly string[] | undefined {
  return bindings.get(uid) ?? bindings.get(name);
}

/** Refuses bindings of names that the job does not have: each would otherwise be passed over in silence. Throws `invalid`. */
export function checkBindings(bindings: Bindings, connectors: readonly { readonly uid: string; readonly name: string }[]): void {
  for (const name of bindings.keys()) {
    if (connectors.some((connector) => connector.uid === name || connector.name === name)) continue;
    const known = connectors.map((connector) => connector.uid).join(", ");
    throw new MillraceError("invalid", `nothing in the job is called so; there are: ${known}: ${name}`);
  }
}
