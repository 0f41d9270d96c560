import { isDeepStrictEqual } from "node:util";
import type { Failure } from "./vector.ts";

/** A failure unless `actual` is deeply and strictly equal to `expected`; `at` says where in the vector. */
export function compare(actual: unknown, expected: unknown, at?: string): Failure | undefined {
  if (isDeepStrictEqual(actual, expected)) return undefined;
  return at === undefined ? { expected, actual } : { expected: { at, is: expected }, actual: { at, is: actual } };
}
