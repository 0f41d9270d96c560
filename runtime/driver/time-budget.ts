/**
 * The time of a turn: batches are fed in parts, and near the end of the invocation what is done is committed and the rest is left for the
 * next turn (DESIGN §7). Where nothing ends the invocation, a batch is one part.
 *
 * B1 A turn feeds one part at least, so that it gets on however short its time is.
 */
import type { Clock } from "../ports/clock.ts";

/** A part should take about this share of the reserve, so that no part alone uses it up. */
const shareOfReserve = 0.25;

export class TimeBudget {
  private readonly clock: Clock;
  private readonly reserveMs: number;
  private part: number;
  private fed = false;
  private startedAtMs = Infinity;

  /** `reserveMs`: what a commit and its effects are given at the end. `firstPart`: records, while it is not known how long they take. */
  constructor(clock: Clock, reserveMs: number, firstPart: number) {
    this.clock = clock;
    this.reserveMs = reserveMs;
    this.part = firstPart;
  }

  /** No more must be begun in this turn. */
  get isOver(): boolean {
    return this.fed && this.clock.remainingMs() < this.reserveMs;
  }

  /** Of so many records that there are, how many to feed next. */
  begin(records: number): number {
    const remainingMs = this.clock.remainingMs();
    if (remainingMs === Infinity) return records;
    this.fed = true;
    this.startedAtMs = remainingMs;
    return Math.min(records, this.part);
  }

  /** So many were fed: the next part is as large as its time allows, by what this one took. */
  end(records: number): void {
    if (this.startedAtMs === Infinity || records < this.part) return;
    const tookMs = this.startedAtMs - this.clock.remainingMs();
    const fitting = tookMs <= 0 ? Infinity : (records * this.reserveMs * shareOfReserve) / tookMs;
    this.part = Math.max(1, Math.min(4 * this.part, Math.floor(fitting)));
  }
}
