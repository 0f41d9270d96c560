/** Files as a source: bounded, one shard per file. What reads them is reader.ts. */
import type { Source } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import { type Format, formatOptions, recordDecoder } from "../formats/format.ts";

export interface FilesOptions<T> {
  /** Files, not patterns, relative to where the job runs; "-" is standard input. Each is a shard, named by its path. */
  readonly paths: string | readonly string[];
  /** `ndjson()`, `csv()`, `accessLog()`, … */
  readonly format: Format<T>;
  /** "auto": files that begin as gzip does are decompressed. */
  readonly compression?: "auto" | "none";
  /** A longer line goes to the dead letters, with this much of its beginning; default 1 MiB. */
  readonly maxRecordBytes?: number;
}

export const defaultMaxRecordBytes = 1 << 20;

/**
 * The records of files, in their order, from beginning to end. The arrival time of a record is the file's modification time.
 * Files must be complete: what is appended while the job runs may be read or not.
 */
export function files<T>(options: FilesOptions<T>): Source<T> {
  const { compression = "auto", maxRecordBytes = defaultMaxRecordBytes, format } = options;
  const paths = typeof options.paths === "string" ? [options.paths] : options.paths;
  const repeated = paths.find((path, i) => paths.indexOf(path) !== i);
  if (paths.length === 0) throw new MillraceError("invalid", "files() needs at least one path");
  if (repeated !== undefined) throw new MillraceError("invalid", `files() names a path twice: ${repeated}`);
  if (!(maxRecordBytes >= 1)) throw new MillraceError("invalid", `maxRecordBytes is a positive number: ${maxRecordBytes}`);
  return {
    kind: "files",
    name: paths.join(","),
    bounded: !paths.includes("-"),
    options: { paths, compression, maxRecordBytes, format: formatOptions(format) },
    decode: recordDecoder(format),
  };
}
