/** Branches of one stream that meet again: what they make of a record comes before what they make of the next, however records come. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { keyedProcess, type SourceStream, type, value } from "../../runtime/index.ts";
import { harness } from "../../runtime/testing/index.ts";
import { type Event, event, pipeline, twoSources } from "./pipeline.ts";

/** Says of each record, by name, the how-manieth of its key it is. */
const keyed = (events: SourceStream<Event>, name: string) =>
  events
    .keyBy(({ key }) => key as string)
    .process(
      name,
      keyedProcess({
        state: { seen: value<number>() },
        output: type<string>(),
        onRecord({ n }, ctx) {
          ctx.state.seen.set((ctx.state.seen.get() ?? 0) + 1);
          ctx.emit(`${name} ${n}: ${ctx.state.seen.get()}`);
        },
      }),
    );

const count = 200;
const records = Array.from({ length: count }, (_, n) => ({ value: event(`k${n % 3}`, n, n) }));
const seenOf = (n: number) => Math.floor(n / 3) + 1;
const rowsOf = (...names: readonly string[]) => records.flatMap((_, n) => names.map((name) => `${name} ${n}: ${seenOf(n)}`));

describe("branches that meet again", () => {
  const jobs = {
    "of a source": pipeline((events) => keyed(events, "a").union(keyed(events, "b"))),
    "further on": pipeline((events) => {
      const copies = events.map("copy", (event) => event);
      return keyed(copies as SourceStream<Event>, "a").union(keyed(copies as SourceStream<Event>, "b"));
    }),
  };
  for (const [name, job] of Object.entries(jobs))
    for (const recordsPerTurn of [1, 7, count])
      test(`${name}, ${recordsPerTurn} at a time`, async () => {
        const run = await harness(job, { recordsPerTurn, parallelism: 1 });
        await run.push("in", ...records);
        assert.deepEqual(run.output("out"), rowsOf("a", "b"));
      });

  test("streams of two sources stay in the order in which the sources were read", async () => {
    const job = twoSources((a, b) => keyed(a, "fromA").union(keyed(b, "fromB")));
    const run = await harness(job, { parallelism: 1 });
    await run.push("a", ...records.slice(0, 100));
    await run.push("b", ...records);
    await run.push("a", ...records.slice(100));
    assert.deepEqual(run.output("out"), [...rowsOf("fromA").slice(0, 100), ...rowsOf("fromB"), ...rowsOf("fromA").slice(100)]);
  });
});
