/**
 * So much per second. A second begins with the first use after rest; what is taken beyond it is owed to the seconds that follow, as
 * Kinesis makes a reader that got 10 MB at 2 MB/s wait for five of them.
 */
export class SecondsQuota {
  #used = 0;
  #since = -Infinity;

  /** True when something is left of this second. */
  isOpen(now: number, perSecond: number): boolean {
    return this.left(now, perSecond) > 0;
  }

  /** What may still be taken in this second; negative when something is owed. */
  left(now: number, perSecond: number): number {
    const seconds = Math.floor((now - this.#since) / 1000);
    if (seconds >= 1) {
      this.#used = Math.max(0, this.#used - Math.min(seconds * perSecond, this.#used));
      this.#since = this.#used === 0 ? now : this.#since + seconds * 1000;
    }
    return perSecond - this.#used;
  }

  /** To be called after `left` at the same time. */
  take(amount: number): void {
    this.#used += amount;
  }
}
