/**
 * The decompressed bytes of a gzip file (RFC 1952, several members too).
 *
 * Driven by hand, one piece of input at a time: all that a piece decompresses to is in `#ready` before the next is put in. So
 * what a damaged file yields before the damage does not depend on timing, and a truncated one yields all it holds: zlib learns
 * of the end only after the last piece, and drops what it decompresses in the call in which it finds the end missing.
 */
import { type FileHandle, open } from "node:fs/promises";
import { constants, createGunzip, type Gunzip } from "node:zlib";
import { errorCode, fileError } from "./file-errors.ts";
import type { ByteSource, BytesRead } from "./byte-source.ts";
import { tooShort } from "./plain-bytes.ts";
import type { Break } from "./record-cutter.ts";

const inputBytes = 1 << 16;
const outputBytes = 1 << 18;

export class GunzipBytes implements ByteSource {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #arrivalTime: number;
  readonly #from: number;
  readonly #gunzip: Gunzip = createGunzip({ chunkSize: outputBytes });
  readonly #ready: Buffer[] = [];
  /** Of decompressed bytes, still to be passed over. */
  #toSkip: number;
  #offset = 0;
  #ended = false;
  #broken: Break | undefined;

  private constructor(path: string, handle: FileHandle, arrivalTime: number, from: number) {
    this.#path = path;
    this.#handle = handle;
    this.#arrivalTime = arrivalTime;
    this.#from = from;
    this.#toSkip = from;
    this.#gunzip.on("data", (bytes: Buffer) => this.#ready.push(bytes));
    this.#gunzip.on("end", () => (this.#ended = true));
    this.#gunzip.on("error", (error) => this.#fail(error));
  }

  static async open(path: string, arrivalTime: number, from: number): Promise<GunzipBytes> {
    try {
      return new GunzipBytes(path, await open(path), arrivalTime, from);
    } catch (error) {
      throw fileError(error, path, "read");
    }
  }

  /** Throws `invalid` when the data is shorter than the offset it was opened at. */
  async read(head: Buffer): Promise<BytesRead> {
    while (true) {
      const ready = this.#skip(this.#ready.shift());
      if (ready !== undefined) {
        const bytes = head.length === 0 ? ready : Buffer.concat([head, ready]);
        return { kind: "bytes", bytes, arrivalTime: this.#arrivalTime };
      }
      if (this.#ready.length > 0) continue;
      if (this.#ended) return this.#end();
      await this.#feed();
    }
  }

  async close(): Promise<void> {
    this.#gunzip.destroy();
    await this.#handle.close();
  }

  #skip(bytes: Buffer | undefined): Buffer | undefined {
    if (bytes === undefined || this.#toSkip === 0) return bytes;
    const skipped = Math.min(bytes.length, this.#toSkip);
    this.#toSkip -= skipped;
    return skipped === bytes.length ? undefined : bytes.subarray(skipped);
  }

  #end(): BytesRead {
    if (this.#toSkip === 0) return { kind: "end", broken: this.#broken };
    // The record that tells of a break has the position behind the last byte.
    if (this.#toSkip === 1 && this.#broken !== undefined) return { kind: "end", broken: undefined };
    throw tooShort(this.#path, this.#from);
  }

  async #feed(): Promise<void> {
    const input = Buffer.allocUnsafe(inputBytes);
    const length = await this.#readInto(input);
    this.#offset += length;
    if (length > 0) await this.#put(input.subarray(0, length));
    else await this.#finish();
  }

  async #readInto(input: Buffer): Promise<number> {
    try {
      const { bytesRead } = await this.#handle.read(input, 0, input.length, this.#offset);
      return bytesRead;
    } catch (error) {
      throw fileError(error, this.#path, "read");
    }
  }

  #put(input: Buffer): Promise<void> {
    return new Promise((resolve) => {
      this.#gunzip.write(input, (error) => {
        if (error) this.#fail(error);
        resolve();
      });
    });
  }

  #finish(): Promise<void> {
    return new Promise((resolve) => {
      this.#gunzip.once("close", () => {
        this.#ended = true;
        resolve();
      });
      this.#gunzip.end();
    });
  }

  #fail(error: Error): void {
    const cut = errorCode(error) === "Z_BUF_ERROR" || (error as { errno?: number }).errno === constants.Z_BUF_ERROR;
    const reason = cut
      ? "the gzip data breaks off here: the file is not complete"
      : `the gzip data is damaged here: ${error.message}`;
    this.#broken ??= { reason, even: true };
    this.#ended = true;
  }
}
