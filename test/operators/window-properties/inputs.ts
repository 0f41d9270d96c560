/** Random input: records out of order and late, and between them the clock is turned. */
import fc from "fast-check";
import type { Step } from "./oracle.ts";

/** Mostly where windows and watermarks have their edges, and a millisecond beside them. */
function times(range: { readonly min: number; readonly max: number }): fc.Arbitrary<number> {
  const halfSeconds = fc.integer({ min: range.min / 500, max: range.max / 500 });
  const beside = fc.constantFrom(0, 0, -1, 1);
  return fc.oneof(
    { weight: 3, arbitrary: fc.tuple(halfSeconds, beside).map(([half, ms]) => half * 500 + ms) },
    { weight: 1, arbitrary: fc.integer(range) },
  );
}

const gaps = fc.constantFrom(500, 2_000, 4_500);

/** Records alone. */
export const events = numbered(
  fc.array(fc.record({ key: fc.constantFrom("a", "b", "c"), at: times({ min: -8_000, max: 20_000 }), gap: gaps }), {
    maxLength: 50,
  }),
);

const fewer = fc.record({ key: fc.constantFrom("a", "b"), at: times({ min: -3_000, max: 9_000 }), gap: gaps });

/**
 * Records, and times to which the clock is turned: whole tenths of seconds, so that no window ends at one of them. What is due at the
 * very time at which a record comes is done before the next turn, whichever record that is.
 */
export const eventsAndClock = numbered(
  fc.array(fc.oneof({ weight: 2, arbitrary: fewer }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 12 }) }), {
    maxLength: 40,
  }),
);

type Draft = number | { readonly key: string; readonly at: number; readonly gap: number };

function numbered(drafts: fc.Arbitrary<Draft[]>): fc.Arbitrary<Step[]> {
  return drafts.map((list) => {
    let clock = 0;
    return list.map((draft, n) => (typeof draft === "number" ? { clock: (clock += draft * 100) } : { ...draft, n }));
  });
}

/** Over some days, with watermarks half a day behind. */
export function days(from: string, count: number): fc.Arbitrary<Step[]> {
  const hours = fc.integer({ min: 0, max: count * 24 * 4 });
  const drafts = fc.array(fc.record({ key: fc.constantFrom("a", "b"), quarter: hours, gap: fc.constant(0) }), { maxLength: 40 });
  return numbered(
    drafts.map((list) => list.map(({ quarter, ...draft }) => ({ ...draft, at: Date.parse(from) + quarter * 900_000 }))),
  );
}

export const latenesses = fc.constantFrom(0, 1, 2_000, 20_000);
