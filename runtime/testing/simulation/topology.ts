/** What a simulated job is, and what the jobs have in common. */
import type { JobOptions } from "../../api/graph.ts";
import type { Job } from "../../api/job.ts";
import type { JobBuilder } from "../../api/job-builder.ts";
import { millis } from "../../api/duration.ts";
import { boundedOutOfOrderness, type WatermarkStrategy } from "../../api/watermarks.ts";
import type { SeededRandom } from "../../base/seeded-random.ts";
import type { Sizes } from "./settings.ts";
import type { Outside } from "./sinks.ts";
import { type DeadlyPlace, outOfOrdernessMs, type SimRecord, simulatedSource, type Touch } from "./workload.ts";

/** What must have come out: rows of each list, in any order, and the last row of each key of each table. */
export interface Expected {
  readonly lists: ReadonlyMap<string, readonly unknown[]>;
  /** Lists of which not all need have come out. */
  readonly some?: ReadonlySet<string>;
  /** Lists of changes: the rows are what is left when they are laid over each other. */
  readonly changes?: ReadonlySet<string>;
  readonly tables: ReadonlyMap<string, ReadonlyMap<string, unknown>>;
}

export interface Topology {
  readonly name: string;
  readonly sources: readonly string[];
  /** What comes out depends on the order in which records come, or on when: not for batch mode, which sorts them. */
  readonly asTheyCome?: boolean;
  /** Where records may kill; default: "timestamp" and "keyed". */
  readonly deadly?: readonly DeadlyPlace[];
  /** Sizes of its own. */
  draw?(random: SeededRandom): Partial<Sizes>;
  /** Of a topology of stages: the same with so many of them at most. */
  upTo?(stages: number): Topology;
  /** Sources are keyed already, and so not sorted in parallel. */
  readonly keyedSource?: boolean;
  /** A job that is defined elsewhere, with these options: in the place of what `build` would make. */
  define?(options: JobOptions, touch: Touch): Job;
  /** `outside`: what sinks of its own write to. */
  build(job: JobBuilder, touch: Touch, outside: Outside): void;
  /** Of the records that kill nobody. `timers`: those whose timers kill. */
  expect(records: readonly SimRecord[], timers: readonly SimRecord[]): Expected;
}

export const inOrder = boundedOutOfOrderness(millis(outOfOrdernessMs));
/** Its shards fall idle: for what does not mind which record is late. */
export const restless = inOrder.withIdleness(millis(20));
/** Sources that wait for one another. */
export const aligned = inOrder.withAlignment("all", millis(60), millis(20));

export function read(job: JobBuilder, source: string, touch: Touch, watermarks: WatermarkStrategy<SimRecord> = inOrder) {
  return job.source(source, simulatedSource(source), {
    timestamps: (record) => {
      touch(record, "timestamp");
      return record.at;
    },
    watermarks,
  });
}

export function startOf(at: number, sizeMs: number): number {
  return Math.floor(at / sizeMs) * sizeMs;
}

/** Groups in the order of their first record. */
export function groupBy<T>(records: readonly T[], key: (record: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const record of records) {
    const group = groups.get(key(record));
    if (group === undefined) groups.set(key(record), [record]);
    else group.push(record);
  }
  return groups;
}

export const byKey = (row: { readonly key: string }) => row.key;
