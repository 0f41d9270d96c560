/**
 * Stops timers that fire for ever: a trigger or a process function that sets, whenever its timer fires, the next one at a time that has
 * come already.
 *
 * H1 Only timers that set one another count: each must be the one that was set last time, at the same key.
 * H2 Timers that move on in time end by themselves, unless the watermark is after all time.
 */
import { MillraceError } from "../base/errors.ts";
import { showKey } from "../state/key.ts";
import type { Row } from "../state/row.ts";
import type { TimerDomain } from "../state/timer.ts";
import { largestTime } from "../time/windows.ts";

/** So often in a row a timer may set a timer that does not move on in time. */
const stuckMost = 1_000;
/** So many timers may follow on one another when all time has passed. */
const stepsMost = 100_000;

export class TimerChain {
  private readonly of: string;
  private row: Row | undefined;
  private domain: TimerDomain = "eventTime";
  private at = NaN;
  /** The earliest timer that the one firing now has set, of those that count. */
  private next = Infinity;
  private stuck = 0;
  private steps = 0;

  /** `of`: whose timers these are, in words. */
  constructor(of: string) {
    this.of = of;
  }

  /** A timer fires. */
  begin(row: Row, domain: TimerDomain, at: number): void {
    if (row !== this.row || domain !== this.domain || at !== this.next) this.stuck = this.steps = 0;
    this.row = row;
    this.domain = domain;
    this.at = at;
    this.next = Infinity;
  }

  /** Its work is done: what comes next is a record, or another timer. */
  end(): void {
    this.at = NaN;
  }

  /** A timer is set. Throws `user` when it is one of too many. */
  note(domain: TimerDomain, at: number, watermark: number): void {
    if (Number.isNaN(this.at) || domain !== this.domain) return;
    if (at <= this.at) this.stuck++;
    else if (domain === "eventTime" && watermark >= largestTime) this.steps++;
    else return;
    this.next = Math.min(this.next, at);
    if (this.stuck <= stuckMost && this.steps <= stepsMost) return;
    const key = this.row === undefined ? "" : showKey(this.row.key);
    throw new MillraceError("user", `${this.of} fires for ever: it sets timers that are due already: key ${key}, timer ${at}`);
  }
}
