/** The diagrams of docs/semantics.md, each held to the job that it names. */
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { suite, test } from "node:test";
import assert from "node:assert/strict";
import {
  boundedOutOfOrderness,
  count,
  type DataStream,
  hours,
  type Job,
  minutes,
  monotonous,
  seconds,
  tumbling,
} from "../../runtime/index.ts";
import { harness, marbles, type OperatorTest, verifyMarbles } from "../../runtime/testing/index.ts";
import { type Event, pipeline, twoSources } from "../operators/pipeline.ts";

/** Counts per key in windows of 10 s. */
const counts = (events: DataStream<Event>): DataStream<unknown> =>
  events
    .keyBy(({ key }) => key as string)
    .window(tumbling(seconds(10)))
    .aggregate("count", count(), (key, { start, end }, n) => [key, start, end, n]);

interface Shown extends Pick<OperatorTest, "order"> {
  readonly job: Job;
  /** Of a job without checkpoints. */
  readonly onlyOnce?: true;
}

const jobs: Readonly<Record<string, Shown>> = {
  "counts-bound-1s": { job: pipeline(counts, { watermarks: boundedOutOfOrderness(seconds(1)) }), order: "anyBetweenWatermarks" },
  union: { job: twoSources((a, b) => counts(a.union(b)), { watermarks: boundedOutOfOrderness(hours(1)) }) },
  "idle-1m": { job: twoSources((a, b) => counts(a.union(b)), { watermarks: monotonous().withIdleness(minutes(1)) }) },
  "advance-1m": { job: pipeline(counts, { watermarks: monotonous().withIdleness(minutes(1)).advanceWhenIdle() }) },
  batch: { job: pipeline(counts, { mode: "batch" }), onlyOnce: true },
};

const page = await readFile(join(resolve(import.meta.dirname, "../.."), "docs/semantics.md"), "utf8");
const diagrams = [...page.matchAll(/```marbles (\S+)\n(.*?)```/gs)].map(
  ([, name, text]) => [name as string, text as string] as const,
);

suite("the diagrams of docs/semantics.md", () => {
  test("are there, and every job is shown", () => {
    assert.deepEqual(diagrams.map(([name]) => name).sort(), Object.keys(jobs).sort());
  });
  for (const [name, text] of diagrams)
    test(name, async () => {
      const { job, onlyOnce, ...how } = jobs[name] as Shown;
      if (onlyOnce !== true) return verifyMarbles(job, text, how);
      const { steps, expected } = marbles(text);
      const run = await harness(job);
      for (const step of steps) {
        if ("endInput" in step) await run.endInput(step.source);
        else if (!("processingTime" in step)) await run.push(step.source, step);
        if (!("endInput" in step)) assert.deepEqual(run.output("out"), []);
      }
      assert.deepEqual(run.output("out"), expected.out);
    });
});
