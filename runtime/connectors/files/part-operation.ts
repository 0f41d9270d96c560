/**
 * What a file sink's commits ask of the file system: the payloads, as a line of JSON and, after it, bytes.
 *
 * Each may be carried out again at any time, in any order, and by someone who has long been replaced: the bytes at an offset of
 * a part are always the same, and a finished file is never touched.
 */
import { MillraceError } from "../../base/errors.ts";
import * as is from "../../base/shape.ts";

export interface WriteOperation {
  readonly op: "write";
  /** Of partitioned sinks: the folders that the file lies in (partition.ts). */
  readonly folder?: string;
  /** The open part's name. */
  readonly part: string;
  /** The finished file's name. */
  readonly file: string;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface PublishOperation {
  readonly op: "publish";
  readonly folder?: string;
  readonly part: string;
  readonly file: string;
  readonly length: number;
  /** Of all that was written; of a format that is assembled, not of the file that is made of it. */
  readonly crc32: number;
  /** What no operation before wrote: the file's bytes from `offset` to its end. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export type PartOperation = WriteOperation | PublishOperation;

/** What stands in a file that is made of a publication's rows, and in no other. */
export function stampOf({ length, crc32 }: Pick<PublishOperation, "length" | "crc32">): string {
  return `millrace-rows:${length}:${crc32}`;
}

const lineFeed = 0x0a;

export function encodePartOperation(operation: PartOperation): Uint8Array {
  const { bytes, ...head } = operation;
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), bytes]);
}

const written = { folder: is.optional(is.text), part: is.text, file: is.text, offset: is.count };
const headShape = is.tagged("op", {
  write: is.object(written),
  publish: is.object({ ...written, length: is.count, crc32: is.count }),
});

/** Throws `corrupt` for a payload that is not one. */
export function decodePartOperation(payload: Uint8Array): PartOperation {
  const lineEnd = payload.indexOf(lineFeed);
  const head = lineEnd < 0 ? undefined : parse(Buffer.from(payload.subarray(0, lineEnd)).toString("utf8"));
  if (head !== undefined && headShape(head) === undefined)
    return { ...head, bytes: payload.subarray(lineEnd + 1) } as PartOperation;
  throw new MillraceError("corrupt", `not a payload of a file sink: ${Buffer.from(payload.subarray(0, 80)).toString("latin1")}`);
}

function parse(text: string): Partial<PartOperation> | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
