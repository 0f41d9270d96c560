import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { average, combine, count, max, min, sum } from "../../runtime/api/aggregators.ts";
import type { Aggregator } from "../../runtime/api/functions.ts";
import { isKind } from "../../runtime/base/errors.ts";

type OfNumbers = Aggregator<number, any, unknown>;
const number = (value: number) => value;
const integers = fc.array(fc.integer({ min: -1_000, max: 1_000 }));

const all: Readonly<Record<string, { aggregator: OfNumbers; oracle: (values: number[]) => unknown; none: unknown }>> = {
  count: { aggregator: count(), oracle: (values) => values.length, none: 0 },
  sum: { aggregator: sum(number), oracle: (values) => values.reduce((a, b) => a + b, 0), none: 0 },
  min: { aggregator: min(number), oracle: (values) => values.toSorted((a, b) => a - b)[0], none: Infinity },
  max: { aggregator: max(number), oracle: (values) => values.toSorted((a, b) => b - a)[0], none: -Infinity },
  average: { aggregator: average(number), oracle: (values) => values.reduce((a, b) => a + b, 0) / values.length, none: NaN },
  combine: {
    aggregator: combine({ n: count(), total: sum(number) }),
    oracle: (values) => ({ n: values.length, total: values.reduce((a, b) => a + b, 0) }),
    none: { n: 0, total: 0 },
  },
};

function accumulate(aggregator: OfNumbers, values: readonly number[]): unknown {
  return values.reduce((accumulator, value) => aggregator.add(accumulator, value), aggregator.create());
}

for (const [name, { aggregator, oracle, none }] of Object.entries(all)) {
  test(`${name} is what it says`, () => {
    assert.deepEqual(aggregator.result(aggregator.create()), none);
    const property = (values: number[]) =>
      assert.deepEqual(aggregator.result(accumulate(aggregator, values)), values.length ? oracle(values) : none);
    fc.assert(fc.property(integers, property));
  });

  test(`${name} merges: two parts give what the whole gives, and neither part is changed`, () => {
    const property = (left: number[], right: number[]) => {
      const [a, b] = [accumulate(aggregator, left), accumulate(aggregator, right)];
      const before = structuredClone([a, b]);
      assert.deepEqual(aggregator.merge!(a, b), accumulate(aggregator, [...left, ...right]));
      assert.deepEqual([a, b], before);
    };
    fc.assert(fc.property(integers, integers, property));
  });

  test(`${name} ${aggregator.retract ? "takes back what was added" : "has no retract"}`, () => {
    assert.equal(aggregator.retract === undefined, name === "min" || name === "max");
    const property = (kept: number[], taken: number[]) => {
      const everything = accumulate(aggregator, [...kept, ...taken]);
      const left = taken.reduce((accumulator, value) => aggregator.retract!(accumulator, value), everything);
      assert.deepEqual(left, accumulate(aggregator, kept));
    };
    if (aggregator.retract) fc.assert(fc.property(integers, integers, property));
  });
}

test("combine merges and retracts only when all parts do", () => {
  const last: OfNumbers = { create: () => 0, add: (_, value) => value, result: (value) => value };
  assert.equal(combine({ n: count(), last }).merge, undefined);
  assert.equal(combine({ n: count(), most: max(number) }).retract, undefined);
  assert.ok(combine({ n: count(), most: max(number) }).merge);
});

test("combine refuses parts whose accumulators have a version", () => {
  const versioned: OfNumbers = { ...count(), version: 1 };
  const refused = (error: unknown) => isKind(error, "invalid") && error.context["part"] === "n";
  assert.throws(() => combine({ m: count(), n: versioned }), refused);
});
