/** A key group's item in the state table: its schema and rows, with their checksum. The table holds its version beside it. */
import { crc32 } from "node:zlib";
import { ByteReader, corrupt } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import type { KeyGroupState } from "../state/key-group.ts";
import { RowWriter } from "../state/row-writer.ts";

const version = 1;

export function encodePage(schema: string, group: KeyGroupState): Uint8Array {
  const writer = new ByteWriter(1024);
  writer.u8(version);
  writer.u32(0);
  writer.string(schema);
  const rows = new RowWriter(writer);
  for (const row of group.rows) rows.writeRow(row);
  writer.buffer.writeUInt32LE(crc32(writer.buffer.subarray(5, writer.length)), 1);
  return writer.take();
}

export function decodePage(bytes: Uint8Array): { readonly schema: string; readonly bytes: Uint8Array } {
  const reader = new ByteReader(bytes);
  const found = reader.u8();
  if (found !== version) throw corrupt(`page of format version ${found}, this code knows ${version}`);
  if (reader.u32() !== crc32(bytes.subarray(5))) throw corrupt("page does not match its checksum");
  return { schema: reader.string(), bytes: reader.raw(reader.remaining) };
}
