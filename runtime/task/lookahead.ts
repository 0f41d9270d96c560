/**
 * Records of a keyed operator that are taken in together, so that their rows are looked up side by side: rows lie scattered in memory,
 * and a look-up alone waits for each. Bounded, and empty between the steps of a task.
 *
 * Owns the few records that an operator has been given and has not yet seen. What the operator sees, and in which order, does not
 * depend on it.
 */
import { aheadMax } from "../state/keyed-store.ts";

export class Lookahead {
  readonly keys: string[] = [];
  readonly values: unknown[] = [];
  readonly timestamps: number[] = [];
  readonly inputs: number[] = [];
  count = 0;

  constructor() {
    for (let at = 0; at < aheadMax; at++) this.put(at, "", undefined, NaN, 0);
  }

  /** True when it is full. */
  add(key: string, value: unknown, timestamp: number, input: number): boolean {
    this.put(this.count, key, value, timestamp, input);
    return ++this.count === aheadMax;
  }

  private put(at: number, key: string, value: unknown, timestamp: number, input: number): void {
    this.keys[at] = key;
    this.values[at] = value;
    this.timestamps[at] = timestamp;
    this.inputs[at] = input;
  }

  /** Takes the records out. They stay where they are until others take their places. */
  take(): number {
    const { count } = this;
    this.count = 0;
    return count;
  }
}
