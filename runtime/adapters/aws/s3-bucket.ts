/**
 * One bucket of S3: the calls that the state and the sinks make, with their units counted and their errors in our kinds.
 *
 * O1 With `ifAbsent` exactly one of several writers wins: `If-None-Match: *`, on the end of a multipart upload too.
 * O2 An upload that does not end is aborted; what a crash leaves is for the bucket's lifecycle rule for incomplete uploads.
 * O3 A write that had to be repeated after a lost response may meet its own object: it then compares the bytes.
 */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { MillraceError } from "../../base/errors.ts";
import type { ByteRange } from "../../ports/blobs.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { blobsPerListing } from "../limits.ts";
import { awsError, isNamed } from "./aws-error.ts";
import { backOff, type Pace } from "./back-off.ts";

/** Objects above it are uploaded in parts. */
const multipartFromBytes = 16 * 1024 * 1024;
const partBytes = 8 * 1024 * 1024;
const partsAtOnce = 4;
const namesPerDelete = 1000;

/** Plain text, by name in lower case. */
export type Metadata = Readonly<Record<string, string>>;

export interface PutOptions {
  readonly ifAbsent?: boolean;
  readonly metadata?: Metadata;
}
export interface ObjectInfo {
  readonly key: string;
  readonly sizeBytes: number;
  /** Epoch ms. */
  readonly writtenAt: number;
  /** Changes with the content. */
  readonly etag: string;
}
export interface ObjectHead {
  readonly sizeBytes: number;
  readonly metadata: Metadata;
}

type Target = { readonly Bucket: string; readonly Key: string };
type Absent = { readonly IfNoneMatch?: string };

export class S3Bucket {
  readonly name: string;
  readonly #client: S3Client;
  readonly #telemetry: Telemetry;
  readonly #pace: Pace;

  constructor(client: S3Client, name: string, telemetry: Telemetry, pace: Pace) {
    this.#client = client;
    this.name = name;
    this.#telemetry = telemetry;
    this.#pace = pace;
  }

