/**
 * A clock that is turned by hand, for runs that take no time and go the same way every time.
 *
 * V1 Whoever is woken does all that it can do at that moment before the clock is turned further and before another is woken.
 * V2 Sleepers wake in the order of their times, those of one time in the order in which they lay down.
 *
 * It knows of promises alone: what waits for a socket, a file or a process is not waited for.
 */
import { assert } from "../runtime/base/assert.ts";
import { MillraceError } from "../runtime/base/errors.ts";
import type { Clock } from "./clock.ts";

interface Sleeper {
  readonly until: number;
  readonly wake: () => void;
}

export class VirtualClock implements Clock {
  #now: number;
  /** In the order of waking (V2). */
  readonly #sleepers: Sleeper[] = [];

  /** `now`: epoch milliseconds to start at. */
  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms <= 0 || signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const onAbort = () => {
        this.#sleepers.splice(this.#sleepers.indexOf(sleeper), 1);
        resolve();
      };
      const wake = () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      };
      const sleeper: Sleeper = { until: this.#now + ms, wake };
      this.#lay(sleeper);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Turns the clock forward by `ms`. */
  async advance(ms: number): Promise<void> {
    assert(ms >= 0, `the clock is not turned back: ${ms}`);
    const until = this.#now + ms;
    await settled();
    while (this.#sleepers.length > 0 && this.#sleepers[0]!.until <= until) await this.#wakeFirst();
    this.#now = until;
  }

  /** Turns the clock until the promise is settled, at most by `limitMs`, and gives what came of it. */
  async until<T>(promise: Promise<T>, limitMs = 86_400_000): Promise<T> {
    let isPending = true;
    const end = () => (isPending = false);
    promise.then(end, end);
    const last = this.#now + limitMs;
    await settled();
    while (isPending) {
      const next = this.#sleepers[0]?.until ?? Infinity;
      if (next > last) throw new MillraceError("internal", `nothing came of it until ${new Date(last).toISOString()}`);
      await this.#wakeFirst();
    }
    return promise;
  }

  /** Turns the clock until the condition holds, at most by `limitMs`. */
  async untilTrue(condition: () => boolean, limitMs = 86_400_000): Promise<void> {
    const last = this.#now + limitMs;
    await settled();
    while (!condition()) {
      const next = this.#sleepers[0]?.until ?? Infinity;
      if (next > last) throw new MillraceError("internal", `it did not come true until ${new Date(last).toISOString()}`);
      await this.#wakeFirst();
    }
  }

  #lay(sleeper: Sleeper): void {
    let at = this.#sleepers.length;
    while (at > 0 && this.#sleepers[at - 1]!.until > sleeper.until) at--;
    this.#sleepers.splice(at, 0, sleeper);
  }

  async #wakeFirst(): Promise<void> {
    const first = this.#sleepers.shift()!;
    this.#now = Math.max(this.#now, first.until);
    first.wake();
    await settled();
  }
}

/** Node empties the queue of promises before it turns to the next immediate. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
