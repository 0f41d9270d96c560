/**
 * Watermark generators, one per source shard: what a strategy makes of the records of that shard.
 *
 * G1 A generator is a function of the records before it: no clock, no batches.
 * G2 `onRecord` returns `minWatermark` when the generator has not moved, so that a caller's comparison is also its test.
 * G3 `snapshot()` is plain data; a generator made from it goes on as the first would have.
 *
 * The grid, idleness and the rule that watermarks never go back are the caller's (source-watermarks.ts).
 */
import type { WatermarkGenerator, WatermarkSpec } from "../api/watermarks.ts";
import { MillraceError, shownValue } from "../base/errors.ts";
import { loadWatermark, maxWatermark, minWatermark, storeWatermark, type StoredWatermark } from "./watermark.ts";

/** Time that only ends: of a stream in batch mode. */
export const noWatermarks: WatermarkSpec = {
  kind: "custom",
  generator: { create: () => null, onRecord: () => undefined },
  idleAfter: undefined,
  advanceWhenIdle: false,
};

/** The generator of one shard. */
export interface ShardGenerator {
  /** The generator's new watermark, epoch ms, or `minWatermark` when the record does not move it. */
  onRecord(value: unknown, timestamp: number): number;
  /** Plain data. A custom generator's is the author's own object, so it must be written out before the next record. */
  snapshot(): unknown;
}

/** A fresh generator, or the one that `stored` (from `snapshot()`) describes. */
export function createGenerator(spec: WatermarkSpec, stored?: unknown): ShardGenerator {
  if (spec.kind === "custom") return new CustomGenerator(spec.generator, stored === undefined ? spec.generator.create() : stored);
  return new BoundedGenerator(spec.boundMs, stored === undefined ? minWatermark : loadWatermark(stored as StoredWatermark));
}

/**
 * Watermark = highest timestamp − bound − 1 ms; with bound 0 the one for ascending timestamps.
 * (Flink's BoundedOutOfOrdernessWatermarks and AscendingTimestampsWatermarks, but per record instead of per interval.)
 */
class BoundedGenerator implements ShardGenerator {
  readonly #delayMs: number;
  #highest: number;

  constructor(boundMs: number, highest: number) {
    this.#delayMs = boundMs + 1;
    this.#highest = highest;
  }

  onRecord(_value: unknown, timestamp: number): number {
    // Written so that a timestamp that is not a number moves nothing.
    if (!(timestamp > this.#highest)) return minWatermark;
    this.#highest = timestamp;
    return timestamp - this.#delayMs;
  }

  snapshot(): StoredWatermark {
    return storeWatermark(this.#highest);
  }
}

/** Calls the author's generator (Flink's punctuated generators). */
class CustomGenerator implements ShardGenerator {
  readonly #generator: WatermarkGenerator<unknown, unknown>;
  readonly #state: unknown;

  constructor(generator: WatermarkGenerator<unknown, unknown>, state: unknown) {
    this.#generator = generator;
    this.#state = state;
  }

  onRecord(value: unknown, timestamp: number): number {
    const watermark: unknown = this.#generator.onRecord(this.#state, value, timestamp);
    if (watermark === undefined) return minWatermark;
    if (typeof watermark === "number" && watermark < maxWatermark) return watermark;
    throw new MillraceError("user", `a watermark generator answers epoch milliseconds or undefined: ${shownValue(watermark)}`);
  }

  snapshot(): unknown {
    return this.#state;
  }
}
