/**
 * Frames that were received and must wait: behind a barrier, or of a channel that is not live yet. Part of the commit, so durable.
 *
 * D1 Frames of one channel leave in the order in which they came (L8).
 */
import type { ChannelId } from "../base/ids.ts";
import { readFrame } from "../streaming/frame.ts";

export interface HeldFrame {
  readonly channel: ChannelId;
  readonly bytes: Uint8Array;
}

export class HeldFrames {
  sizeBytes = 0;
  private frames: HeldFrame[];
  /** What the open commit adds, and which of before and added it releases, by place. */
  private added: Uint8Array[] = [];
  private released: number[] = [];
  /** Places of `frames` in "held before the commit, then added". */
  private places: number[] = [];
  private heldBefore = 0;

  constructor(frames: readonly Uint8Array[] = []) {
    this.frames = frames.map((bytes) => ({ channel: readFrame(bytes).channel, bytes }));
    this.begin();
  }

  private begin(): void {
    this.added = [];
    this.released = [];
    this.places = this.frames.map((_, place) => place);
    this.heldBefore = this.frames.length;
    this.sizeBytes = this.frames.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  get count(): number {
    return this.frames.length;
  }

  has(channel: ChannelId): boolean {
    return this.frames.some((frame) => frame.channel === channel);
  }

  get all(): readonly Uint8Array[] {
    return this.frames.map((frame) => frame.bytes);
  }

  add(channel: ChannelId, bytes: Uint8Array): void {
    this.places.push(this.heldBefore + this.added.length);
    this.frames.push({ channel, bytes });
    this.added.push(bytes);
    this.sizeBytes += bytes.length;
  }

  /** Takes out the first frame whose channel need not wait. */
  release(waits: (channel: ChannelId) => boolean): HeldFrame | undefined {
    const at = this.frames.findIndex((frame) => !waits(frame.channel));
    if (at < 0) return undefined;
    const [frame] = this.frames.splice(at, 1) as [HeldFrame];
    this.released.push(...this.places.splice(at, 1));
    this.sizeBytes -= frame.bytes.length;
    return frame;
  }

  /** What has changed in the open commit; begins the next one. */
  takeChange(): { readonly added: readonly Uint8Array[]; readonly released: readonly number[] } {
    const change = { added: this.added, released: this.released };
    this.begin();
    return change;
  }

  /** Lays the change of a commit written elsewhere over this list (catch-up). */
  apply(change: { readonly added: readonly Uint8Array[]; readonly released: readonly number[] }): void {
    const gone = new Set(change.released);
    const added = change.added.map((bytes) => ({ channel: readFrame(bytes).channel, bytes }));
    this.frames = [...this.frames, ...added].filter((_, place) => !gone.has(place));
    this.begin();
  }
}
