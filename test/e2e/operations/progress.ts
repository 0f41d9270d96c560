/** When a job took in records, as its commits say: how long it stood still. */
import type { Look } from "../status-watch.ts";

export class Progress {
  #generation = 0;
  #records = 0;
  /** Of looks that found something new taken in: rising, epoch ms. */
  readonly #times: number[] = [];

  take({ at, status }: Look): void {
    const { generation, totals } = status;
    // What a new generation begins with was taken in before.
    if (generation === this.#generation && totals.records > this.#records) this.#times.push(at);
    [this.#generation, this.#records] = [generation, totals.records];
  }

  get lastAt(): number | undefined {
    return this.#times.at(-1);
  }

  /** The longest time between two looks that found something taken in, of those that reach into the interval, ms. */
  standstill(from: number, to: number): number {
    const before = this.#times.findLast((at) => at <= from) ?? from;
    const after = this.#times.find((at) => at >= to) ?? Date.now();
    const times = [before, ...this.#times.filter((at) => at > before && at < after), after];
    return Math.max(...times.slice(1).map((at, n) => at - times[n]!));
  }
}
