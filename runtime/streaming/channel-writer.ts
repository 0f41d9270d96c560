/**
 * The upstream end of one channel within one commit: packs elements into as few frames as the record size allows (L15).
 *
 * N1 Frames of a channel are numbered 0, 1, 2, … without gaps over all commits.
 */
import type { Key } from "../api/key.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { MillraceError } from "../base/errors.ts";
import type { Seq } from "../base/ids.ts";
import { type Barrier, type Successor, writeBarrier, writeEnd, writeRecord, writeStatus, writeWatermark } from "./element.ts";
import { type FrameHeader, takeFrame, writeFrameHeader } from "./frame.ts";

export interface ChannelMark {
  readonly frames: number;
  readonly length: number;
}

export class ChannelWriter {
  /** The number of the next frame. */
  next: Seq;
  private readonly header: Omit<FrameHeader, "seq">;
  private readonly frameBytesMax: number;
  private frames: Uint8Array[] = [];
  private readonly open = new ByteWriter(4096);
  private headerLength = 0;

  constructor(header: Omit<FrameHeader, "seq">, next: Seq, frameBytesMax: number) {
    this.header = header;
    this.next = next;
    this.frameBytesMax = frameBytesMax;
  }

  record(edge: number, key: Key | undefined, timestamp: number, value: unknown): void {
    this.append(() => writeRecord(this.open, edge, key, timestamp, value));
  }

  watermark(edge: number, at: number): void {
    this.append(() => writeWatermark(this.open, edge, at));
  }

  status(edge: number, active: boolean): void {
    this.append(() => writeStatus(this.open, edge, active));
  }

  barrier(barrier: Barrier): void {
    this.append(() => writeBarrier(this.open, barrier));
    this.close();
  }

  end(successors: readonly Successor[]): void {
    this.append(() => writeEnd(this.open, successors));
    this.close();
  }

  /** Writes one element; when the frame would grow too long, it is closed before the element and the element opens the next. */
  private append(write: () => void): void {
    this.begin();
    const start = this.open.length;
    try {
      write();
    } catch (error) {
      this.truncate(start);
      throw error;
    }
    if (this.open.length <= this.frameBytesMax) return;
    const size = this.open.length - start;
    if (this.headerLength + size > this.frameBytesMax) {
      this.truncate(start);
      throw new MillraceError("invalid", `an element of ${size} bytes does not fit into a frame of ${this.frameBytesMax} bytes`);
    }
    this.open.length = start;
    this.close();
    this.begin();
    write();
  }

  private truncate(length: number): void {
    this.open.length = length === this.headerLength ? 0 : length;
  }

  private begin(): void {
    if (this.open.length > 0) return;
    writeFrameHeader(this.open, { ...this.header, seq: this.next });
    this.headerLength = this.open.length;
  }

  private close(): void {
    if (this.open.length === 0) return;
    this.frames.push(takeFrame(this.open));
    this.open.clear();
    this.next++;
  }

  /** Of the frames that the open commit has gathered. */
  get sizeBytes(): number {
    return this.frames.reduce((sum, frame) => sum + frame.length, this.open.length);
  }

  /** The place up to which elements stand, for `rollback`. */
  mark(): ChannelMark {
    return { frames: this.frames.length, length: this.open.length };
  }

  /** Takes back what was written since the mark. */
  rollback(mark: ChannelMark): void {
    if (this.frames.length === mark.frames) {
      this.open.length = mark.length;
      return;
    }
    const reopened = this.frames[mark.frames] as Uint8Array;
    this.next -= this.frames.length - mark.frames;
    this.frames.length = mark.frames;
    this.open.clear();
    this.open.raw(reopened.subarray(0, mark.length));
  }

  /** The frames of this commit, in order. */
  take(): readonly Uint8Array[] {
    this.close();
    const frames = this.frames;
    this.frames = [];
    return frames;
  }
}
