/** `millrace start` and `millrace rollback`: a new generation from a checkpoint, here with the job's code or by its coordinator. */
import { printAnswer } from "../answer.ts";
import { numberOf } from "../job-status.ts";
import { loadJob, type JobOptionsGiven } from "../load-job.ts";
import { LocalRun } from "../local-run.ts";
import { UsageError } from "../report-error.ts";
import { jobHere } from "../suggest.ts";
import { isAway } from "../target/is-away.ts";
import { openTarget } from "../target/open-target.ts";
import { checkpointOf } from "./checkpoints.ts";
import { resume, restore } from "./orders.ts";
import { checkpointIn, inputsOf, runHere, type RunGiven, stateOf } from "./run.ts";

export interface RestoreGiven extends RunGiven, JobOptionsGiven {
  readonly coordinator?: string;
  readonly to?: string;
  readonly order?: string;
  readonly timeout: number;
}

/** Gives the exit code. */
export async function restoreJob(command: "start" | "rollback", path: string | undefined, given: RestoreGiven): Promise<number> {
  if (isAway(path, given)) return restoreAway(command, given);
  if (given.order !== undefined) throw new UsageError("--order is of a job that is deployed");
  if (path === undefined) throw new UsageError(`${command} needs the job's module on this machine, or --coordinator`);
  const job = await loadJob(path, given);
  if (command === "start") return runHere(job, given);
  const [place, output] = [stateOf(job, given), given.output ?? "."];
  const from = await checkpointIn(place, output, given.to!);
  const inputs = await inputsOf(job, given.bind ?? []);
  const run = await LocalRun.open(job, { state: place, output, ...inputs, from, stdin: process.stdin });
  const { generation } = run.standing;
  await run.close();
  const lines = [
    `back at checkpoint ${numberOf(from)}: generation ${generation}; what was put out after it has been taken back`,
    `run it:  millrace run ${jobHere(path, given)}`,
  ];
  return printAnswer(
    { json: { job: job.name, generation, checkpoint: numberOf(from), manifest: from }, lines },
    given.json === true,
  );
}

async function restoreAway(command: "start" | "rollback", given: RestoreGiven): Promise<number> {
  const target = await openTarget(given);
  try {
    const wait = { timeoutMs: given.timeout * 1_000, say: (line: string) => console.error(line) };
    const text = given.to ?? given.from;
    const words = command === "start" ? ("start --from" as const) : ("rollback --to" as const);
    const answer =
      text === undefined
        ? await resume(target, wait)
        : await restore(target, await checkpointOf(target, text), { ...wait, command: words, id: given.order });
    return printAnswer(answer, given.json === true);
  } finally {
    await target.close();
  }
}
