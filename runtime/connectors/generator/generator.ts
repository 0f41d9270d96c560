/**
 * Made-up records as a source: for trying a job out, for tests and benchmarks.
 *
 * A record is its index. The value is made of it when the record is decoded, so a replay makes the same values again, and a
 * dead letter names the index.
 */
import type { Source, SourceRecord } from "../../api/connector.ts";
import { MillraceError, messageOf } from "../../base/errors.ts";
import { SeededRandom } from "./seeded-random.ts";

export interface GeneratorOptions<T> {
  readonly seed: number;
  /** How many records in all; default: no end. */
  readonly count?: number;
  /** The value of record `index` (0, 1, 2, …). Must depend on its arguments alone; `random` gives numbers in [0, 1). */
  readonly next: (index: number, random: () => number) => T;
  /** Record `i` is in shard `i mod shards`; default 1. */
  readonly shards?: number;
  /** In all shards together; default: as fast as they are read. */
  readonly ratePerSecond?: number;
}

/** Records made by a function; a record's arrival time is when it was read. */
export function generator<T>(options: GeneratorOptions<T>): Source<T> {
  const { seed, count, next, shards = 1, ratePerSecond } = options;
  if (!Number.isFinite(seed)) throw new MillraceError("invalid", `a generator's seed is a number: ${seed}`);
  if (count !== undefined && !(Number.isSafeInteger(count) && count >= 0)) invalid("count", count);
  if (!(Number.isSafeInteger(shards) && shards >= 1)) invalid("shards", shards);
  if (ratePerSecond !== undefined && !(ratePerSecond > 0)) invalid("ratePerSecond", ratePerSecond);
  const random = new SeededRandom(seed);
  const valueOf = (record: SourceRecord) => {
    const index = Number(record.text ?? Buffer.from(record.bytes).toString("latin1"));
    random.restart(index);
    return next(index, random.next);
  };
  return {
    kind: "generator",
    name: "generator",
    bounded: count !== undefined,
    options: { seed, count, shards, ratePerSecond },
    decode: (record, target) => {
      let value: T;
      try {
        value = valueOf(record);
      } catch (error) {
        return target.reject(`the generator's next() threw: ${messageOf(error)}`);
      }
      target.accept(value);
    },
  };
}

function invalid(option: string, value: number): never {
  throw new MillraceError("invalid", `a generator's ${option} is a positive number: ${value}`);
}
