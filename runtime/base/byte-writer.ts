/**
 * A growing buffer that the stored formats are written into, one value after the other.
 *
 * Integers are LEB128 (unsigned, exact for all safe integers) or zigzag LEB128 (signed, up to 2^52), so times take 6 bytes and small
 * counts 1.
 */
const shortString = 40;

/** Whole numbers up to 2^52 on either side, which `int` writes; dates may lie beyond. */
export function fitsInt(n: number): boolean {
  return Number.isInteger(n) && n <= 2 ** 52 && n >= -(2 ** 52);
}

export class ByteWriter {
  buffer: Buffer;
  length = 0;

  constructor(initialBytes = 1024) {
    this.buffer = Buffer.allocUnsafe(initialBytes);
  }

  /** Makes room for `n` more bytes. */
  reserve(n: number): void {
    if (this.length + n > this.buffer.length) this.grow(this.length + n);
  }

  private grow(needed: number): void {
    const grown = Buffer.allocUnsafe(Math.max(needed, this.buffer.length * 2));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }

  u8(byte: number): void {
    if (this.length === this.buffer.length) this.reserve(1);
    this.buffer[this.length++] = byte;
  }

  u32(n: number): void {
    this.reserve(4);
    this.length = this.buffer.writeUInt32LE(n >>> 0, this.length);
  }

  f64(n: number): void {
    this.reserve(8);
    this.length = this.buffer.writeDoubleBE(n, this.length);
  }

  /** A non-negative safe integer. */
  uint(n: number): void {
    if (this.length + 8 > this.buffer.length) this.reserve(8);
    let at = this.length;
    const { buffer } = this;
    if (n >= 0x10000000) {
      const high = Math.floor(n / 0x10000000);
      const low = n - high * 0x10000000;
      buffer[at] = (low & 0x7f) | 0x80;
      buffer[at + 1] = ((low >>> 7) & 0x7f) | 0x80;
      buffer[at + 2] = ((low >>> 14) & 0x7f) | 0x80;
      buffer[at + 3] = (low >>> 21) | 0x80;
      at += 4;
      n = high;
    }
    while (n >= 0x80) {
      buffer[at++] = (n & 0x7f) | 0x80;
      n >>>= 7;
    }
    buffer[at++] = n;
    this.length = at;
  }

  /** An integer that `fitsInt`. */
  int(n: number): void {
    this.uint(n >= 0 ? n * 2 : -n * 2 - 1);
  }

  /** UTF-8 with its length before it. */
  string(text: string): void {
    const units = text.length;
    if (units < shortString) {
      this.reserve(units + 8);
      const start = this.length;
      const { buffer } = this;
      buffer[start] = units;
      let at = start + 1;
      let i = 0;
      for (; i < units; i++) {
        const unit = text.charCodeAt(i);
        if (unit > 0x7f) break;
        buffer[at++] = unit;
      }
      if (i === units) {
        this.length = at;
        return;
      }
    }
    const size = Buffer.byteLength(text);
    this.uint(size);
    this.utf8(text, size);
  }

  /** The code units of a text as UTF-16LE, without a length: text that is no valid UTF-16 too. */
  utf16(text: string): void {
    this.reserve(2 * text.length);
    this.length += this.buffer.write(text, this.length, "utf16le");
  }

  /** UTF-8 without a length; `size` is its byte length. */
  utf8(text: string, size: number): void {
    this.reserve(size);
    this.buffer.write(text, this.length, size, "utf8");
    this.length += size;
  }

  /** Bytes without a length. */
  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** Bytes with their length before them. */
  bytes(bytes: Uint8Array): void {
    this.uint(bytes.length);
    this.raw(bytes);
  }

  /** A copy of what was written, which nobody else changes. */
  take(): Uint8Array {
    return this.slice(0, this.length);
  }

  slice(from: number, to: number): Uint8Array {
    const copy = Buffer.allocUnsafeSlow(to - from);
    this.buffer.copy(copy, 0, from, to);
    return copy;
  }

  clear(): void {
    this.length = 0;
  }
}
