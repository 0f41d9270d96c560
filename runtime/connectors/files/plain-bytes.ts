/** The bytes of a file as they are; of a finished file, or of one that is still being written. */
import { type FileHandle, open } from "node:fs/promises";
import { MillraceError } from "../../base/errors.ts";
import { type ByteSource, type BytesRead, readBytes } from "./byte-source.ts";
import { fileError } from "./file-errors.ts";
import type { Break } from "./record-cutter.ts";

/** How far a file may be read now. */
export interface Extent {
  readonly length: number;
  /** More may come. */
  readonly growing: boolean;
  /** Epoch ms. */
  readonly arrivalTime: number;
  /** Known of a file that was not written to its end. */
  readonly broken?: Break | undefined;
}

export class PlainBytes implements ByteSource {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #extent: () => Extent;
  #offset: number;

  private constructor(path: string, handle: FileHandle, extent: () => Extent, offset: number) {
    this.#path = path;
    this.#handle = handle;
    this.#extent = extent;
    this.#offset = offset;
  }

  /** `extent` is asked at every read. Throws `invalid` when the file is shorter than `from`. */
  static async open(path: string, extent: () => Extent, from: number): Promise<PlainBytes> {
    const { length, broken } = extent();
    // The record that tells of a break has the position behind the last byte.
    if (from > length + (broken === undefined ? 0 : 1)) throw tooShort(path, from);
    try {
      return new PlainBytes(path, await open(path), extent, from);
    } catch (error) {
      throw fileError(error, path, "read");
    }
  }

  async read(head: Buffer): Promise<BytesRead> {
    const { length, growing, arrivalTime, broken } = this.#extent();
    const wanted = Math.min(length - this.#offset, readBytes);
    if (wanted <= 0) return growing ? { kind: "later" } : { kind: "end", broken: this.#offset > length ? undefined : broken };
    const bytes = Buffer.allocUnsafeSlow(head.length + wanted);
    bytes.set(head);
    const read = await this.#readInto(bytes, head.length);
    if (read === 0) throw tooShort(this.#path, length);
    this.#offset += read;
    return { kind: "bytes", bytes: bytes.subarray(0, head.length + read), arrivalTime };
  }

  async #readInto(bytes: Buffer, at: number): Promise<number> {
    try {
      const { bytesRead } = await this.#handle.read(bytes, at, bytes.length - at, this.#offset);
      return bytesRead;
    } catch (error) {
      throw fileError(error, this.#path, "read");
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** The file lost what had been read from it. */
export function tooShort(path: string, from: number): MillraceError {
  const message = `the file is shorter than what was read from it before: put it back, or start the job anew: ${path} ends before ${from}`;
  return new MillraceError("invalid", message);
}
