/**
 * Frames: one log record holding many elements, numbered per channel.
 *
 * F1 A frame opens with its format version; a reader answers `corrupt` to a newer one.
 * F3 A frame carries the checksum of all that follows it, so a damaged one is `corrupt` and never other data.
 * F2 The header can be read without the elements: a receiver decides by it to apply, drop, hold or refuse.
 */
import { crc32 } from "node:zlib";
import { ByteReader, corrupt } from "../base/byte-reader.ts";
import type { ByteWriter } from "../base/byte-writer.ts";
import { type ChannelId, type Generation, id, type Seq } from "../base/ids.ts";

const version = 1;
const magic = 0x4d; // so that a stray record of another kind is told at once
/** Magic, version and checksum. */
const sealBytes = 6;

export interface FrameHeader {
  readonly job: string;
  readonly generation: Generation;
  /** The ordinal of the code that wrote it (R9). */
  readonly deployment: number;
  readonly channel: ChannelId;
  readonly seq: Seq;
}

export interface Frame extends FrameHeader {
  readonly elements: ByteReader;
}

export function writeFrameHeader(writer: ByteWriter, header: FrameHeader): void {
  writer.u8(magic);
  writer.u8(version);
  writer.u32(0);
  writer.string(header.job);
  writer.uint(header.generation);
  writer.uint(header.deployment);
  writer.string(header.channel);
  writer.uint(header.seq);
}

/** The whole of a frame, whose last element has been written: sets its checksum. */
export function takeFrame(writer: ByteWriter): Uint8Array {
  writer.buffer.writeUInt32LE(crc32(writer.buffer.subarray(sealBytes, writer.length)), sealBytes - 4);
  return writer.take();
}

export function readFrame(bytes: Uint8Array): Frame {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== magic) throw corrupt("not a frame");
  const found = reader.u8();
  if (found !== version) throw corrupt(`frame of format version ${found}, this code knows ${version}`);
  if (reader.u32() !== crc32(bytes.subarray(sealBytes))) throw corrupt("frame does not match its checksum");
  return {
    job: reader.string(),
    generation: reader.uint(),
    deployment: reader.uint(),
    channel: id<ChannelId>(reader.string()),
    seq: reader.uint(),
    elements: reader,
  };
}
