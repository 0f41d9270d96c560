/** The clock of a function: the machine's, with the end of the invocation under way. An environment runs one invocation at a time. */
import type { Clock } from "../runtime/ports/clock.ts";
import type { LambdaContext } from "./lambda-context.ts";

export class InvocationClock implements Clock {
  #context: LambdaContext | undefined;

  /** To be called at the beginning of each invocation. */
  begin(context: LambdaContext): void {
    this.#context = context;
  }

  now(): number {
    return Date.now();
  }

  remainingMs(): number {
    return this.#context?.getRemainingTimeInMillis() ?? Infinity;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms <= 0 || signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      signal?.addEventListener("abort", done, { once: true });
      function done(): void {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      }
    });
  }
}
