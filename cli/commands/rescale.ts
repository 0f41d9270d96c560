/**
 * `millrace rescale`: stop with a savepoint, change what runs, begin again from the savepoint at the new parallelism.
 *
 * Each step finds what the one before has left in the job record, so the command that was killed is given again.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Job } from "../../runtime/api/job.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import type { JobRecord } from "../../runtime/snapshots/job-record.ts";
import { type Answer, printAnswer } from "../answer.ts";
import { numberOf, recordOf } from "../job-status.ts";
import { loadJob } from "../load-job.ts";
import { LocalRun } from "../local-run.ts";
import { exitCodes, UsageError } from "../report-error.ts";
import { jobHere } from "../suggest.ts";
import { isAway } from "../target/is-away.ts";
import { openLocalTarget } from "../target/local-target.ts";
import { openTarget } from "../target/open-target.ts";
import type { Target } from "../target/target.ts";
import { resume, stop, type WaitOptions } from "./orders.ts";
import type { RestoreGiven } from "./restore.ts";
import { inputsOf, stateOf } from "./run.ts";

export interface RescaleGiven extends RestoreGiven {
  readonly deploy?: string;
}

/** Gives the exit code. */
export async function rescale(path: string | undefined, given: RescaleGiven): Promise<number> {
  const { parallelism } = given;
  if (isAway(path, given)) return rescaleAway(given);
  if (path === undefined || parallelism === undefined)
    throw new UsageError("rescale needs the job's module and --parallelism on this machine, or --coordinator");
  return printAnswer(await rescaleHere(await loadJob(path, given), path, given, parallelism), given.json === true);
}

// ---- on this machine ----

async function rescaleHere(job: Job, path: string, given: RescaleGiven, parallelism: number): Promise<Answer> {
  const [state, output] = [stateOf(job, given), given.output ?? "."];
  const before = await comeToStop(job, state, output, given);
  const options = { state, output, ...(await inputsOf(job, given.bind ?? [])), stdin: process.stdin };
  const run = await LocalRun.open(job, { ...options, rescaleTo: parallelism });
  const { generation, checkpoint } = run.standing;
  await run.close();
  const json = { job: job.name, parallelism, generation, savepoint: checkpoint, tasksBefore: tasksIn(before) };
  const lines = [
    `rescaled to parallelism ${parallelism}: generation ${generation} begins from savepoint ${checkpoint}`,
    `run it:  millrace run ${jobHere(path, given)}`,
  ];
  return { json, lines };
}

/** Stops the job with a savepoint, whoever runs it; a job that nobody runs is run until it has stopped. */
export async function comeToStop(job: Job, state: string, output: string, given: RescaleGiven): Promise<JobRecord> {
  const target = await openLocalTarget(state, { output });
  try {
    const before = await recordOf(target);
    if ((await target.runner()) !== undefined) {
      const { code } = await stop(target, waitOf(given));
      if (code !== undefined) throw new MillraceError("unavailable", "the job has not stopped in time, give the command again");
      await untilLeft(target, waitOf(given));
    } else if (before.phase !== "stopped") await stopHere(job, state, output, given);
    return before;
  } finally {
    await target.close();
  }
}

async function stopHere(job: Job, state: string, output: string, given: RescaleGiven): Promise<void> {
  const run = await LocalRun.open(job, { state, output, ...(await inputsOf(job, given.bind ?? [])), stdin: process.stdin });
  try {
    await run.order({ kind: "stop", id: `rescale-${process.pid}-${Date.now()}` });
    await run.run(new AbortController().signal);
  } finally {
    await run.close();
  }
}

/** The process that ran the job has ended. */
async function untilLeft(target: Target, { timeoutMs }: WaitOptions): Promise<void> {
  const { clock } = target.ports;
  const until = clock.now() + timeoutMs;
  while ((await target.runner()) !== undefined) {
    if (clock.now() > until) throw new MillraceError("unavailable", "the process that ran the job has not ended");
    await clock.sleep(50);
  }
}

// ---- where it is deployed ----

/** The deployment has the functions and streams of the new parallelism; what it is made by is given, or done by hand between two calls. */
async function rescaleAway(given: RescaleGiven): Promise<number> {
  const { deploy } = given;
  let target = await openTarget(given);
  try {
    const before = await recordOf(target);
    const stopped = await stop(target, waitOf(given));
    if (stopped.code !== undefined) return printAnswer(stopped, given.json === true);
    if (deploy === undefined) {
      const lines = [
        ...stopped.lines.slice(0, 1),
        "deploy the job at its new parallelism, then:",
        `  millrace start ${target.words}`,
      ];
      return printAnswer({ json: stopped.json, lines }, given.json === true);
    }
    await deployBy(deploy);
    // What is deployed now may keep its data elsewhere.
    await target.close();
    target = await openTarget(given);
    const resumed = await resume(target, waitOf(given));
    if (resumed.code !== undefined) return printAnswer(resumed, given.json === true);
    const after = await recordOf(target);
    const json = { job: target.job, generation: after.generation, tasksBefore: tasksIn(before), tasks: tasksIn(after) };
    const from = after.manifest === undefined ? "" : ` from savepoint ${numberOf(after.manifest)}`;
    const lines = [`rescaled: generation ${after.generation}${from}`, ...describeTasks(before, after)];
    return printAnswer({ json, lines, code: exitCodes.done }, given.json === true);
  } finally {
    await target.close();
  }
}

async function deployBy(command: string): Promise<void> {
  const child = spawn(command, { shell: true, stdio: ["ignore", 2, 2] });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0)
    throw new MillraceError(
      "invalid",
      `the deployment failed, the job is stopped: deploy it, then give the command again: ${command}`,
    );
}

/** By stage. */
function tasksIn({ topology }: JobRecord): Readonly<Record<string, number>> {
  return Object.fromEntries(topology.filter(({ kind }) => kind !== "source").map(({ stage, tasks }) => [stage, tasks.length]));
}

function describeTasks(before: JobRecord, after: JobRecord): readonly string[] {
  const [old, now] = [tasksIn(before), tasksIn(after)];
  return Object.entries(now).map(
    ([stage, tasks]) => `  stage ${stage}: ${old[stage] ?? "new, with"} ${old[stage] === undefined ? "" : "→ "}${tasks}`,
  );
}

export function waitOf({ timeout }: RescaleGiven): WaitOptions {
  return { timeoutMs: timeout * 1_000 };
}
