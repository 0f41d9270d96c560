/** The window operator: a vector's steps done in a harness. */
import { harness, type JobHarness } from "../../../runtime/testing/index.ts";
import { largestTime } from "../../../runtime/time/windows.ts";
import { millis } from "../../../runtime/index.ts";
import type { RunningHarness } from "../../../runtime/testing/harness.ts";
import { compare } from "../compare.ts";
import { pointOf, type Failure, type Vector } from "../vector.ts";
import { windowJob } from "./window-jobs.ts";

/**
 * Where "MAX" lies for records and watermarks: the last date that lies on the same millisecond of the week as 2^63 - 1, so that
 * windows have the same edges relative to it. A watermark of "MAX" itself is the end of the input.
 */
const week = 604_800_000n;
const max = Number((8_640_000_000_000_000n / week - 1n) * week + ((2n ** 63n - 1n) % week));

const timeOf = (time: number | string): number => pointOf(time, max);

/** What came out at one step, or is expected to: a result, or the watermark that followed. */
type Emitted = { wm: number } | { value: Record<string, unknown>; ts: number | undefined };

export async function runWindowOperator(vector: Vector): Promise<Failure | undefined> {
  const steps = new Steps(vector);
  await steps.start();
  let done = 0;
  for (const { afterStep, emit } of vector.expected.phases) {
    const out: Emitted[] = [];
    for (; done < afterStep; done++) out.push(...(await steps.step(vector.input[done])));
    const listed: Emitted[] = emit.map((item: any) => expectedOf(item, vector));
    const looked = onlyLookedAt(out, emit);
    const failure = compare(
      inOrder(looked, vector.expected.order),
      inOrder(listed, vector.expected.order),
      `after step ${afterStep}`,
    );
    if (failure !== undefined) return failure;
  }
  for (; done < vector.input.length; done++) await steps.step(vector.input[done]);
  return compareLate(vector, steps) ?? compareDropped(vector, steps);
}

/** Where no result names a timestamp, nobody looked at them. */
function onlyLookedAt(out: readonly Emitted[], emit: readonly any[]): readonly Emitted[] {
  const results = emit.filter((item) => !("wm" in item));
  const looksAtTime = results.length === 0 || results.some((item) => "ts" in item);
  return looksAtTime ? out : out.map((item) => ("wm" in item ? item : { ...item, ts: undefined }));
}

/** A result of the window for all time carries the largest time. */
function expectedOf({ wm, ts, ...value }: any, { config }: Vector): Emitted {
  if (wm !== undefined) return { wm: timeOf(wm) };
  const isGlobal = config.assigner.type === "global" && ts === "MAX";
  return { value, ts: isGlobal ? largestTime : ts === null || ts === undefined ? undefined : timeOf(ts) };
}

/** What the order does not say is brought into one. */
function inOrder(items: readonly Emitted[], order: string): unknown[] {
  const text = (item: Emitted): string => JSON.stringify("wm" in item ? item : { ts: item.ts, value: sortedFields(item.value) });
  if (order === "asListed") return items.map(text);
  if (order === "any") return items.map(text).sort();
  if (order === "perKey") return items.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0)).map(text);
  const runs: string[][] = [[]];
  for (const item of items) {
    if ("wm" in item) runs.push([text(item)], []);
    else runs.at(-1)?.push(text(item));
  }
  return runs.flatMap((run) => run.sort());
}

function keyOf(item: Emitted): string {
  return "wm" in item ? "" : String(item.value.key);
}

function sortedFields(value: Record<string, unknown>): unknown {
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function compareLate({ expected }: Vector, steps: Steps): Failure | undefined {
  if (expected.late === undefined) return undefined;
  const listed = expected.late.map(({ ts, ...value }: any) => ({ value, ts: timeOf(ts) }));
  return compare(inOrder(steps.late, "any"), inOrder(listed, "any"), "late side output");
}

function compareDropped({ expected }: Vector, steps: Steps): Failure | undefined {
  return expected.droppedLate === undefined ? undefined : compare(steps.dropped(), expected.droppedLate, "dropped late");
}

class Steps {
  readonly late: Emitted[] = [];
  private readonly vector: Vector;
  private readonly withoutTimestamps: boolean;
  private run!: JobHarness;
  /** Late records that harnesses before the last have dropped. */
  private droppedBefore = 0;
  private taken = 0;
  private lateTaken = 0;

  constructor(vector: Vector) {
    this.vector = vector;
    this.withoutTimestamps = vector.input.some(({ el, ts }) => el !== undefined && ts === null);
  }

  async start(): Promise<void> {
    this.run = await harness(windowJob(this.vector.config, this.withoutTimestamps));
  }

  /** Does one step; what it gave out. */
  async step(step: any): Promise<Emitted[]> {
    if (step.snapshotRestore) {
      this.droppedBefore = this.dropped();
      const from = await this.run.snapshot();
      this.run = await harness(windowJob(this.vector.config, this.withoutTimestamps), { from });
      this.taken = this.lateTaken = 0;
      return [];
    }
    await this.carryOut(step);
    const out = this.take();
    return step.wm === undefined ? out : [...out, { wm: timeOf(step.wm) }];
  }

  private async carryOut(step: any): Promise<void> {
    if (step.el !== undefined) {
      const value = typeof step.el === "object" ? step.el : { key: "", value: step.el };
      // Without a timestamp, in windows that go by the clock: any will do.
      await this.run.push("in", { value, timestamp: timeOf(step.ts ?? 0) });
    } else if (step.pt !== undefined)
      await this.run.advanceProcessingTime(millis(Math.max(0, step.pt - this.run.processingTime)));
    else if (step.wm === "MAX" || step.endOfInput || step.close) await this.run.endInput();
    else if (step.wm !== undefined) await this.run.push("in", { watermark: timeOf(step.wm) });
    else throw new Error(`no step ${JSON.stringify(step)}`);
  }

  private take(): Emitted[] {
    if (this.vector.config.lateSideOutput) {
      const rows = this.run.rows<any>("late");
      for (const { value, timestamp } of rows.slice(this.lateTaken)) this.late.push({ value, ts: timestamp });
      this.lateTaken = rows.length;
    }
    const rows = this.run.rows<any>("out");
    const out = rows.slice(this.taken).map(({ value, timestamp }) => ({ value, ts: timestamp }));
    this.taken = rows.length;
    const [letter] = this.run.deadLetters();
    if (letter !== undefined) throw new Error(`dead letter: ${letter.reason}`);
    return out;
  }

  dropped(): number {
    const { runner, tasks } = this.run as RunningHarness;
    const counted = [...tasks].map((task) => runner.environment.peek(task)?.counters.get("lateDropped") ?? 0);
    return this.droppedBefore + counted.reduce((sum, n) => sum + n, 0);
  }
}
