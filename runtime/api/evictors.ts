/**
 * Evictors as an author names them: which records leave a window before its function sees them, or after. With one, a window keeps
 * every record, so nothing is folded on arrival. Declarations alone; after Flink's evictors.
 */
import type { Duration } from "./duration.ts";

declare const brand: unique symbol;

export interface EvictorOptions {
  /** Evict after the window's function instead of before it; default false. */
  after?: boolean;
}

/** What the engine knows of an evictor. */
export type EvictorSpec = { readonly after: boolean } & (
  | { readonly kind: "count"; readonly keep: number }
  | { readonly kind: "time"; readonly keepMs: number }
  | { readonly kind: "delta"; readonly threshold: number; readonly distance: (value: any, last: any) => number }
);

export interface Evictor<in T> {
  readonly spec: EvictorSpec;
  readonly [brand]?: (value: T) => void;
}

/** Which records a window that fires lets go. */
export const evictors = {
  /** All but the last `keep` records, in the order of their arrival (Flink's CountEvictor). */
  count(keep: number, { after = false }: EvictorOptions = {}): Evictor<unknown> {
    return { spec: { kind: "count", keep, after } };
  },
  /**
   * Records whose timestamp is not after the window's latest minus `keep`; none when the first record has no timestamp (Flink's
   * TimeEvictor).
   */
  time(keep: Duration, { after = false }: EvictorOptions = {}): Evictor<unknown> {
    return { spec: { kind: "time", keepMs: keep, after } };
  },
  /** Records whose distance to the last one is `threshold` or more (Flink's DeltaEvictor). */
  delta<T>(threshold: number, distance: (value: T, last: T) => number, { after = false }: EvictorOptions = {}): Evictor<T> {
    return { spec: { kind: "delta", threshold, distance, after } };
  },
};
