/** Aggregators that come with the engine. All merge; those that can take a value back also retract. */
import type { Aggregator } from "./functions.ts";
import { invalid } from "./invalid.ts";

/** How many values. */
export function count(): Aggregator<unknown, number, number> {
  return {
    create: () => 0,
    add: (n) => n + 1,
    result: (n) => n,
    merge: (a, b) => a + b,
    retract: (n) => n - 1,
  };
}

/** The sum of a number of each value; 0 of none. */
export function sum<T>(of: (value: T) => number): Aggregator<T, number, number> {
  return {
    create: () => 0,
    add: (total, value) => total + of(value),
    result: (total) => total,
    merge: (a, b) => a + b,
    retract: (total, value) => total - of(value),
  };
}

/** The least number; Infinity of none. It cannot take a value back: what came second is not kept. */
export function min<T>(of: (value: T) => number): Aggregator<T, number, number> {
  return { create: () => Infinity, add: (least, value) => Math.min(least, of(value)), result: (least) => least, merge: Math.min };
}

/** The greatest number; -Infinity of none. It cannot take a value back: what came second is not kept. */
export function max<T>(of: (value: T) => number): Aggregator<T, number, number> {
  return { create: () => -Infinity, add: (most, value) => Math.max(most, of(value)), result: (most) => most, merge: Math.max };
}

/** The arithmetic mean; NaN of none. Keeps sum and count. */
export function average<T>(of: (value: T) => number): Aggregator<T, readonly [number, number], number> {
  return {
    create: () => [0, 0],
    add: ([total, n], value) => [total + of(value), n + 1],
    result: ([total, n]) => total / n,
    merge: ([totalA, nA], [totalB, nB]) => [totalA + totalB, nA + nB],
    retract: ([total, n], value) => [total - of(value), n - 1],
  };
}

/** Aggregators by name. */
type Parts = Readonly<Record<string, Aggregator<any, any, any>>>;
type Accumulators = Readonly<Record<string, unknown>>;
/** What every part accepts. */
type InputOf<P> = {
  [N in keyof P]: P[N] extends Aggregator<infer T, any, any> ? (value: T) => void : never;
}[keyof P] extends (value: infer T) => void
  ? T
  : never;
type ResultsOf<P> = { [N in keyof P]: P[N] extends Aggregator<any, any, infer R> ? R : never };

/**
 * Several aggregates in one pass: `combine({ n: count(), total: sum(…) })` gives `{ n, total }`. Merges and retracts when all
 * parts do. Its accumulator is stored by part name. Throws `invalid` for a part with a version: what is stored has one version,
 * so aggregators that migrate must be written as one.
 */
export function combine<T, R extends object>(parts: {
  readonly [P in keyof R]: Aggregator<T, any, R[P]>;
}): Aggregator<T, unknown, R>;
/** The same apart from a stream, where the parts alone say what is aggregated. */
export function combine<P extends Parts>(parts: P): Aggregator<InputOf<P>, unknown, ResultsOf<P>>;
export function combine(parts: Parts): Aggregator<any, any, any> {
  for (const [part, { version }] of Object.entries(parts))
    if (version !== undefined)
      throw invalid("an aggregator with a version cannot be combined: write one aggregator", { part, version });
  return combineAll(Object.entries(parts));
}

function combineAll(
  parts: readonly (readonly [string, Aggregator<any, any, any>])[],
): Aggregator<unknown, Accumulators, Accumulators> {
  const each = (of: (part: Aggregator<any, any, any>, name: string) => unknown): Accumulators =>
    Object.fromEntries(parts.map(([name, part]) => [name, of(part, name)]));
  return {
    create: () => each((part) => part.create()),
    add: (accumulators, value) => each((part, name) => part.add(accumulators[name], value)),
    result: (accumulators) => each((part, name) => part.result(accumulators[name])),
    ...(parts.every(([, part]) => part.merge) && {
      merge: (a: Accumulators, b: Accumulators) => each((part, name) => part.merge?.(a[name], b[name])),
    }),
    ...(parts.every(([, part]) => part.retract) && {
      retract: (accumulators: Accumulators, value: unknown) => each((part, name) => part.retract?.(accumulators[name], value)),
    }),
  };
}
