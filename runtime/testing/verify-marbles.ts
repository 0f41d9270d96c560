/** Holds a job to a marble diagram. */
import { AssertionError } from "node:assert";
import { isDeepStrictEqual } from "node:util";
import type { Job } from "../api/job.ts";
import { harness, type RunningHarness } from "./harness.ts";
import { type GivenBySink, type MarbleOptions, marbles, resolve, wordsOf } from "./marbles.ts";
import { carryOutSteps, describeStep, show } from "./operator-steps.ts";
import { givenWords, layOut } from "./print-marbles.ts";
import { type OperatorTest, verifyOperator } from "./verify-operator.ts";

export interface MarbleTest extends MarbleOptions, Omit<OperatorTest, "steps" | "expected"> {}

/**
 * Holds a job to a diagram: `verifyOperator` in all its ways, and, element by element, that everything comes when the diagram says. A
 * job in batch mode has no snapshots, so that it is run once. Side outputs of `sideOutputs` have lines by their ids. Throws an
 * `AssertionError` that names the step and the difference, with the diagram as it would be right.
 */
export async function verifyMarbles(job: Job, text: string, test: MarbleTest = {}): Promise<void> {
  const { sinks = ["out"], values, record, sideOutputs = [], ...how } = test;
  const options: MarbleOptions = {
    sinks: [...new Set([...sinks, ...sideOutputs.map(({ id }) => id)])],
    ...(values && { values }),
    ...(record && { record }),
  };
  const { steps, expected, given } = marbles(text, options);
  const actual = await run(job, { ...test, sideOutputs }, { ...options, steps, expected });
  for (const [place, step] of steps.entries())
    for (const [sink, values] of Object.entries(actual[place] as GivenBySink)) {
      const wanted = given[place]?.[sink] as readonly unknown[];
      if (isSame(values, wanted, test.order)) continue;
      const list = (items: readonly unknown[]) => (items.length === 0 ? "nothing" : items.map(show).join(" "));
      const at = `step ${place + 1} of ${steps.length} (${describeStep(step)})`;
      const message = `job ${job.name}: after ${at} ${sink} was given ${list(values)}, the diagram says ${list(wanted)}`;
      throw new AssertionError({
        message: message + asDiagram(text, options, actual),
        ...{ actual: values, expected: wanted, operator: "verifyMarbles", stackStartFn: verifyMarbles },
      });
    }
  if (job.options.mode !== "batch") await verifyOperator(job, { ...how, sideOutputs, steps, expected });
}

/** What every step brings, by sink. */
async function run(
  job: Job,
  test: Pick<MarbleTest, "sideOutputs" | "options">,
  { sinks = [], steps }: MarbleOptions & Pick<OperatorTest, "steps" | "expected">,
): Promise<readonly GivenBySink[]> {
  const running = (await harness(job, test.options)) as RunningHarness;
  const seen = new Map(sinks.map((sink) => [sink, 0]));
  const given: GivenBySink[] = [];
  for (const [last, step] of steps.entries()) {
    await carryOutSteps(running, { steps: [step], last });
    const values = sinks.map((sink) => {
      const tag = test.sideOutputs?.find(({ id }) => id === sink);
      const all = tag === undefined ? running.output(sink) : running.sideOutput(tag);
      const now = all.slice(seen.get(sink));
      seen.set(sink, all.length);
      return [sink, now] as const;
    });
    given.push(Object.fromEntries(values));
  }
  return given;
}

function isSame(actual: readonly unknown[], expected: readonly unknown[], order: OperatorTest["order"]): boolean {
  if (order === undefined || order === "asListed") return isDeepStrictEqual(actual, expected);
  const bag = (values: readonly unknown[]) => values.map(show).sort();
  return isDeepStrictEqual(bag(actual), bag(expected));
}

/** The diagram's own steps with what they brought; empty where that is no plain data. */
function asDiagram(text: string, options: MarbleOptions, actual: readonly GivenBySink[]): string {
  const { sinks, meanings } = resolve(options);
  try {
    const columns = wordsOf(text, options).inputs.map(({ line, text: word }, place) => {
      return { line, word, given: givenWords(actual[place] as GivenBySink, meanings) };
    });
    return `\nthis would be right:\n${layOut(columns, sinks)}`;
  } catch {
    return "";
  }
}
