/** The job's objects in S3: the port's names under the job's own prefix. What S3 does is s3-bucket.ts. */
import type { S3Client } from "@aws-sdk/client-s3";
import type { BlobName } from "../../base/ids.ts";
import type { BlobInfo, Blobs, ByteRange } from "../../ports/blobs.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import type { Pace } from "./back-off.ts";
import { blobOfKey, objectKey } from "./names.ts";
import { S3Bucket } from "./s3-bucket.ts";

export class S3Blobs implements Blobs {
  readonly #bucket: S3Bucket;
  readonly #job: string;

  constructor(client: S3Client, bucket: string, job: string, telemetry: Telemetry, pace: Pace) {
    this.#bucket = new S3Bucket(client, bucket, telemetry, pace);
    this.#job = job;
  }

  /** For the start of a job. Throws `invalid` when the bucket is not there or may not be used. */
  async check(): Promise<void> {
    await this.#bucket.check();
    await this.#bucket.checkWrite(objectKey(this.#job, "check"));
  }

  put(name: BlobName, bytes: Uint8Array, options?: { readonly ifAbsent?: boolean }): Promise<"put" | "exists"> {
    return this.#bucket.put(objectKey(this.#job, name), bytes, options);
  }

  get(name: BlobName, range?: ByteRange): Promise<Uint8Array | undefined> {
    return this.#bucket.get(objectKey(this.#job, name), range);
  }

  async list(prefix: string, after?: BlobName): Promise<{ readonly blobs: readonly BlobInfo[]; readonly more: boolean }> {
    const last = after && objectKey(this.#job, after);
    const { objects, more } = await this.#bucket.list(objectKey(this.#job, prefix), last);
    const blobs = objects.map(({ key, sizeBytes, writtenAt }) => ({ name: blobOfKey(this.#job, key), sizeBytes, writtenAt }));
    return { blobs, more };
  }

  delete(names: readonly BlobName[]): Promise<void> {
    return this.#bucket.delete(names.map((name) => objectKey(this.#job, name)));
  }
}
