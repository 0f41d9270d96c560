/**
 * Objects in S3 as a sink, exactly once: the declaration. Its pure half is files/part-writer.ts, its runtime half adapters/aws/s3-sink.ts;
 * on one machine a directory stands for the bucket.
 */
import type { Sink } from "../../api/connector.ts";
import type { Duration } from "../../api/duration.ts";
import { MillraceError } from "../../base/errors.ts";
import type { FormattedSink } from "../files/formatted-sink.ts";
import { checkPartOptions, defaultOpenPartsMax, defaultRollBytesOf, PartWriter } from "../files/part-writer.ts";
import { describePartitionBy, folderOf, type PartitionBy } from "../files/partition.ts";
import { type Format, formatOptions } from "../formats/format.ts";

export interface S3Options<T> {
  /** The bucket's logical name: a deployment binds it, else it is the bucket's own. */
  readonly bucket: string;
  /** What the keys begin with: nothing (default), or folders, as "late/views/". */
  readonly prefix?: string;
  /** `ndjson()`, `csv()`, `parquet()`, … */
  readonly format: Format<T>;
  /**
   * Objects of rows that have something in common lie in folders that say so, as Athena and Glue read them: "day" makes
   * `year=2026/month=11/day=21/` of a row's event time, in UTC; a function makes folders of its fields. Default: none.
   */
  readonly partitionBy?: PartitionBy<T>;
  /** With `partitionBy`: of so many folders objects are open side by side, at most; default 32. */
  readonly openPartitions?: number;
  /**
   * An object is finished before its rows grow beyond this, at most 512 MiB, since it is put together in memory; default 64 MiB. Rows of
   * Parquet are counted as they are kept until then, default 16 MiB: an object is made of them at once.
   */
  readonly rollBytes?: number;
  /** An object is finished by the first commit this long after it was begun, in processing time; default 1 minute. */
  readonly rollAfter?: Duration;
}

/** What the runtime half must know: an S3 sink's `options`. */
export interface S3Settings {
  readonly bucket: string;
  readonly prefix: string;
  readonly extension: string;
  /** What partitions follow from; none: all objects lie side by side. */
  readonly partitionBy?: string | undefined;
}

const defaultRollBytes = 64 << 20;
const rollBytesMax = 512 << 20;
const defaultRollAfterMs = 60_000;

/**
 * Objects that appear whole, by size, by age and at every checkpoint, and never change. Exactly once, also across a restore: objects
 * published beyond the restored checkpoint are moved to `.quarantine/` under the prefix, and left without rows under their names. Throws
 * `invalid` for options that cannot be.
 */
export function s3<T>(options: S3Options<T>): Sink<T> {
  const { bucket, prefix = "", format, rollAfter = defaultRollAfterMs, partitionBy } = options;
  const { rollBytes = defaultRollBytesOf(format, defaultRollBytes) } = options;
  const openPartsMax = options.openPartitions ?? defaultOpenPartsMax;
  checkPartOptions({ format, rollBytes, openPartsMax }, "an S3 sink");
  const folders = folderOf(partitionBy);
  if (bucket === "") throw new MillraceError("invalid", "an S3 sink needs the name of a bucket");
  if (rollBytes > rollBytesMax) throw new MillraceError("invalid", `rollBytes is at most ${rollBytesMax}: ${rollBytes}`);
  // A prefix that is no folder could begin the name of another sink's object.
  if (!/^(?:[^/]+\/)*$/.test(prefix) || /(?:^|\/)\./.test(prefix)) {
    const message = `an S3 sink's prefix is empty or folders that end with "/", none of which begins with "."`;
    throw new MillraceError("invalid", `${message}: ${JSON.stringify(prefix)}`);
  }
  const settings: S3Settings = {
    bucket,
    prefix,
    extension: format.extension,
    ...(partitionBy !== undefined && { partitionBy: describePartitionBy(partitionBy), openPartitions: openPartsMax }),
  };
  const naming = { prefix: "", extension: format.extension };
  const sink: FormattedSink<T> = {
    kind: "s3",
    name: bucket,
    guarantee: "exactlyOnce",
    options: { ...settings, rollBytes, rollAfterMs: rollAfter, format: formatOptions(format) },
    format,
    createWriter: (context) =>
      new PartWriter({ format, naming, rollBytes, rollAfterMs: rollAfter, folderOf: folders, openPartsMax }, context),
  };
  return sink;
}
