/**
 * One test case of an operator, done in six ways that must not differ: element by element, in batches, restored from a snapshot
 * after every step and after every second, crashed after every step, and rescaled 1 → 2 → 1. After Hazelcast Jet's verifyProcessor.
 *
 * V1 Every way is held against what the test expects, never against another way.
 * V2 At parallelism 2 the order between keys is nobody's promise: while rescaled, what one step gives may come in any order.
 */
import { AssertionError } from "node:assert";
import type { OutputTag } from "../api/functions.ts";
import type { Job } from "../api/job.ts";
import { messageOf, MillraceError } from "../base/errors.ts";
import { harness, type HarnessOptions, type RunningHarness } from "./harness.ts";
import { differenceOf, type GivenValue, type Ordering } from "./compare-output.ts";
import { type Batch, carryOutSteps, describeStep, inBatches, movesTime, oneByOne, type OperatorStep } from "./operator-steps.ts";

/**
 * `asListed`: exactly the order of `expected`. `anyBetweenWatermarks`: any order among what is given between two steps that
 * move time. `perKey`: as listed among values of one key, which `keyOf` tells. `any`: as a multiset.
 */
export type OutputOrder = "asListed" | "anyBetweenWatermarks" | "perKey" | "any";

export interface OperatorTest {
  readonly steps: readonly OperatorStep[];
  /** What each sink is given, by uid; side outputs listed in `sideOutputs` by the tag's id. */
  readonly expected: Readonly<Record<string, readonly unknown[]>>;
  /** Default `asListed`. */
  readonly order?: OutputOrder;
  /** The key of an output, for `perKey`. */
  readonly keyOf?: (value: any) => unknown;
  readonly sideOutputs?: readonly OutputTag<any>[];
  /** The operators of the dead letters that are expected, in any order; default none. */
  readonly deadLetters?: readonly string[];
  readonly options?: Pick<HarnessOptions, "shards" | "startAt" | "recordsPerTurn">;
}

/** A way to do the steps. */
interface Mode {
  readonly name: string;
  readonly batches: (steps: readonly OperatorStep[]) => readonly Batch[];
  /** What happens after a batch, the n-th of `count`, from 1. */
  readonly between?: (
    running: RunningHarness,
    n: number,
    count: number,
  ) => Promise<"crash" | { parallelism: number } | undefined>;
  /** Tasks may run side by side, so that only the order per step is determined. */
  readonly parallel?: boolean;
}

const modes: readonly Mode[] = [
  { name: "element by element", batches: oneByOne },
  { name: "in batches", batches: inBatches },
  { name: "snapshot and restore after every step", batches: oneByOne, between: async () => ({ parallelism: 1 }) },
  {
    name: "snapshot and restore after every second step",
    batches: oneByOne,
    between: async (_running, n) => (n % 2 === 0 ? { parallelism: 1 } : undefined),
  },
  { name: "crash after every step", batches: oneByOne, between: async () => "crash" },
  {
    name: "rescaled 1 → 2 → 1",
    batches: oneByOne,
    parallel: true,
    between: async (_running, n, count) => {
      if (n === Math.ceil(count / 3)) return { parallelism: 2 };
      return n === Math.ceil((2 * count) / 3) ? { parallelism: 1 } : undefined;
    },
  },
];

/** What a run gave: by sink, and the operators of dead letters. */
interface Trace {
  readonly given: ReadonlyMap<string, readonly GivenValue[]>;
  readonly deadLetters: readonly { readonly operator: string; readonly reason: string }[];
}

/** Throws an `AssertionError` that names the mode, the step and the difference. */
export async function verifyOperator(job: Job, test: OperatorTest): Promise<void> {
  if (test.order === "perKey" && test.keyOf === undefined)
    throw new MillraceError("invalid", "the order perKey needs keyOf: which key does an output belong to?");
  let reference: Trace | undefined;
  for (const mode of modes) {
    const trace = await run(job, test, mode);
    reference ??= trace;
    check(job, test, mode, trace, reference);
  }
}

