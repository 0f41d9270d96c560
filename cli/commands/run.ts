/** `millrace run`: a job on this machine, in this terminal. */
import { join } from "node:path";
import { defaultDirectory } from "../../runtime/adapters/local/open-local.ts";
import type { Job } from "../../runtime/api/job.ts";
import type { BlobName } from "../../runtime/base/ids.ts";
import { parseBindings } from "../../runtime/connectors/bindings.ts";
import type { Totals } from "../../runtime/state/commit.ts";
import { exitCodes } from "../report-error.ts";
import type { LocalRunOptions } from "../local-run.ts";
import { describeEnd, runJob } from "../run-job.ts";
import { openLocalTarget } from "../target/local-target.ts";
import { plural } from "../words.ts";
import { checkpointOf } from "./checkpoints.ts";

/** As it stands on the command line. */
export interface RunGiven {
  readonly bind?: readonly string[];
  readonly output?: string;
  readonly state?: string;
  readonly memory?: boolean;
  readonly rate?: number;
  readonly parallelism?: number;
  readonly share?: boolean;
  readonly allowSkippedState?: boolean;
  readonly from?: string;
  readonly json?: boolean;
}

/** Where the job keeps its state. */
export function stateOf(job: Job, { state, memory = false }: RunGiven): string {
  return memory ? "memory" : (state ?? join(defaultDirectory, job.name));
}

/** Gives the exit code. Throws what `runJob` throws. */
export async function runHere(job: Job, given: RunGiven): Promise<number> {
  const { bind = [], output = ".", share = false } = given;
  const state = stateOf(job, given);
  const report = await runJob(job, {
    state,
    output,
    ...(await inputsOf(job, bind)),
    share,
    from: given.from === undefined ? undefined : await checkpointIn(state, output, given.from),
    rescaleTo: given.parallelism,
    allowSkippedState: given.allowSkippedState,
    recordsPerSecond: given.rate,
    stdin: process.stdin,
    // Rows that a job prints go to standard output, what is said about it to standard error.
    terminal: process.stderr,
  });
  const { outcome, progress, events, tookMs } = report;
  if (given.json)
    process.stdout.write(`${JSON.stringify({ job: job.name, outcome, events, tookMs, totals: progress.totals })}\n`);
  else {
    console.error(outcome === "finishedBefore" ? "finished before: nothing is left to do" : describeEnd(report));
    for (const line of describeLosses(progress.totals, output)) console.error(line);
  }
  return exitCodes.done;
}

/** What of the input is in no result, and where it is. */
function describeLosses({ deadLetters, lateDropped }: Totals, output: string): readonly string[] {
  return [
    ...(deadLetters > 0 ? [`${plural(deadLetters, "dead letter")} in ${join(output, "dead-letters")}, with the reasons`] : []),
    ...(lateDropped > 0 ? [`${plural(lateDropped, "record")} dropped as late: sideOutputLate() would keep them`] : []),
  ];
}

/** What the job's sources and sinks are bound to: files here, or streams where they are. */
export async function inputsOf(job: Job, bind: readonly string[]): Promise<Pick<LocalRunOptions, "bindings" | "live">> {
  const bindings = parseBindings(bind);
  if (![...bindings.values()].flat().some((path) => path.startsWith("kinesis:"))) return { bindings };
  const { openLiveSources } = await import("../live-sources.ts");
  return { bindings, live: openLiveSources(job, bindings) };
}

/** The checkpoint's name, in a state directory. */
export async function checkpointIn(state: string, output: string, text: string): Promise<BlobName> {
  const target = await openLocalTarget(state, { output });
  try {
    return await checkpointOf(target, text);
  } finally {
    await target.close();
  }
}
