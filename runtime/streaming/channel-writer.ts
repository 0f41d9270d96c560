/**
 * The upstream end of one channel within one commit: packs elements into as few frames as the record size allows (L15).
 *
 * N1 Frames of a channel are numbered 0, 1, 2, … without gaps over all commits.
 * N2 A frame that would hold nothing but watermarks may wait for what comes next: the same elements go in the same order, in fewer
 *    frames. The final watermark does not wait.
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
  readonly isUrgent: boolean;
}

export class ChannelWriter {
  /** The number of the next frame. */
  next: Seq;
  private readonly header: Omit<FrameHeader, "seq">;
  private readonly frameBytesMax: number;
  private frames: Uint8Array[] = [];
  private readonly open = new ByteWriter(4096);
  private headerLength = 0;
  /** Something other than a watermark that may wait has been written. */
  private isUrgent = false;

  /** `waiting`: elements that an earlier commit left to wait. */
  constructor(header: Omit<FrameHeader, "seq">, next: Seq, frameBytesMax: number, waiting?: Uint8Array) {
    this.header = header;
    this.next = next;
    this.frameBytesMax = frameBytesMax;
    if (waiting !== undefined) {
      this.begin();
      this.open.raw(waiting);
    }
  }

  record(edge: number, key: Key | undefined, timestamp: number, value: unknown): void {
    this.isUrgent = true;
    this.append(() => writeRecord(this.open, edge, key, timestamp, value));
  }

  watermark(edge: number, at: number): void {
    if (at === Infinity) this.isUrgent = true;
    this.append(() => writeWatermark(this.open, edge, at));
  }

  status(edge: number, active: boolean): void {
    this.isUrgent = true;
    this.append(() => writeStatus(this.open, edge, active));
  }

  barrier(barrier: Barrier): void {
    this.isUrgent = true;
    this.append(() => writeBarrier(this.open, barrier));
    this.close();
  }

  end(successors: readonly Successor[]): void {
    this.isUrgent = true;
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
    return { frames: this.frames.length, length: this.open.length, isUrgent: this.isUrgent };
  }

  /** Takes back what was written since the mark. */
  rollback(mark: ChannelMark): void {
    this.isUrgent = mark.isUrgent;
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

  /** What was written is watermarks alone, in one frame, and may wait. */
  get mayWait(): boolean {
    return !this.isUrgent && this.open.length > 0 && this.frames.length === 0;
  }

  /** The elements that wait for a later commit, as the constructor takes them. */
  get waiting(): Uint8Array {
    return this.open.slice(this.headerLength, this.open.length);
  }

  /** The frames of this commit, in order. */
  take(): readonly Uint8Array[] {
    this.close();
    this.isUrgent = false;
    const frames = this.frames;
    this.frames = [];
    return frames;
  }
}