  async put(key: string, bytes: Uint8Array, { ifAbsent, metadata }: PutOptions = {}): Promise<"put" | "exists"> {
    const absent: Absent = ifAbsent === true ? { IfNoneMatch: "*" } : {};
    const target = { ...this.#at(key), ...(metadata !== undefined && { Metadata: { ...metadata } }) };
    for (let attempt = 1; ; attempt++) {
      try {
        if (bytes.length > multipartFromBytes) await this.#putInParts(target, bytes, absent);
        else await this.#putWhole(target, bytes, absent);
        return "put";
      } catch (error) {
        if (isNamed(error, "PreconditionFailed")) return (await this.#isOwn(error, key, bytes)) ? "put" : "exists";
        // The answer to the upload's end was lost, and it was asked for again; or somebody has given the upload up.
        if (isNamed(error, "NoSuchUpload") && (await this.#isOwn(error, key, bytes))) return "put";
        // Another conditional write of the name is under way: it decides.
        if (!isNamed(error, "ConditionalRequestConflict") || !(await backOff(this.#pace, attempt))) {
          throw this.#error(error, "write", key);
        }
      }
    }
  }

  /** Undefined when there is no such object. */
  async get(key: string, range?: ByteRange): Promise<Uint8Array | undefined> {
    try {
      this.#telemetry.add("s3.get", 1);
      const header = range && headerOf(range);
      const answer = await this.#client.send(
        new GetObjectCommand({ ...this.#at(key), ...(header !== undefined && { Range: header }) }),
      );
      const bytes = (await answer.Body?.transformToByteArray()) ?? new Uint8Array();
      return range === undefined ? bytes : bytes.subarray(0, range.length);
    } catch (error) {
      if (isNamed(error, "NoSuchKey", "NotFound")) return undefined;
      // The object exists, and nothing of it lies in the range.
      if (isNamed(error, "InvalidRange")) return new Uint8Array();
      throw this.#error(error, "read", key);
    }
  }

  /** A range of the object as it was when it had this etag. */
  async getVersion(key: string, etag: string, range: ByteRange): Promise<Uint8Array | "absent" | "changed"> {
    try {
      this.#telemetry.add("s3.get", 1);
      const command = new GetObjectCommand({ ...this.#at(key), Range: headerOf(range), IfMatch: etag });
      const { Body, ETag } = await this.#client.send(command);
      const bytes = (await Body?.transformToByteArray()) ?? new Uint8Array();
      // Not every stand-in keeps to the condition.
      return ETag === etag ? bytes : "changed";
    } catch (error) {
      if (isNamed(error, "NoSuchKey", "NotFound")) return "absent";
      // A range behind the end of what is there now is none of the object as it was.
      if (isNamed(error, "PreconditionFailed", "412", "InvalidRange")) return "changed";
      throw this.#error(error, "read", key);
    }
  }

  /** Undefined when there is no such object. */
  async head(key: string): Promise<ObjectHead | undefined> {
    try {
      this.#telemetry.add("s3.get", 1);
      const { ContentLength, Metadata } = await this.#client.send(new HeadObjectCommand(this.#at(key)));
      return { sizeBytes: ContentLength ?? 0, metadata: Metadata ?? {} };
    } catch (error) {
      if (isNamed(error, "NoSuchKey", "NotFound")) return undefined;
      throw this.#error(error, "look", key);
    }
  }

  /** In order of key, those after `after`; at most 1,000 at once. */
  async list(prefix: string, after?: string): Promise<{ readonly objects: readonly ObjectInfo[]; readonly more: boolean }> {
    return pageOf(await this.#listOnce(prefix, after), after);
  }

  async #listOnce(prefix: string, after: string | undefined): Promise<ListObjectsV2CommandOutput> {
    const from = { Bucket: this.name, Prefix: prefix, MaxKeys: blobsPerListing };
    try {
      this.#telemetry.add("s3.list", 1);
      return await this.#client.send(new ListObjectsV2Command({ ...from, ...(after !== undefined && { StartAfter: after }) }));
    } catch (error) {
      throw this.#error(error, "list", prefix);
    }
  }

  /** All objects of the prefix, page by page. */
  async listAll(prefix: string): Promise<readonly ObjectInfo[]> {
    const all: ObjectInfo[] = [];
    for (let after: string | undefined; ;) {
      const { objects, more } = await this.list(prefix, after);
      all.push(...objects);
      after = objects.at(-1)?.key;
      if (!more || after === undefined) return all;
    }
  }

  /** Keys that do not exist are passed over. */
  async delete(keys: readonly string[]): Promise<void> {
    for (let from = 0; from < keys.length; from += namesPerDelete) {
      await this.#deleteSome(keys.slice(from, from + namesPerDelete));
    }
  }

  /** With its metadata; objects up to 5 GB. */
  async copy(from: string, to: string): Promise<void> {
    try {
      this.#telemetry.add("s3.put", 1);
      const CopySource = `${this.name}/${from.split("/").map(encodeURIComponent).join("/")}`;
      await this.#client.send(new CopyObjectCommand({ ...this.#at(to), CopySource }));
    } catch (error) {
      throw this.#error(error, "copy", from);
    }
  }

  /** Throws `invalid` when the bucket is not there or may not be used. */
  async check(): Promise<void> {
    try {
      await this.#client.send(new HeadBucketCommand({ Bucket: this.name }));
    } catch (error) {
      // An answer without a body: its name says no more than its status.
      if (isNamed(error, "NotFound")) throw awsError(Object.assign(new Error(), { name: "NoSuchBucket" }), `bucket ${this.name}`);
      throw awsError(error, `look at bucket ${this.name}`);
    }
  }

  /**
   * Throws `invalid` when nothing may be written under this key: for want of a permission, or of one on the key of encryption. Begins an
   * upload and gives it up, which leaves nothing behind.
   */
  async checkWrite(key: string): Promise<void> {
    const target = this.#at(key);
    try {
      this.#telemetry.add("s3.put", 1);
      const { UploadId } = await this.#client.send(new CreateMultipartUploadCommand(target));
      await this.#client.send(new AbortMultipartUploadCommand({ ...target, UploadId }));
    } catch (error) {
      // It was given up before, and the answer to that was lost.
      if (isNamed(error, "NoSuchUpload")) return;
      throw this.#error(error, "write", key);
    }
  }

  async #deleteSome(keys: readonly string[]): Promise<void> {
    try {
      this.#telemetry.add("s3.delete", 1);
      const Objects = keys.map((Key) => ({ Key }));
      const answer = await this.#client.send(new DeleteObjectsCommand({ Bucket: this.name, Delete: { Objects, Quiet: true } }));
      const [refused] = answer.Errors ?? [];
      if (refused !== undefined) throw Object.assign(new Error(refused.Message), { name: refused.Code });
    } catch (error) {
      throw this.#error(error, "delete", keys[0]!);
    }
  }

  async #putWhole(target: Target, bytes: Uint8Array, absent: Absent): Promise<void> {
    this.#telemetry.add("s3.put", 1);
    await this.#client.send(new PutObjectCommand({ ...target, Body: bytes, ...absent }));
  }

  async #putInParts(target: Target, bytes: Uint8Array, absent: Absent): Promise<void> {
    this.#telemetry.add("s3.put", 2 + Math.ceil(bytes.length / partBytes)); // begin, parts, end
    const { UploadId } = await this.#client.send(new CreateMultipartUploadCommand(target));
    const upload = { Bucket: target.Bucket, Key: target.Key, UploadId };
    try {
      const Parts = await this.#uploadParts(upload, bytes);
      await this.#client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts }, ...absent }));
    } catch (error) {
      // The error that led here says more than one of the abort would.
      await this.#client.send(new AbortMultipartUploadCommand(upload)).catch(() => undefined);
      throw error;
    }
  }

  async #uploadParts(upload: Target & { UploadId: string | undefined }, bytes: Uint8Array) {
    const parts: { PartNumber: number; ETag: string | undefined }[] = [];
    const count = Math.ceil(bytes.length / partBytes);
    for (let from = 0; from < count; from += partsAtOnce) {
      const numbers = Array.from({ length: Math.min(partsAtOnce, count - from) }, (_, n) => from + n + 1);
      const sent = await Promise.allSettled(
        numbers.map(async (PartNumber) => {
          const Body = bytes.subarray((PartNumber - 1) * partBytes, PartNumber * partBytes);
          const { ETag, ChecksumCRC32 } = await this.#client.send(new UploadPartCommand({ ...upload, PartNumber, Body }));
          return { PartNumber, ETag, ...(ChecksumCRC32 !== undefined && { ChecksumCRC32 }) };
        }),
      );
      // All have ended before any failure is passed on: nothing is left pending (L16).
      for (const part of sent) {
        if (part.status === "rejected") throw part.reason;
        parts.push(part.value);
      }
    }
    return parts;
  }

  /** After a lost response the object may be this write's own (O3). */
  async #isOwn(error: unknown, key: string, bytes: Uint8Array): Promise<boolean> {
    const { attempts } = (error as { $metadata?: { attempts?: number } }).$metadata ?? {};
    if (attempts === undefined || attempts < 2) return false;
    const stored = await this.get(key);
    return stored !== undefined && Buffer.compare(stored, bytes) === 0;
  }

  #at(key: string): Target {
    return { Bucket: this.name, Key: key };
  }

  #error(error: unknown, verb: string, key: string): MillraceError {
    return awsError(error, `${verb} of ${key} in bucket ${this.name}`);
  }
}

/** A range as S3 wants it; a range from the end begins at its first byte and is cut to its length by the reader. */
function headerOf({ offset, length }: ByteRange): string {
  if (offset < 0) return `bytes=${offset}`;
  return `bytes=${offset}-${offset + Math.max(1, length) - 1}`;
}

/**
 * What a listing's answer holds. Throws `unavailable` for one after which there is no going on: it says that there is more, and not from
 * where, or names an object without its key.
 */
export function pageOf(
  { Contents = [], IsTruncated }: Partial<Pick<ListObjectsV2CommandOutput, "Contents" | "IsTruncated">>,
  after: string | undefined,
): { readonly objects: readonly ObjectInfo[]; readonly more: boolean } {
  const objects = Contents.map(({ Key, Size, LastModified, ETag }) => {
    if (Key === undefined)
      throw new MillraceError("unavailable", "a listing names an object without its key: it is asked for again");
    return { key: Key, sizeBytes: Size ?? 0, writtenAt: LastModified?.getTime() ?? 0, etag: ETag ?? "" };
  });
  const more = IsTruncated === true;
  const last = objects.at(-1)?.key;
  if (more && (last === undefined || last === after))
    throw new MillraceError("unavailable", `a listing does not go on, and is asked for again: after ${after ?? "its beginning"}`);
  return { objects, more };
}
