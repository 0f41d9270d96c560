/** Files as a sink, exactly once: the declaration. Its pure half is part-writer.ts, its runtime half writer.ts. */
import type { Sink } from "../../api/connector.ts";
import type { Duration } from "../../api/duration.ts";
import { MillraceError } from "../../base/errors.ts";
import { type Format, formatOptions } from "../formats/format.ts";
import type { PartNaming } from "./part-name.ts";
import type { FormattedSink } from "./formatted-sink.ts";
import { checkPartOptions, defaultOpenPartsMax, defaultRollBytesOf, PartWriter } from "./part-writer.ts";
import { describePartitionBy, folderOf, type PartitionBy } from "./partition.ts";

export interface FileSinkOptions<T> {
  /** The directory of the files; its own, or shared with sinks of other prefixes. */
  readonly path: string;
  readonly format: Format<T>;
  /** What the files' names begin with; default nothing. */
  readonly prefix?: string;
  /** Files of rows that have something in common lie in a folder that says so; default: none. */
  readonly partitionBy?: PartitionBy<T>;
  /** With `partitionBy`: of so many folders files are open side by side, at most; default 32. */
  readonly openPartitions?: number;
  /** A file is finished before it grows beyond this; default 128 MiB; of Parquet 16 MiB of rows as they are kept until then. */
  readonly rollBytes?: number;
  /** A file is finished by the first commit this long after it was begun, in processing time; default 1 minute. */
  readonly rollAfter?: Duration;
}

/** What a file writer must know of a file sink: its `options`. */
export interface FileSinkSettings extends PartNaming {
  readonly path: string;
}

const defaultRollBytes = 128 << 20;
const defaultRollAfterMs = 60_000;

/**
 * Files that appear whole, by size, by age and at every checkpoint, and never change. Exactly once, also across a restore: files
 * published beyond the restored checkpoint are moved to `.quarantine/`. Throws `invalid` for a format that cannot be written.
 */
export function fileSink<T>(options: FileSinkOptions<T>): Sink<T> {
  const { path, format, prefix = "", rollAfter = defaultRollAfterMs, partitionBy } = options;
  const { rollBytes = defaultRollBytesOf(format, defaultRollBytes) } = options;
  const openPartsMax = options.openPartitions ?? defaultOpenPartsMax;
  checkPartOptions({ format, rollBytes, openPartsMax }, "a file sink");
  const folders = folderOf(partitionBy);
  // "g1" in a prefix could be taken for the generation.
  if (!/^[\w-]*$/.test(prefix) || /g\d/.test(prefix)) {
    const message = `a file sink's prefix is of letters, digits, "_" and "-", with no digit after a "g"`;
    throw new MillraceError("invalid", `${message}: ${JSON.stringify(prefix)}`);
  }
  const naming = { prefix, extension: format.extension };
  const partitioned =
    partitionBy === undefined ? {} : { partitionBy: describePartitionBy(partitionBy), openPartitions: openPartsMax };
  const sink: FormattedSink<T> = {
    kind: "files",
    name: path,
    guarantee: "exactlyOnce",
    options: { path, ...naming, rollBytes, rollAfterMs: rollAfter, ...partitioned, format: formatOptions(format) },
    format,
    createWriter: (context) =>
      new PartWriter({ format, naming, rollBytes, rollAfterMs: rollAfter, folderOf: folders, openPartsMax }, context),
  };
  return sink;
}
