export type TimerDomain = "eventTime" | "processingTime";

/** A timer of one key: one per domain, time and window (Flink: key, namespace, time and domain). */
export class Timer {
  readonly domain: TimerDomain;
  /** Epoch ms. */
  readonly at: number;
  readonly start: number;
  readonly end: number;
  live = true;
  /** The durable state has it. */
  stored = false;
  /** Set or cancelled since the last commit. */
  touched = false;

  constructor(domain: TimerDomain, at: number, start: number, end: number) {
    this.domain = domain;
    this.at = at;
    this.start = start;
    this.end = end;
  }

  is(domain: TimerDomain, at: number, start: number, end: number): boolean {
    return this.at === at && this.start === start && this.end === end && this.domain === domain;
  }

  copy(): Timer {
    const copy = new Timer(this.domain, this.at, this.start, this.end);
    copy.live = this.live;
    copy.stored = this.stored;
    copy.touched = this.touched;
    return copy;
  }
}
