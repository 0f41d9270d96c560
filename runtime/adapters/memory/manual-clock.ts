/**
 * A clock that stands still until it is turned. Sleepers wake in the order of their times as it passes them.
 */
import { assert } from "../../base/assert.ts";
import type { Clock } from "../../ports/clock.ts";

interface Sleeper {
  readonly until: number;
  readonly wake: () => void;
}

export class ManualClock implements Clock {
  #now: number;
  #deadline: number;
  #sleepers: Sleeper[] = [];

  /** `now`: epoch ms to start at; `deadline`: epoch ms at which the invocation ends. */
  constructor(options: { readonly now?: number; readonly deadline?: number } = {}) {
    this.#now = options.now ?? 0;
    this.#deadline = options.deadline ?? Number.POSITIVE_INFINITY;
  }

  now(): number {
    return this.#now;
  }

  remainingMs(): number {
    return Math.max(0, this.#deadline - this.#now);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms <= 0 || signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const onAbort = () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        resolve();
      };
      const wake = () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      };
      const sleeper: Sleeper = { until: this.#now + ms, wake };
      this.#sleepers.push(sleeper);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Turns the clock forward by `ms` and wakes who slept until then. */
  advance(ms: number): void {
    this.set(this.#now + ms);
  }

  /** Turns the clock to `now`, never back, and wakes who slept until then. */
  set(now: number): void {
    assert(now >= this.#now, `the clock is not turned back: ${this.#now} to ${now}`);
    this.#now = now;
    const due = this.#sleepers.filter((sleeper) => sleeper.until <= now).sort((a, b) => a.until - b.until);
    this.#sleepers = this.#sleepers.filter((sleeper) => sleeper.until > now);
    for (const sleeper of due) sleeper.wake();
  }

  /** Sets the time at which the invocation ends, epoch ms. */
  setDeadline(deadline: number): void {
    this.#deadline = deadline;
  }

  /** The earliest time that somebody sleeps until; undefined when nobody sleeps. */
  nextWakeUp(): number | undefined {
    return this.#sleepers.length === 0 ? undefined : Math.min(...this.#sleepers.map((sleeper) => sleeper.until));
  }
}
