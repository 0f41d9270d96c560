/** Random ways to run one job over one input, and what may not depend on them. */
import fc from "fast-check";
import type { Job } from "../../runtime/index.ts";
import { harness, type HarnessOptions, type Pushed } from "../../runtime/testing/index.ts";
import type { RunningHarness } from "../../runtime/testing/harness.ts";
import { defaultEnvironment } from "../../runtime/driver/environment-options.ts";
import { millis } from "../../runtime/index.ts";

/** What happens after a batch. */
type Then = "nothing" | "crash" | { readonly restoreAt: number };

/** How the input is cut up and interrupted. Batches beyond the list have the last one's form. */
export interface Schedule {
  readonly parallelism: number;
  readonly recordsPerTurn: number;
  /** Key groups in memory, bytes: 0 evicts everything after each turn. */
  readonly cacheBytesMax: number;
  /** A base is taken as soon as so many bytes lie above the last. */
  readonly journalBytesMax: number;
  readonly batches: readonly { readonly records: number; readonly then: Then }[];
}

const parallelism = fc.integer({ min: 1, max: 3 });

export const schedules: fc.Arbitrary<Schedule> = fc.record({
  parallelism,
  recordsPerTurn: fc.constantFrom(1, 2, 3, 7, 1_000),
  cacheBytesMax: fc.constantFrom(0, 1_000, 1 << 20),
  journalBytesMax: fc.constantFrom(1, 2_000, 1 << 20),
  batches: fc.array(
    fc.record({
      records: fc.integer({ min: 1, max: 20 }),
      then: fc.oneof(
        { weight: 4, arbitrary: fc.constant<Then>("nothing") },
        { weight: 1, arbitrary: fc.constant<Then>("crash") },
        { weight: 1, arbitrary: parallelism.map<Then>((restoreAt) => ({ restoreAt })) },
      ),
    }),
    { minLength: 1, maxLength: 8 },
  ),
});

/** Everything at once, in one task, undisturbed. */
export const plainly: Schedule = {
  parallelism: 1,
  recordsPerTurn: 1_000_000,
  cacheBytesMax: 1 << 30,
  journalBytesMax: 1 << 30,
  batches: [{ records: 1_000_000, then: "nothing" }],
};

/** The clock is turned to this time, epoch ms: whatever was pushed before is done by then. */
export interface ClockStep {
  readonly processingTime: number;
}

/** What the sink "out" was given, in order, the dead letters' reasons, and how many records were counted as too late. */
export interface Outcome {
  readonly out: readonly unknown[];
  readonly deadLetters: readonly string[];
  readonly lateDropped: number;
}

/** Runs the job over the input of the source "in", to its end. */
export async function runOn(
  job: Job,
  input: readonly (Pushed | ClockStep)[],
  schedule: Schedule,
  options: HarnessOptions = {},
): Promise<Outcome> {
  const { cacheBytesMax, journalBytesMax, recordsPerTurn } = schedule;
  const environment = { ...defaultEnvironment, cacheBytesMax, journalBytesMax, recordsPerTurn };
  const common = { ...options, environment, recordsPerTurn };
  let run = (await harness(job, { ...common, parallelism: schedule.parallelism })) as RunningHarness;
  const outcome = { out: [] as unknown[], deadLetters: [] as string[], lateDropped: 0 };
  const take = () => {
    outcome.out.push(...run.output("out"));
    outcome.deadLetters.push(...run.deadLetters().map(({ reason }) => reason));
    for (const task of run.tasks) outcome.lateDropped += run.runner.environment.peek(task)?.summary.lateDropped ?? 0;
  };
  let from = 0;
  for (let n = 0; from < input.length; n++) {
    const { records, then } = schedule.batches[Math.min(n, schedule.batches.length - 1)]!;
    await feed(run, input.slice(from, from + records));
    from += records;
    if (then === "crash") await run.crash();
    else if (then !== "nothing") {
      const snapshot = await run.snapshot();
      take();
      run = (await harness(job, { ...common, parallelism: then.restoreAt, from: snapshot })) as RunningHarness;
    }
  }
  await run.endInput();
  take();
  return outcome;
}

/** What stands between two turns of the clock is pushed at once. */
async function feed(run: RunningHarness, steps: readonly (Pushed | ClockStep)[]): Promise<void> {
  let pushed: Pushed[] = [];
  for (const step of steps) {
    if (!("processingTime" in step)) pushed.push(step);
    else {
      await run.push("in", ...pushed);
      pushed = [];
      await run.advanceProcessingTime(millis(step.processingTime - run.processingTime));
    }
  }
  await run.push("in", ...pushed);
}

/** Values in an order that depends on nothing. */
export function sorted(values: readonly unknown[]): readonly string[] {
  return values.map((value) => JSON.stringify(value)).sort();
}
