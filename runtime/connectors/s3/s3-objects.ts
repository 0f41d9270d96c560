/**
 * Objects of a bucket as a source, bounded: what is there when the job begins. The declaration; what reads it is
 * adapters/aws/s3-objects-reader.ts, on one machine it is bound to files.
 */
import type { Source } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import { defaultMaxRecordBytes } from "../files/files.ts";
import { type Format, formatOptions, recordDecoder } from "../formats/format.ts";

export interface S3ObjectsOptions<T> {
  /** The bucket's logical name: a deployment binds it, else it is the bucket's own. */
  readonly bucket: string;
  /** Objects whose key begins so; default: all. */
  readonly prefix?: string;
  /** `ndjson()`, `csv()`, `accessLog()`, …: of what an object's lines hold. */
  readonly format: Format<T>;
  /** "auto": objects that begin as gzip does are decompressed. */
  readonly compression?: "auto" | "none";
  /** A longer line goes to the dead letters, with this much of its beginning; default 1 MiB. */
  readonly maxRecordBytes?: number;
  /** Object number i, by key, is in shard i mod `shards`: so many are read side by side where sources have tasks; 1 (default) to 256. */
  readonly shards?: number;
}

/** What the reader must know: an S3 source's `options`. */
export interface S3ObjectsSettings {
  readonly bucket: string;
  readonly prefix: string;
  readonly compression: "auto" | "none";
  readonly maxRecordBytes: number;
  readonly shards: number;
}

const shardsMax = 256;

/**
 * The records of a bucket's objects: object after object in the order of their keys, each from beginning to end. Which objects these are is
 * settled when the job begins, and kept with its state: what is added later is not read, and one that changes or goes before it is read stops
 * the job. Passed over are empty objects and, as by Flink, those with "." or "_" before their name or that of a folder within the
 * prefix. A record's arrival time is its object's, its partition key the object's key. Throws `invalid` for options that cannot be.
 */
export function s3Objects<T>(options: S3ObjectsOptions<T>): Source<T> {
  const { bucket, prefix = "", format, compression = "auto", maxRecordBytes = defaultMaxRecordBytes, shards = 1 } = options;
  if (bucket === "") throw new MillraceError("invalid", "an S3 source needs the name of a bucket");
  if (!(maxRecordBytes >= 1)) throw new MillraceError("invalid", `maxRecordBytes is a positive number: ${maxRecordBytes}`);
  if (!(Number.isInteger(shards) && shards >= 1 && shards <= shardsMax))
    throw new MillraceError("invalid", `an S3 source's shards are a whole number from 1 to ${shardsMax}: ${shards}`);
  const settings: S3ObjectsSettings = { bucket, prefix, compression, maxRecordBytes, shards };
  return {
    kind: "s3Objects",
    name: bucket,
    bounded: true,
    options: { ...settings, format: formatOptions(format) },
    decode: recordDecoder(format),
  };
}
