import type { Sink } from "../../api/connector.ts";
import type { Format } from "../formats/format.ts";

/** The declaration of a sink of files or objects with its format, of which the runtime half needs to know how whole files are made. */
export interface FormattedSink<in T> extends Sink<T> {
  readonly format: Format<any>;
}
