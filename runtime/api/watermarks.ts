import { type Duration, seconds } from "./duration.ts";

declare const brand: unique symbol;

/** A per-record generator; `S` is part of the snapshot and is stored after each batch. */
export interface WatermarkGenerator<T, S> {
  create(): S;
  /** Sees each record of one shard; may change `state`; returns a new watermark (epoch ms) or undefined. */
  onRecord(state: S, value: T, timestamp: number): number | undefined;
}

/** Shards of all sources of a group are read side by side: none runs further ahead of the slowest than `maxDriftMs`. */
export interface AlignmentSpec {
  readonly group: string;
  readonly maxDriftMs: number;
  readonly updateIntervalMs: number;
}

/** What the engine knows of a strategy. */
export type WatermarkSpec = {
  readonly idleAfter: number | undefined;
  readonly advanceWhenIdle: boolean;
  readonly alignment?: AlignmentSpec;
} & (
  | { readonly kind: "bounded"; readonly boundMs: number }
  | {
      readonly kind: "custom";
      readonly generator: WatermarkGenerator<any, any>;
      /** How far an idle source's watermark stays behind the wall clock; default 0. */
      readonly boundMs?: number;
      /** What the generator answers is taken as it is, not put on the job's grid: for a generator that keeps to a grid itself. */
      readonly offGrid?: boolean;
    }
);

export interface WatermarkStrategy<in T> {
  readonly spec: WatermarkSpec;
  /** A shard without records for so long no longer holds the watermark back (Flink's withIdleness). */
  withIdleness(after: Duration): WatermarkStrategy<T>;
  /** When every shard is idle, the watermark follows the wall clock minus the bound. Needs `withIdleness`. */
  advanceWhenIdle(): WatermarkStrategy<T>;
  /**
   * A shard whose watermark is more than `maxDrift` ahead of the slowest in the group, over all sources that name it, is not read until
   * the others have caught up (Flink's withWatermarkAlignment). Idle and ended shards, and those in which nothing is left to read,
   * hold nobody back. Results do not depend on it: it bounds what waits in state for the slowest. Tasks tell of their watermarks every
   * `updateInterval`, default 1 s.
   */
  withAlignment(group: string, maxDrift: Duration, updateInterval?: Duration): WatermarkStrategy<T>;
  readonly [brand]?: (value: T) => void;
}

function strategy(spec: WatermarkSpec): WatermarkStrategy<any> {
  return {
    spec,
    withIdleness: (after) => strategy({ ...spec, idleAfter: after }),
    advanceWhenIdle: () => strategy({ ...spec, advanceWhenIdle: true }),
    withAlignment: (group, maxDriftMs, updateIntervalMs = seconds(1)) =>
      strategy({ ...spec, alignment: { group, maxDriftMs, updateIntervalMs } }),
  };
}

/** Timestamps grow within each shard: watermark = highest timestamp − 1 ms (Flink's forMonotonousTimestamps). */
export function monotonous(): WatermarkStrategy<unknown> {
  return strategy({ kind: "bounded", boundMs: 0, idleAfter: undefined, advanceWhenIdle: false });
}
/** Records are at most `bound` behind the highest timestamp: watermark = highest − bound − 1 ms (Flink's forBoundedOutOfOrderness). */
export function boundedOutOfOrderness(bound: Duration): WatermarkStrategy<unknown> {
  return strategy({ kind: "bounded", boundMs: bound, idleAfter: undefined, advanceWhenIdle: false });
}
/** A generator of the author's own (Flink's forGenerator), called for each record. */
export function customWatermarks<T, S>(generator: WatermarkGenerator<T, S>): WatermarkStrategy<T> {
  return strategy({ kind: "custom", generator, idleAfter: undefined, advanceWhenIdle: false });
}
