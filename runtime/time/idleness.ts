/**
 * When an input that brings no records is idle (Flink's WatermarksWithIdleness).
 *
 * Flink has no time of the last record, so it starts counting at the first look that saw none; here processing time comes with
 * every read, and counting starts at the read that brought the last record. As in Flink the time must be exceeded, not met.
 */
import { MillraceError } from "../base/errors.ts";

/** Throws `invalid` unless `idleAfterMs` is above zero. */
export function assertIdleAfter(idleAfterMs: number): void {
  if (!(idleAfterMs > 0)) throw new MillraceError("invalid", `withIdleness needs a duration above zero: ${idleAfterMs} ms`);
}

/** Whether an input whose last record came at `seenAt` is idle at `now` (both processing time, epoch ms). */
export function isIdle(seenAt: number, now: number, idleAfterMs: number): boolean {
  return now - seenAt > idleAfterMs;
}

/** The first millisecond at which `isIdle` holds, given no more records. */
export function idleFrom(seenAt: number, idleAfterMs: number): number {
  return seenAt + Math.floor(idleAfterMs) + 1;
}
