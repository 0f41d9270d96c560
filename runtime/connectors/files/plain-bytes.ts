/** The bytes of a file as they are; of a finished file, or of one that is still being written. */
import { MillraceError } from "../../base/errors.ts";
import { type ByteSource, type BytesRead, readBytes } from "./byte-source.ts";
import type { ByteFile } from "./byte-file.ts";
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
  readonly #file: ByteFile;
  readonly #extent: () => Extent;
  #offset: number;

  private constructor(file: ByteFile, extent: () => Extent, offset: number) {
    this.#file = file;
    this.#extent = extent;
    this.#offset = offset;
  }

  /** `extent` is asked at every read; `open` when the file is long enough. Throws `invalid` when it is shorter than `from`. */
  static async open(path: string, open: () => Promise<ByteFile>, extent: () => Extent, from: number): Promise<PlainBytes> {
    const { length, broken } = extent();
    // The record that tells of a break has the position behind the last byte.
    if (from > length + (broken === undefined ? 0 : 1)) throw tooShort(path, from);
    return new PlainBytes(await open(), extent, from);
  }

  async read(head: Buffer): Promise<BytesRead> {
    const { length, growing, arrivalTime, broken } = this.#extent();
    const wanted = Math.min(length - this.#offset, readBytes);
    if (wanted <= 0) return growing ? { kind: "later" } : { kind: "end", broken: this.#offset > length ? undefined : broken };
    const bytes = Buffer.allocUnsafeSlow(head.length + wanted);
    bytes.set(head);
    const read = await this.#file.readInto(bytes, head.length, this.#offset);
    if (read === 0) throw tooShort(this.#file.name, length);
    this.#offset += read;
    return { kind: "bytes", bytes: bytes.subarray(0, head.length + read), arrivalTime };
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** The file lost what had been read from it. */
export function tooShort(path: string, from: number): MillraceError {
  const message = `the file is shorter than what was read from it before: put it back, or start the job anew: ${path} ends before ${from}`;
  return new MillraceError("invalid", message);
}
