/** The machine's clock. */
import { setTimeout as wait } from "node:timers/promises";
import type { Clock } from "../../ports/clock.ts";

export class SystemClock implements Clock {
  readonly #deadline: number;

  /** `deadline`: epoch ms at which the invocation ends; without it nothing ends it. */
  constructor(options: { readonly deadline?: number } = {}) {
    this.#deadline = options.deadline ?? Number.POSITIVE_INFINITY;
  }

  now(): number {
    return Date.now();
  }

  remainingMs(): number {
    return Math.max(0, this.#deadline - Date.now());
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    try {
      await wait(Math.max(0, ms), undefined, { signal });
    } catch (error) {
      if (!(error instanceof Error && error.name === "AbortError")) throw error;
    }
  }
}
