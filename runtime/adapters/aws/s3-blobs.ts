/**
 * Objects in S3.
 *
 * O1 With `ifAbsent` exactly one of several writers wins: `If-None-Match: *`, on the end of a multipart upload too.
 * O2 An upload that does not end is aborted; what a crash leaves is for the bucket's lifecycle rule for incomplete uploads.
 * O3 A write that had to be repeated after a lost response may meet its own object: it then compares the bytes.
 */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { MillraceError } from "../../base/errors.ts";
import type { BlobName } from "../../base/ids.ts";
import type { BlobInfo, Blobs, ByteRange } from "../../ports/blobs.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { blobsPerListing } from "../limits.ts";
import { awsError, isNamed } from "./aws-error.ts";
import { backOff, type Pace } from "./back-off.ts";
import { blobOfKey, objectKey } from "./names.ts";

/** Objects above it are uploaded in parts. */
const multipartFromBytes = 16 * 1024 * 1024;
const partBytes = 8 * 1024 * 1024;
const partsAtOnce = 4;
const namesPerDelete = 1000;

export class S3Blobs implements Blobs {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #job: string;
  readonly #telemetry: Telemetry;
  readonly #pace: Pace;

  constructor(client: S3Client, bucket: string, job: string, telemetry: Telemetry, pace: Pace) {
    this.#client = client;
    this.#bucket = bucket;
    this.#job = job;
    this.#telemetry = telemetry;
    this.#pace = pace;
  }

  async put(name: BlobName, bytes: Uint8Array, options?: { readonly ifAbsent?: boolean }): Promise<"put" | "exists"> {
    const absent = options?.ifAbsent === true ? { IfNoneMatch: "*" } : {};
    for (let attempt = 1; ; attempt++) {
      try {
        if (bytes.length > multipartFromBytes) await this.#putInParts(name, bytes, absent);
        else await this.#putWhole(name, bytes, absent);
        return "put";
      } catch (error) {
        if (isNamed(error, "PreconditionFailed")) return (await this.#isOwn(error, name, bytes)) ? "put" : "exists";
        // Another conditional write of the name is under way: it decides.
        if (!isNamed(error, "ConditionalRequestConflict") || !(await backOff(this.#pace, attempt))) {
          throw this.#error(error, "write", name);
        }
      }
    }
  }

  async get(name: BlobName, range?: ByteRange): Promise<Uint8Array | undefined> {
    try {
      this.#telemetry.add("s3.get", 1);
      const header = range && headerOf(range);
      const answer = await this.#client.send(
        new GetObjectCommand({ ...this.#at(name), ...(header !== undefined && { Range: header }) }),
      );
      const bytes = (await answer.Body?.transformToByteArray()) ?? new Uint8Array();
      return range === undefined ? bytes : bytes.subarray(0, range.length);
    } catch (error) {
      if (isNamed(error, "NoSuchKey", "NotFound")) return undefined;
      // The object exists, and nothing of it lies in the range.
      if (isNamed(error, "InvalidRange")) return new Uint8Array();
      throw this.#error(error, "read", name);
    }
  }

  async list(prefix: string, after?: BlobName): Promise<{ readonly blobs: readonly BlobInfo[]; readonly more: boolean }> {
    try {
      this.#telemetry.add("s3.list", 1);
      const answer = await this.#client.send(
        new ListObjectsV2Command({
          Bucket: this.#bucket,
          Prefix: objectKey(this.#job, prefix),
          MaxKeys: blobsPerListing,
          ...(after !== undefined && { StartAfter: objectKey(this.#job, after) }),
        }),
      );
      const blobs = (answer.Contents ?? []).map(({ Key, Size, LastModified }) => ({
        name: blobOfKey(this.#job, Key!),
        sizeBytes: Size ?? 0,
        writtenAt: LastModified?.getTime() ?? 0,
      }));
      return { blobs, more: answer.IsTruncated === true };
    } catch (error) {
      throw this.#error(error, "list", prefix);
    }
  }

  async delete(names: readonly BlobName[]): Promise<void> {
    for (let from = 0; from < names.length; from += namesPerDelete) {
      await this.#deleteSome(names.slice(from, from + namesPerDelete));
    }
  }

  async #deleteSome(names: readonly BlobName[]): Promise<void> {
    try {
      this.#telemetry.add("s3.delete", 1);
      const Objects = names.map((name) => ({ Key: objectKey(this.#job, name) }));
      const answer = await this.#client.send(
        new DeleteObjectsCommand({ Bucket: this.#bucket, Delete: { Objects, Quiet: true } }),
      );
      const [refused] = answer.Errors ?? [];
      if (refused !== undefined) throw Object.assign(new Error(refused.Message), { name: refused.Code });
    } catch (error) {
      throw this.#error(error, "delete", names[0]!);
    }
  }

  async #putWhole(name: BlobName, bytes: Uint8Array, absent: { IfNoneMatch?: string }): Promise<void> {
    this.#telemetry.add("s3.put", 1);
    await this.#client.send(new PutObjectCommand({ ...this.#at(name), Body: bytes, ...absent }));
  }

  async #putInParts(name: BlobName, bytes: Uint8Array, absent: { IfNoneMatch?: string }): Promise<void> {
    this.#telemetry.add("s3.put", 2 + Math.ceil(bytes.length / partBytes)); // begin, parts, end
    const { UploadId } = await this.#client.send(new CreateMultipartUploadCommand(this.#at(name)));
    const upload = { ...this.#at(name), UploadId };
    try {
      const Parts = await this.#uploadParts(upload, bytes);
      await this.#client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts }, ...absent }));
    } catch (error) {
      // The error that led here says more than one of the abort would.
      await this.#client.send(new AbortMultipartUploadCommand(upload)).catch(() => undefined);
      throw error;
    }
  }

  async #uploadParts(upload: { Bucket: string; Key: string; UploadId: string | undefined }, bytes: Uint8Array) {
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
  async #isOwn(error: unknown, name: BlobName, bytes: Uint8Array): Promise<boolean> {
    const { attempts } = (error as { $metadata?: { attempts?: number } }).$metadata ?? {};
    if (attempts === undefined || attempts < 2) return false;
    const stored = await this.get(name);
    return stored !== undefined && Buffer.compare(stored, bytes) === 0;
  }

  #at(name: BlobName): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: objectKey(this.#job, name) };
  }

  #error(error: unknown, verb: string, name: string): MillraceError {
    return awsError(error, `${verb} of ${name} in bucket ${this.#bucket}`);
  }
}

/** A range as S3 wants it; a range from the end begins at its first byte and is cut to its length by the reader. */
function headerOf({ offset, length }: ByteRange): string {
  if (offset < 0) return `bytes=${offset}`;
  return `bytes=${offset}-${offset + Math.max(1, length) - 1}`;
}
