/**
 * Holds what an operator gave against what it should have given, and says the difference so that it can be read.
 *
 * Values are the same when `util.isDeepStrictEqual` says so.
 */
import { isDeepStrictEqual } from "node:util";
import { show } from "./operator-steps.ts";

/** A value that a sink was given, and the step after which. */
export interface GivenValue {
  readonly value: unknown;
  readonly step: number;
}

/** How much of the order counts. */
export type Ordering =
  | { readonly kind: "asListed" | "any" }
  /** Chunks of these lengths follow one another; within each, any order. */
  | { readonly kind: "chunks"; readonly lengths: readonly number[] }
  /** As listed among values of the same key. */
  | { readonly kind: "perKey"; readonly keyOf: (value: any) => unknown };

/** Lines that show the difference; undefined when there is none. */
export function differenceOf(
  expected: readonly unknown[],
  actual: readonly GivenValue[],
  ordering: Ordering,
  describe: (step: number) => string,
): readonly string[] | undefined {
  const note = ({ step }: GivenValue) => `given after ${describe(step)}`;
  switch (ordering.kind) {
    case "asListed":
      return inOrder(expected, actual, note);
    case "any":
      return inAnyOrder(expected, actual, note);
    case "chunks":
      return inChunks(expected, actual, ordering.lengths, note);
    case "perKey":
      return byKey(expected, actual, ordering.keyOf, note);
  }
}

type Note = (given: GivenValue) => string;

function missing(value: unknown): string {
  return `  - ${show(value)}   expected`;
}

function unexpected(given: GivenValue, note: Note): string {
  return `  + ${show(given.value)}   ${note(given)}`;
}

function inOrder(expected: readonly unknown[], actual: readonly GivenValue[], note: Note): readonly string[] | undefined {
  const sameLength = expected.length === actual.length;
  if (sameLength && expected.every((value, n) => isDeepStrictEqual(value, actual[n]?.value))) return undefined;
  return lineDiff(expected, actual, note);
}

/** Equal values at both ends are left out but for two; what is between is aligned along a longest common subsequence. */
function lineDiff(expected: readonly unknown[], actual: readonly GivenValue[], note: Note): readonly string[] {
  const same = (e: number, a: number) => isDeepStrictEqual(expected[e], actual[a]?.value);
  let from = 0;
  while (from < expected.length && from < actual.length && same(from, from)) from++;
  let left = 0;
  const tailMax = Math.min(expected.length, actual.length) - from;
  while (left < tailMax && same(expected.length - 1 - left, actual.length - 1 - left)) left++;
  const before = expected.slice(Math.max(0, from - 2), from).map((value) => `    ${show(value)}`);
  const after = expected.slice(expected.length - left, expected.length - left + 2).map((value) => `    ${show(value)}`);
  const middle = align(expected.slice(from, expected.length - left), actual.slice(from, actual.length - left), note);
  return [...skipped(from - 2), ...before, ...middle, ...after, ...skipped(left - 2)];
}

function skipped(count: number): readonly string[] {
  return count > 0 ? [`    … ${count} equal`] : [];
}

const alignedMax = 400;

function align(expected: readonly unknown[], actual: readonly GivenValue[], note: Note): readonly string[] {
  if (expected.length > alignedMax || actual.length > alignedMax)
    return [
      ...expected.slice(0, 1).map(missing),
      ...actual.slice(0, 1).map((given) => unexpected(given, note)),
      `    … ${expected.length} expected, ${actual.length} given from here on`,
    ];
  const common = commonLengths(expected, actual);
  const lines: string[] = [];
  let e = 0;
  let a = 0;
  while (e < expected.length || a < actual.length) {
    const isSame = e < expected.length && a < actual.length && isDeepStrictEqual(expected[e], actual[a]?.value);
    if (isSame) {
      lines.push(`    ${show(expected[e++])}`);
      a++;
    } else if (e < expected.length && (a >= actual.length || common[e + 1]![a]! >= common[e]![a + 1]!))
      lines.push(missing(expected[e++]));
    else lines.push(unexpected(actual[a++] as GivenValue, note));
  }
  return lines;
}

/** `[e][a]`: the length of a longest common subsequence of what follows from e and a on. */
function commonLengths(expected: readonly unknown[], actual: readonly GivenValue[]): readonly (readonly number[])[] {
  const common = Array.from({ length: expected.length + 1 }, () => new Array<number>(actual.length + 1).fill(0));
  for (let e = expected.length - 1; e >= 0; e--)
    for (let a = actual.length - 1; a >= 0; a--)
      common[e]![a] = isDeepStrictEqual(expected[e], actual[a]?.value)
        ? common[e + 1]![a + 1]! + 1
        : Math.max(common[e + 1]![a]!, common[e]![a + 1]!);
  return common;
}

function inAnyOrder(expected: readonly unknown[], actual: readonly GivenValue[], note: Note): readonly string[] | undefined {
  const left = [...actual];
  const lacking = expected.filter((value) => {
    const at = left.findIndex((given) => isDeepStrictEqual(given.value, value));
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
  if (lacking.length === 0 && left.length === 0) return undefined;
  return [...skipped(expected.length - lacking.length), ...lacking.map(missing), ...left.map((given) => unexpected(given, note))];
}

function inChunks(
  expected: readonly unknown[],
  actual: readonly GivenValue[],
  lengths: readonly number[],
  note: Note,
): readonly string[] | undefined {
  let from = 0;
  for (const length of [...lengths, Infinity]) {
    const lines = inAnyOrder(expected.slice(from, from + length), actual.slice(from, from + length), note);
    if (lines !== undefined) return [...skipped(from), ...lines];
    from += length;
  }
  return undefined;
}

function byKey(
  expected: readonly unknown[],
  actual: readonly GivenValue[],
  keyOf: (value: any) => unknown,
  note: Note,
): readonly string[] | undefined {
  const keys = new Set([...expected, ...actual.map(({ value }) => value)].map((value) => show(keyOf(value))));
  for (const key of keys) {
    const lines = inOrder(
      expected.filter((value) => show(keyOf(value)) === key),
      actual.filter(({ value }) => show(keyOf(value)) === key),
      note,
    );
    if (lines !== undefined) return [`  of key ${key}:`, ...lines];
  }
  return undefined;
}
