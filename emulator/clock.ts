/** Time, as the parts of the emulated cloud that need no server of others see it: the machine's, or one that is turned by hand. */

export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Returns early when the signal is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (ms <= 0 || signal?.aborted === true) return resolve();
      const wake = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      // A timer of Node has 31 bits: a longer sleep ends early, which those who sleep in loops bear.
      const timer = setTimeout(wake, Math.min(ms, 2 ** 31 - 1));
      signal?.addEventListener("abort", wake, { once: true });
    }),
};
