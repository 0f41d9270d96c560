/** Windows that are over leave nothing behind: no state, no timer, whatever their trigger and evictor did. */
import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  boundedOutOfOrderness,
  cumulating,
  evictors,
  millis,
  reducing,
  seconds,
  session,
  sliding,
  triggers,
  tumbling,
  type,
  type Evictor,
  type Trigger,
  type TimeWindow,
  type WindowAssigner,
} from "../../../runtime/index.ts";
import type { TakenSnapshot } from "../../../runtime/testing/harness-snapshot.ts";
import { harness } from "../../../runtime/testing/index.ts";
import { readIndex } from "../../../runtime/snapshots/segment.ts";
import { pipeline } from "../pipeline.ts";
import { eventsAndClock, latenesses } from "./inputs.ts";
import type { Event, Step } from "./oracle.ts";
import { weighedTrigger } from "./weighed-trigger.ts";

const time = "processing" as const;
const kinds: Readonly<Record<string, WindowAssigner<any, TimeWindow>>> = {
  tumbling: tumbling(seconds(5)),
  sliding: sliding(seconds(6), seconds(2)),
  cumulating: cumulating(seconds(2), seconds(6)),
  session: session(seconds(4)),
  "session of a dynamic gap": session((e: Event) => millis(e.gap)),
  "tumbling by the clock": tumbling(seconds(2), { time }),
  "sliding by the clock": sliding(seconds(2), seconds(1), { time }),
  "session by the clock": session(seconds(1), { time }),
};

const distance = (a: Event, b: Event) => Math.abs(a.at - b.at);
const merging: readonly Trigger<any, any>[] = [
  triggers.eventTime(),
  triggers.processingTime(),
  triggers.count(2),
  triggers.continuousEventTime(millis(1_500)),
  triggers.continuousProcessingTime(millis(700)),
  weighedTrigger(1_200),
];
const others: readonly Trigger<any, any>[] = [
  triggers.never(),
  triggers.delta<Event>(1_500, distance),
  triggers.timeOut(triggers.count(3), seconds(1)),
  triggers.timeOut(triggers.eventTime(), seconds(1), { resetTimerOnNewRecord: true }),
  triggers.timeOut(triggers.eventTime(), seconds(1), { shouldClearOnTimeout: false }),
];
const eviction = fc.constantFrom<Evictor<Event> | undefined>(
  undefined,
  evictors.count(1),
  evictors.time(millis(0)),
  evictors.delta<Event>(1_500, distance, { after: true }),
);

async function rowsLeft(
  input: readonly Step[],
  assigner: WindowAssigner<any, TimeWindow>,
  options: { trigger: Trigger<any, any>; evictor: Evictor<Event> | undefined; latenessMs: number; parallelism: number },
): Promise<number> {
  const job = pipeline(
    (stream) => {
      const keyed = stream.keyBy(({ key }) => key as string);
      const windows = keyed.window(assigner).trigger(options.trigger).allowedLateness(millis(options.latenessMs));
      return (options.evictor ? windows.evictor(options.evictor as Evictor<any>) : windows).process("windows", {
        output: type<number>(),
        windowState: { fired: reducing<number>((a, b) => a + b) },
        onWindow: (_window, _values, ctx) => ctx.windowState.fired.add(1),
      });
    },
    { watermarks: boundedOutOfOrderness(seconds(3)) },
  );
  const run = await harness(job, { parallelism: options.parallelism });
  for (const step of input) {
    if ("clock" in step) await run.advanceProcessingTime(millis(step.clock - run.processingTime));
    else await run.push("in", { value: step });
  }
  await run.advanceProcessingTime(seconds(10));
  await run.push("in", { watermark: 1_000_000 });
  await run.advanceProcessingTime(seconds(10));
  const { manifest, blobs } = (await run.snapshot()) as TakenSnapshot;
  let rows = 0;
  for (const { index } of manifest.tasks) {
    if (index === undefined) continue;
    const { operators } = readIndex(blobs.get(index.blob)!.subarray(index.offset, index.offset + index.length));
    for (const { parts } of operators.get("windows")?.values() ?? []) for (const part of parts) rows += part.rows;
  }
  return rows;
}

for (const [name, assigner] of Object.entries(kinds))
  test(`${name} windows leave nothing behind`, async () => {
    const list = name.startsWith("session") ? merging : [...merging, ...others];
    const byClock = name.endsWith("clock");
    const able = fc.constantFrom(...list.filter(({ spec }) => !byClock || !JSON.stringify(spec).includes("ventTime")));
    await fc.assert(
      fc.asyncProperty(
        ...([eventsAndClock, able, fc.boolean(), eviction, latenesses, fc.integer({ min: 1, max: 2 })] as const),
        async (input, plain, purging, evictor, lateness, parallelism) => {
          const trigger = purging ? triggers.purging(plain) : plain;
          const latenessMs = byClock ? 0 : lateness;
          assert.equal(await rowsLeft(input, assigner, { trigger, evictor, latenessMs, parallelism }), 0);
        },
      ),
      { numRuns: 40 },
    );
  });
