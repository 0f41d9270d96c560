/** Where on one machine the files of a sink lie: in its directory, or in the one that stands for its bucket. */
import { join } from "node:path";
import type { Sink } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import { bindingOf, type Bindings } from "../bindings.ts";
import type { S3Settings } from "../s3/s3.ts";
import type { Format } from "../formats/format.ts";
import type { FileSinkSettings } from "./file-sink.ts";
import type { FormattedSink } from "./formatted-sink.ts";
import type { PartNaming } from "./part-name.ts";

export interface FilePlace extends PartNaming {
  /** As it was bound or declared: it may be relative. */
  readonly directory: string;
  readonly assemble: Format<any>["assemble"];
}

/** Undefined for a sink that writes no files. Throws `invalid` for one that is bound to several directories. */
export function filePlaceOf(operator: string, sink: Sink<any, any>, bindings: Bindings): FilePlace | undefined {
  if (sink.kind !== "files" && sink.kind !== "s3") return undefined;
  const bound = bindingOf(bindings, operator, sink.name);
  if (bound !== undefined && bound.length > 1)
    throw new MillraceError("invalid", `a sink is bound to one directory: ${bound.join(", ")}`);
  const { assemble } = (sink as FormattedSink<any>).format;
  if (sink.kind === "s3") {
    const { bucket, prefix, extension } = sink.options as unknown as S3Settings;
    return { directory: join(bound?.[0] ?? bucket, prefix), prefix: "", extension, assemble };
  }
  const { path, prefix, extension } = sink.options as unknown as FileSinkSettings;
  return { directory: bound?.[0] ?? path, prefix, extension, assemble };
}
