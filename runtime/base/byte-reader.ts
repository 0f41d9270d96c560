/** Reads what a `ByteWriter` wrote. Whatever the bytes, it ends with a value or with an error of kind `corrupt`. */
import { MillraceError } from "./errors.ts";

const shortString = 24;

export class ByteReader {
  readonly buffer: Buffer;
  at: number;
  readonly end: number;

  constructor(bytes: Uint8Array, from = 0, to = bytes.length) {
    this.buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = from;
    this.end = to;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  get remaining(): number {
    return this.end - this.at;
  }

  /** Fails unless `n` more bytes are there. */
  need(n: number): void {
    if (n > this.end - this.at) throw corrupt(`bytes end too early: ${n} needed, ${this.end - this.at} left at ${this.at}`);
  }

  u8(): number {
    this.need(1);
    return this.buffer[this.at++] as number;
  }

  u32(): number {
    this.need(4);
    const n = this.buffer.readUInt32LE(this.at);
    this.at += 4;
    return n;
  }

  f64(): number {
    this.need(8);
    const n = this.buffer.readDoubleBE(this.at);
    this.at += 8;
    return n;
  }

  uint(): number {
    let result = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.u8();
      result += (byte & 0x7f) * scale;
      if (byte < 0x80) return result;
      scale *= 128;
    }
    throw corrupt(`integer too long at ${this.at}`);
  }

  int(): number {
    const n = this.uint();
    return n % 2 === 0 ? n / 2 : -(n + 1) / 2;
  }

  string(): string {
    return this.utf8(this.uint());
  }

  /** Text of UTF-16LE code units. Throws `corrupt` for half of one. */
  utf16(size: number): string {
    if (size % 2 !== 0) throw corrupt(`text of ${size} bytes is none of UTF-16`);
    return Buffer.from(this.raw(size)).toString("utf16le");
  }

  utf8(size: number): string {
    this.need(size);
    const { buffer, at } = this;
    this.at += size;
    if (size > shortString) return buffer.toString("utf8", at, at + size);
    let text = "";
    for (let i = at; i < at + size; i++) {
      const byte = buffer[i] as number;
      if (byte > 0x7f) return buffer.toString("utf8", at, at + size);
      text += String.fromCharCode(byte);
    }
    return text;
  }

  /** A view of the bytes, not a copy. */
  raw(size: number): Uint8Array {
    this.need(size);
    const bytes = this.buffer.subarray(this.at, this.at + size);
    this.at += size;
    return bytes;
  }

  bytes(): Uint8Array {
    return this.raw(this.uint());
  }

  /** A count of things that take at least one byte each, so that a mutated count cannot ask for unbounded memory. */
  count(): number {
    const n = this.uint();
    this.need(n);
    return n;
  }
}

export function corrupt(message: string, cause?: unknown): MillraceError {
  return new MillraceError("corrupt", message, { cause });
}
