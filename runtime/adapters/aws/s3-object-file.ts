/** An object of a bucket as a file to read: in ranges of several MiB, of the one version that was listed. */
import { MillraceError } from "../../base/errors.ts";
import type { ByteFile } from "../../connectors/files/byte-file.ts";
import type { ListedObject } from "./object-listing.ts";
import type { S3Bucket } from "./s3-bucket.ts";

/** Each costs a request. */
const rangeBytes = 4 << 20;

export class S3ObjectFile implements ByteFile {
  readonly name: string;
  readonly #bucket: S3Bucket;
  readonly #object: ListedObject;
  /** Read already: the bytes from `#from` on. */
  #ahead: Uint8Array = new Uint8Array();
  #from = 0;

  constructor(bucket: S3Bucket, object: ListedObject) {
    this.name = `s3://${bucket.name}/${object.key}`;
    this.#bucket = bucket;
    this.#object = object;
  }

  /** Throws `invalid` for an object that is gone, or is another than was listed. */
  async readInto(into: Buffer, at: number, offset: number): Promise<number> {
    if (offset >= this.#object.sizeBytes) return 0;
    const end = this.#from + this.#ahead.length;
    if (offset < this.#from || offset >= end) {
      this.#ahead = await this.#readRange(offset);
      this.#from = offset;
    }
    const start = offset - this.#from;
    const bytes = this.#ahead.subarray(start, start + into.length - at);
    into.set(bytes, at);
    return bytes.length;
  }

  async close(): Promise<void> {
    this.#ahead = new Uint8Array();
  }

  async #readRange(offset: number): Promise<Uint8Array> {
    const { key, etag, sizeBytes } = this.#object;
    const length = Math.min(rangeBytes, sizeBytes - offset);
    const read = await this.#bucket.getVersion(key, etag, { offset, length });
    if (read === "absent" || read === "changed") {
      const what = read === "absent" ? "an object that was to be read is gone" : "an object that was to be read has changed";
      const advice = "put it back as it was, or start the source anew under another uid";
      throw new MillraceError("invalid", `${what} since the job began: ${advice}: ${this.name}`);
    }
    return read;
  }
}
