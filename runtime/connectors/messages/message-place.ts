/** What stands on one machine for a queue, a stream or a table: a directory of files, or the console. */
import type { Sink } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import { bindingOf, type Bindings } from "../bindings.ts";

/** The directory, as it was bound or the sink's own name; "-": the console. Throws `invalid` for a sink that is bound to several. */
export function messagePlaceOf(operator: string, sink: Sink<any, any>, bindings: Bindings): string {
  const bound = bindingOf(bindings, operator, sink.name);
  if (bound !== undefined && bound.length > 1)
    throw new MillraceError("invalid", `a sink is bound to one directory: ${bound.join(", ")}`);
  return bound?.[0] ?? sink.name;
}
