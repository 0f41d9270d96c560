/**
 * Messages of AWS's event streams (application/vnd.amazon.eventstream): two lengths, their checksum, headers, payload, checksum of
 * the whole; numbers are big-endian, checksums CRC-32.
 */
import { crc32 } from "node:zlib";

const textHeader = 7;
const preludeBytes = 12;
const checksumBytes = 4;

/** All headers are text. */
export function encodeEventMessage(headers: Readonly<Record<string, string>>, payload: Uint8Array): Buffer {
  const head = Buffer.concat(Object.entries(headers).map(([name, value]) => encodeHeader(name, value)));
  const total = preludeBytes + head.length + payload.length + checksumBytes;
  const message = Buffer.alloc(total);
  message.writeUInt32BE(total, 0);
  message.writeUInt32BE(head.length, 4);
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8);
  message.set(head, preludeBytes);
  message.set(payload, preludeBytes + head.length);
  message.writeUInt32BE(crc32(message.subarray(0, total - checksumBytes)), total - checksumBytes);
  return message;
}

function encodeHeader(name: string, value: string): Buffer {
  const [nameBytes, valueBytes] = [Buffer.from(name), Buffer.from(value)];
  const size = Buffer.alloc(2);
  size.writeUInt16BE(valueBytes.length);
  return Buffer.concat([Buffer.of(nameBytes.length), nameBytes, Buffer.of(textHeader), size, valueBytes]);
}
