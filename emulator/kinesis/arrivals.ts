/** Wakes those who wait for records of a stream. */
export class Arrivals {
  readonly #waiting = new Map<string, Set<() => void>>();

  /** To be called when records were appended to the stream, or its shards changed. */
  announce(stream: string): void {
    const waiting = this.#waiting.get(stream);
    this.#waiting.delete(stream);
    for (const wake of waiting ?? []) wake();
  }

  /** Resolves at the next announcement, or when the signal is aborted. */
  next(stream: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(stream) ?? new Set();
      this.#waiting.set(stream, waiting);
      const wake = () => {
        signal.removeEventListener("abort", wake);
        waiting.delete(wake);
        resolve();
      };
      waiting.add(wake);
      signal.addEventListener("abort", wake, { once: true });
    });
  }
}
