/**
 * The decompressed bytes of a gzip file (RFC 1952, several members too).
 *
 * Driven by hand, one piece of input at a time: all that a piece decompresses to is in `#ready` before the next is put in. zlib
 * drops what it decompresses in the very call in which it fails, so
 * - the end is told to it after the last piece, by itself: a truncated file yields all it holds;
 * - after damage the file is decompressed once more, in smaller and smaller pieces where it failed: what lies before the damage
 *   is not lost, and does not depend on how reads fell.
 */
import { createGunzip, type Gunzip } from "node:zlib";
import type { ByteFile } from "./byte-file.ts";
import { errorCode } from "./file-errors.ts";
import type { ByteSource, BytesRead } from "./byte-source.ts";
import { tooShort } from "./plain-bytes.ts";
import type { Break } from "./record-cutter.ts";

const inputBytes = 1 << 16;
/** By how much pieces get smaller where decompression failed: in two steps to a single byte. */
const refinement = 1 << 8;
const outputBytes = 1 << 18;

export class GunzipBytes implements ByteSource {
  readonly #file: ByteFile;
  readonly #arrivalTime: number;
  readonly #from: number;
  readonly #ready: Buffer[] = [];
  /** Of decompressed bytes, still to be passed over. */
  #toSkip: number;
  /** Of the compressed input. */
  #offset = 0;
  /** How many bytes were decompressed so far. */
  #produced = 0;
  /** Input from here on is put in in pieces of `#fineBytes`. */
  #fineFrom = Infinity;
  #fineBytes = inputBytes;
  #ended = false;
  #failure: Error | undefined;
  #gunzip: Gunzip;
  #broken: Break | undefined;

  /** From an offset of the decompressed data on. */
  constructor(file: ByteFile, arrivalTime: number, from: number) {
    this.#file = file;
    this.#arrivalTime = arrivalTime;
    this.#from = from;
    this.#toSkip = from;
    this.#gunzip = this.#start();
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

  get compressedRead(): number {
    return this.#offset;
  }

  async close(): Promise<void> {
    this.#gunzip.destroy();
    await this.#file.close();
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
    throw tooShort(this.#file.name, this.#from);
  }

  #start(): Gunzip {
    const gunzip = createGunzip({ chunkSize: outputBytes });
    gunzip.on("data", (bytes: Buffer) => {
      this.#produced += bytes.length;
      this.#ready.push(bytes);
    });
    gunzip.on("end", () => (this.#ended = true));
    gunzip.on("error", (error) => (this.#failure = error));
    return gunzip;
  }

  async #feed(): Promise<void> {
    const from = this.#offset;
    const fine = from >= this.#fineFrom;
    const input = Buffer.allocUnsafe(fine ? this.#fineBytes : Math.min(inputBytes, this.#fineFrom - from));
    const length = await this.#file.readInto(input, 0, from);
    this.#offset += length;
    await (length > 0 ? this.#put(input.subarray(0, length)) : this.#finish());
    if (this.#failure !== undefined) this.#onFailure(this.#failure, from, length <= 1);
  }

  #onFailure(error: Error, at: number, exact: boolean): void {
    if (exact) {
      this.#broken = { reason: describeFailure(error), even: true };
      this.#ended = true;
      return;
    }
    this.#failure = undefined;
    this.#fineFrom = at;
    this.#fineBytes = Math.max(1, this.#fineBytes / refinement);
    this.#offset = 0;
    this.#toSkip += this.#produced - this.#ready.reduce((sum, bytes) => sum + bytes.length, 0);
    this.#ready.length = 0;
    this.#produced = 0;
    this.#gunzip = this.#start();
  }

  #put(input: Buffer): Promise<void> {
    return this.#until((done) => this.#gunzip.write(input, done));
  }

  #finish(): Promise<void> {
    return this.#until(() => this.#gunzip.end()).then(() => {
      this.#ended = true;
    });
  }

  /** Begins something, and waits until it is done, or the stream is closed by its end or an error. */
  #until(begin: (done: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      const gunzip = this.#gunzip;
      const done = () => {
        gunzip.off("close", done);
        resolve();
      };
      gunzip.on("close", done);
      begin(done);
    });
  }
}

function describeFailure(error: Error): string {
  if (errorCode(error) === "Z_BUF_ERROR") return "the gzip data breaks off here: the file is not complete";
  return `the gzip data is damaged here: ${error.message}`;
}
