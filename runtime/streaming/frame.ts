/**
 * Frames: one log record holding many elements, numbered per channel.
 *
 * F1 A frame opens with its format version; a reader answers `corrupt` to a newer one.
 * F2 The header can be read without the elements: a receiver decides by it to apply, drop, hold or refuse.
 */
import { ByteReader, corrupt } from "../base/byte-reader.ts";
import type { ByteWriter } from "../base/byte-writer.ts";
import { type ChannelId, type Generation, id, type Seq } from "../base/ids.ts";

const version = 1;
const magic = 0x4d; // so that a stray record of another kind is told at once

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
  writer.string(header.job);
  writer.uint(header.generation);
  writer.uint(header.deployment);
  writer.string(header.channel);
  writer.uint(header.seq);
}

export function readFrame(bytes: Uint8Array): Frame {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== magic) throw corrupt("not a frame");
  const found = reader.u8();
  if (found !== version) throw corrupt(`frame of format version ${found}, this code knows ${version}`);
  return {
    job: reader.string(),
    generation: reader.uint(),
    deployment: reader.uint(),
    channel: id<ChannelId>(reader.string()),
    seq: reader.uint(),
    elements: reader,
  };
}
