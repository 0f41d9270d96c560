/** Random input: records out of order and late, and between them the clock is turned. */
import fc from "fast-check";
import type { Step } from "./oracle.ts";

const records = fc.record({
  key: fc.constantFrom("a", "b", "c"),
  at: fc.integer({ min: -15_000, max: 40_000 }),
  gap: fc.constantFrom(500, 4_000, 9_000),
});

/** Records alone. */
export const events = numbered(fc.array(records, { maxLength: 50 }));

/**
 * Records, and times to which the clock is turned: whole tenths of seconds, so that no window ends at one of them. What is due at the
 * very time at which a record comes is done before the next turn, whichever record that is.
 */
export const eventsAndClock = numbered(
  fc.array(fc.oneof({ weight: 3, arbitrary: records }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 80 }) }), {
    maxLength: 50,
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

export const latenesses = fc.constantFrom(0, 1, 2_500, 20_000);
