/** Any trigger over any windows, step by step: what each step brings out is what a window operator in plain lists gives. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  customWatermarks,
  defineJob,
  globalWindow,
  millis,
  outputTag,
  session,
  sliding,
  triggers,
  tumbling,
  type Trigger,
  type WindowAssigner,
} from "../../../runtime/index.ts";
import { harness } from "../../../runtime/testing/index.ts";
import { anySink, anySource } from "../pipeline.ts";
import { OperatorModel, type Windows } from "./operator-model.ts";
import type { Choice, Domain, Item, Span } from "./trigger-model.ts";

interface Kind {
  readonly assigner: WindowAssigner<unknown, any>;
  readonly windows: Windows;
}

const times: readonly (readonly [Domain, "event" | "processing"])[] = [
  ["event", "event"],
  ["clock", "processing"],
];

const kinds: readonly Kind[] = [
  ...times.flatMap(([by, time]) => [
    { assigner: tumbling(millis(100), { time }), windows: { by, of: aligned(100, 100) } },
    { assigner: sliding(millis(200), millis(100), { time }), windows: { by, of: aligned(200, 100) } },
    { assigner: sliding(millis(250), millis(100), { time }), windows: { by, of: aligned(250, 100) } },
    ...[50, 150].map((gap) => ({
      assigner: session(millis(gap), { time }),
      windows: { by, merging: true, of: (at: number) => [{ start: at, end: at + gap }] },
    })),
  ]),
  {
    assigner: globalWindow(),
    windows: { by: "clock", of: () => [{ start: -Number.MAX_SAFE_INTEGER, end: Number.MAX_SAFE_INTEGER + 1 }] },
  },
];

function aligned(size: number, slide: number): (time: number) => Span[] {
  return (time) => {
    const spans: Span[] = [];
    for (let start = Math.floor(time / slide) * slide; start > time - size; start -= slide)
      spans.push({ start, end: start + size });
    return spans;
  };
}

const mergeable: readonly Choice[] = [
  { kind: "eventTime" },
  { kind: "processingTime" },
  { kind: "count", every: 2 },
  { kind: "continuousEventTime", every: 40 },
  { kind: "continuousProcessingTime", every: 40 },
];

function choices({ windows }: Kind): fc.Arbitrary<Choice> {
  const maybePurging = (inner: fc.Arbitrary<Choice>) =>
    fc.oneof(
      inner,
      inner.map<Choice>((of) => ({ kind: "purging", inner: of })),
    );
  if (windows.merging) return maybePurging(fc.constantFrom(...mergeable));
  const simple = maybePurging(fc.constantFrom<Choice>(...mergeable, { kind: "delta", threshold: 30 }));
  const wrapped = fc.record({ inner: simple, reset: fc.boolean(), clear: fc.boolean() });
  return maybePurging(
    fc.oneof(
      simple,
      wrapped.map<Choice>((options) => ({ kind: "timeOut", after: 30, ...options })),
    ),
  );
}

function triggerOf(choice: Choice): Trigger<Item, any> {
  switch (choice.kind) {
    case "eventTime":
      return triggers.eventTime();
    case "processingTime":
      return triggers.processingTime();
    case "count":
      return triggers.count(choice.every);
    case "delta":
      return triggers.delta<Item>(choice.threshold, (known, { at }) => at - known.at);
    case "continuousEventTime":
      return triggers.continuousEventTime(millis(choice.every));
    case "continuousProcessingTime":
      return triggers.continuousProcessingTime(millis(choice.every));
    case "purging":
      return triggers.purging(triggerOf(choice.inner));
    case "timeOut":
      return triggers.timeOut(triggerOf(choice.inner), millis(choice.after), {
        resetTimerOnNewRecord: choice.reset,
        shouldClearOnTimeout: choice.clear,
      });
  }
}

const late = outputTag<Item>("late");

function jobOf({ assigner }: Kind, choice: Choice, latenessMs: number) {
  const watermarks = customWatermarks<Item, null>({ create: () => null, onRecord: () => undefined });
  return defineJob("combination", (job) => {
    const results = job
      .source("in", anySource<Item>("in"), { timestamps: ({ at }) => at, watermarks })
      .keyBy(() => "all")
      .window(assigner)
      .trigger(triggerOf(choice))
      .allowedLateness(millis(latenessMs))
      .sideOutputLate(late)
      .apply("windows", (_key, { start }: Span, items: readonly Item[]) => [[start, ...items.map(({ n }) => n)]]);
    results.sinkTo("out", anySink());
    results.sideOutput(late).sinkTo("late", anySink());
  });
}

/** A record somewhere around the watermark, the watermark, or the clock, which never stands where a timer of these triggers can. */
const steps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ behind: fc.integer({ min: -250, max: 150 }) }) },
    { weight: 2, arbitrary: fc.record({ watermark: fc.integer({ min: 1, max: 120 }) }) },
    { weight: 2, arbitrary: fc.record({ hundreds: fc.integer({ min: 1, max: 2 }) }) },
  ),
  { minLength: 1, maxLength: 25 },
);

const combination = fc.constantFrom(...kinds).chain((kind) =>
  fc.record({
    kind: fc.constant(kind),
    choice: choices(kind),
    latenessMs: kind.windows.by === "event" ? fc.constantFrom(0, 30, 200) : fc.constant(0),
  }),
);

const sorted = (rows: readonly unknown[]): string[] => rows.map((row) => JSON.stringify(row)).sort();

test("any trigger over any windows", async () => {
  await fc.assert(
    fc.asyncProperty(combination, steps, async ({ kind, choice, latenessMs }, list) => {
      const run = await harness(jobOf(kind, choice, latenessMs));
      const model = new OperatorModel(kind.windows, choice, latenessMs);
      let watermark = -100;
      for (const [n, step] of list.entries()) {
        if ("behind" in step) {
          const item = { at: watermark - step.behind, n };
          await run.push("in", { value: item });
          model.record(item);
          // What is due already comes with the next turn.
          await run.advanceProcessingTime(millis(0));
        } else if ("watermark" in step) {
          watermark += step.watermark;
          await run.advanceWatermark("in", watermark);
          model.watermark(watermark);
        } else {
          const to = Math.floor(run.processingTime / 100) * 100 + step.hundreds * 100 + 37;
          await run.advanceProcessingTime(millis(to - run.processingTime));
          model.clock(to);
        }
        assert.deepEqual(sorted(run.output("out")), sorted(model.out), `after step ${n + 1}`);
      }
      assert.deepEqual(
        run.output<Item>("late").map(({ n }) => n),
        model.late,
      );
      assert.deepEqual(run.deadLetters(), []);
    }),
    { numRuns: 300 },
  );
});
