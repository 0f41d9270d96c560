/**
 * CRC-32 as zlib's. Short pieces are summed here: a call into zlib costs more than they do, and pages of few rows are very many.
 */
import { crc32 as crc32OfZlib } from "node:zlib";

/** From here on zlib is faster. */
const longBytes = 192;

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte;
  for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  return sum;
});

/** Of the bytes from `from` on, up to but not including `to`. */
export function crc32(bytes: Uint8Array, from = 0, to = bytes.length): number {
  if (to - from > longBytes) return crc32OfZlib(bytes.subarray(from, to));
  let sum = -1;
  for (let at = from; at < to; at++) sum = (sum >>> 8) ^ (table[(sum ^ (bytes[at] as number)) & 0xff] as number);
  return ~sum >>> 0;
}