async function run(job: Job, test: OperatorTest, mode: Mode): Promise<Trace> {
  const given = new Map<string, GivenValue[]>();
  const deadLetters: { operator: string; reason: string }[] = [];
  let running = (await harness(job, { ...test.options, parallelism: 1 })) as RunningHarness;
  const batches = mode.batches(test.steps);
  for (const [n, batch] of batches.entries()) {
    try {
      await carryOutSteps(running, batch);
      take(running, test, batch.last, given);
      const next = await mode.between?.(running, n + 1, batches.length);
      if (next === undefined) continue;
      if (next === "crash") await running.crash();
      else {
        deadLetters.push(...running.deadLetters());
        for (const values of given.values()) values.push(mark);
        running = (await harness(job, { ...test.options, ...next, from: await running.snapshot() })) as RunningHarness;
      }
    } catch (error) {
      throw failure(job, mode, `failed at ${stepName(test, batch.last)}: ${messageOf(error)}`, [], error);
    }
  }
  deadLetters.push(...running.deadLetters());
  return { given: new Map([...given].map(([sink, values]) => [sink, values.filter((value) => value !== mark)])), deadLetters };
}

/** Stands in the list where a new harness began, whose sinks were empty. */
const mark: GivenValue = { value: undefined, step: -1 };

/** Notes what sinks were given since the last look. */
function take(running: RunningHarness, test: OperatorTest, step: number, given: Map<string, GivenValue[]>): void {
  for (const sink of Object.keys(test.expected)) {
    const tag = test.sideOutputs?.find(({ id }) => id === sink);
    const values = tag === undefined ? running.output(sink) : running.sideOutput(tag);
    const known = given.get(sink) ?? [];
    given.set(sink, known);
    const already = known.length - 1 - known.lastIndexOf(mark);
    known.push(...values.slice(already).map((value) => ({ value, step })));
  }
}

function check(job: Job, test: OperatorTest, mode: Mode, trace: Trace, reference: Trace): void {
  const unexpected = [...trace.deadLetters];
  for (const operator of test.deadLetters ?? []) {
    const at = unexpected.findIndex((letter) => letter.operator === operator);
    if (at < 0) throw failure(job, mode, `expected a dead letter of operator ${operator}, there is none`, []);
    unexpected.splice(at, 1);
  }
  if (unexpected.length > 0)
    throw failure(
      job,
      mode,
      "there are dead letters that are not expected",
      unexpected.map(({ operator, reason }) => `  + ${operator}: ${reason}`),
    );
  for (const [sink, expected] of Object.entries(test.expected)) {
    const actual = trace.given.get(sink) ?? [];
    const ordering = orderingOf(test, mode, reference.given.get(sink) ?? []);
    const lines = differenceOf(expected, actual, ordering, (step) => stepName(test, step));
    if (lines === undefined) continue;
    const hint = trace === reference ? "" : "; element by element it is right, so its state or its timers are not";
    const what = `${sink} was given other values than expected (order: ${test.order ?? "asListed"}${mode.parallel ? " per step" : ""}${hint})`;
    throw failure(job, mode, what, lines, undefined, { expected, actual: actual.map(({ value }) => value) });
  }
}

function orderingOf(test: OperatorTest, mode: Mode, reference: readonly GivenValue[]): Ordering {
  const { order = "asListed", keyOf } = test;
  if (order === "any") return { kind: "any" };
  if (order === "perKey" && keyOf !== undefined) return { kind: "perKey", keyOf };
  if (order === "asListed" && mode.parallel !== true) return { kind: "asListed" };
  return { kind: "chunks", lengths: chunkLengths(test, reference, order === "asListed") };
}

/** How many values were given up to each step that ends a chunk, less those before. */
function chunkLengths({ steps }: OperatorTest, given: readonly GivenValue[], everyStep: boolean): readonly number[] {
  const lengths: number[] = [];
  let from = 0;
  steps.forEach((step, place) => {
    if (!everyStep && !movesTime(step)) return;
    const to = given.filter((value) => value.step <= place).length;
    lengths.push(to - from);
    from = to;
  });
  return lengths;
}

function stepName({ steps }: OperatorTest, place: number): string {
  const step = steps[place];
  return `step ${place + 1} of ${steps.length}${step === undefined ? "" : ` (${describeStep(step)})`}`;
}

function failure(
  job: Job,
  mode: Mode,
  what: string,
  lines: readonly string[],
  cause?: unknown,
  values?: { readonly expected: unknown; readonly actual: unknown },
): AssertionError {
  const message = [`job ${job.name}, ${mode.name}: ${what}`, ...lines].join("\n");
  const error = new AssertionError({ message, ...values, operator: "verifyOperator", stackStartFn: verifyOperator });
  if (cause !== undefined) error.cause = cause;
  return error;
}
