/** Wakes those who wait for something to have changed. A ring that nobody waits for is kept for the next who does. */
export class Doorbell {
  #isRung = false;
  #waiting: (() => void)[] = [];

  ring(): void {
    this.#isRung = this.#waiting.length === 0;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Until the next ring, or until the signal is aborted. */
  wait(signal: AbortSignal): Promise<void> {
    if (this.#isRung || signal.aborted) {
      this.#isRung = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const wake = () => {
        signal.removeEventListener("abort", wake);
        this.#waiting = this.#waiting.filter((other) => other !== wake);
        resolve();
      };
      this.#waiting.push(wake);
      signal.addEventListener("abort", wake, { once: true });
    });
  }
}
