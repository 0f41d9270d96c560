/**
 * `millrace deadletters redrive`: gives dead letters back to the sources that their records came from, once each, after a fix.
 *
 * Stop with a savepoint, write what is given back as one object for each source, begin again: the object is one more shard of the source.
 * While the job is stopped nothing is put aside or taken back, so the letters that lie there are those of the savepoint's history.
 *
 * D1 What is given back is decided by one write of an object's name, which lists the letters: whoever comes second leaves them out.
 * D2 A command that was killed is given again: it gives back what no object lists yet, and lets the job go on.
 */
import type { Job } from "../../runtime/api/job.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import {
  decodeRedrive,
  encodeRedrive,
  isRedriven,
  parseRedrive,
  redriveName,
  type RedrivenLetter,
  redrivesPrefix,
} from "../../runtime/connectors/redriven-source.ts";
import type { BlobName } from "../../runtime/base/ids.ts";
import { comparePositions } from "../../runtime/streaming/position.ts";
import { type Answer, printAnswer } from "../answer.ts";
import { type Letter, type LetterFilter, readLetters } from "../dead-letters.ts";
import { readManifest, recordOf, type SourceStatus, readStatus } from "../job-status.ts";
import { loadJob } from "../load-job.ts";
import { exitCodes, UsageError } from "../report-error.ts";
import { openTarget } from "../target/open-target.ts";
import type { JobPorts, Target } from "../target/target.ts";
import { plural } from "../words.ts";
import { resume, stop } from "./orders.ts";
import { comeToStop, type RescaleGiven, waitOf } from "./rescale.ts";
import { stateOf } from "./run.ts";

export interface RedriveGiven extends RescaleGiven {
  readonly operator?: string;
  readonly reason?: string;
}

/** What became of the letters that were asked for. */
interface Redriven {
  /** By source. */
  readonly given: Readonly<Record<string, number>>;
  /** Given back before. */
  readonly before: number;
  /** Of timers, and of operators behind an exchange: what lies there is no record of a source. */
  readonly others: number;
}

/** Gives the exit code. */
export async function redrive(path: string | undefined, given: RedriveGiven): Promise<number> {
  const job = path === undefined ? undefined : await loadJob(path, given);
  if (job !== undefined && given.coordinator === undefined)
    await comeToStop(job, stateOf(job, given), given.output ?? ".", given);
  const target = await openTarget(given, job?.name);
  try {
    return printAnswer(await redriveTo(target, job, path, given), given.json === true);
  } finally {
    await target.close();
  }
}

async function redriveTo(target: Target, job: Job | undefined, path: string | undefined, given: RedriveGiven): Promise<Answer> {
  if (target.kind === "local" && job === undefined)
    throw new UsageError("redrive needs the job's module on this machine, or --coordinator");
  if (target.kind === "aws") {
    const stopped = await stop(target, waitOf(given));
    if (stopped.code !== undefined) return stopped;
  }
  const redriven = await giveBack(target, given);
  const json = { job: target.job, ...redriven };
  const lines = describe(redriven);
  if (target.kind === "local")
    return { json, lines: [...lines, `run it, fixed:  millrace start ${path ?? "JOB"} ${target.words}`] };
  const resumed = await resume(target, waitOf(given));
  return { json, lines: [...lines, ...resumed.lines], code: resumed.code ?? exitCodes.done };
}

function describe({ given, before, others }: Redriven): readonly string[] {
  const lines = Object.entries(given).map(([source, n]) => `${plural(n, "dead letter")} given back to source ${source}`);
  return [
    ...(lines.length === 0 ? ["nothing is given back"] : lines),
    ...(before === 0 ? [] : [`${plural(before, "was", "were")} given back before`]),
    ...(others === 0
      ? []
      : [
          `${plural(others, "is", "are")} no record of a source (timers, operators behind an exchange): they stay`,
          "to have these go through as well, go back to a checkpoint from before they were put aside:  millrace rollback --to N",
        ]),
  ];
}

export async function giveBack(target: Target, filter: LetterFilter): Promise<Redriven> {
  await checkKeys(target);
  const { sources } = await readStatus(target);
  for (;;) {
    const { names, ids } = await readRedrives(target.ports);
    const bySource = new Map<string, Letter[]>();
    let [before, others] = [0, 0];
    for await (const letter of readLetters(target.letters, filter)) {
      if (ids.has(letter.id)) before++;
      else {
        const source = sourceOf(letter, sources);
        if (source === undefined) others++;
        else bySource.set(source, [...(bySource.get(source) ?? []), letter]);
      }
    }
    if (await writeAll(bySource, names, target.ports))
      return { given: Object.fromEntries([...bySource].map(([source, letters]) => [source, letters.length])), before, others };
  }
}

/** State that follows the shards of a source would not be where another shard's records are counted. */
async function checkKeys(target: Target): Promise<void> {
  const { savepoint, topology } = await recordOf(target);
  const reading = new Set(topology.filter(({ kind }) => kind === "source").map(({ stage }) => stage));
  const { tasks } = savepoint === undefined ? { tasks: [] } : await readManifest(savepoint, target.ports);
  if (tasks.some(({ stage, index }) => index !== undefined && reading.has(stage)))
    throw new MillraceError(
      "invalid",
      "the job keeps state beside its source's shards (assumeKeyed): put the letters into the source stream again",
    );
}

/** The source that the letter's record came from; undefined: it is no record of a source. Throws `invalid` where it cannot be told. */
function sourceOf({ shard, task, id }: Letter, sources: readonly SourceStatus[]): string | undefined {
  const instance = task.slice(task.indexOf("~") + 1);
  const found = new Set(sources.filter((status) => status.shard === shard).map(({ source }) => source));
  const named = [...found].find((source) => instance === `${source}:${shard}`);
  if (named !== undefined || found.size <= 1) return named ?? [...found][0];
  throw new MillraceError(
    "invalid",
    `several sources have a shard of this name, ${shard}, put the letter into its stream again: ${id}`,
  );
}

async function readRedrives({ blobs }: JobPorts) {
  const names: BlobName[] = [];
  const ids = new Set<string>();
  for (const { name } of (await blobs.list(redrivesPrefix)).blobs) {
    names.push(name);
    const bytes = await blobs.get(name);
    for (const { id } of bytes === undefined ? [] : decodeRedrive(bytes)) ids.add(id);
  }
  return { names, ids };
}

/** False: somebody else has given some back meanwhile. */
async function writeAll(
  bySource: ReadonlyMap<string, readonly Letter[]>,
  names: readonly BlobName[],
  { blobs, clock }: JobPorts,
): Promise<boolean> {
  const at = clock.now();
  for (const [source, letters] of bySource) {
    const taken = names.flatMap((name) => parseRedrive(name) ?? []).filter((redrive) => redrive.source === source);
    const n = Math.max(0, ...taken.map((redrive) => redrive.n)) + 1;
    const given: RedrivenLetter[] = [...letters].sort(inOrder).map(({ id, bytes }) => ({ id, at, bytes }));
    if ((await blobs.put(redriveName(source, n), encodeRedrive(given), { ifAbsent: true })) === "exists") return false;
  }
  return true;
}

/** As the source had them: what came first goes first, so records of a key keep their order. Those given back before come after. */
function inOrder(a: Letter, b: Letter): number {
  if (a.shard === b.shard) return comparePositions(a.position, b.position);
  if (isRedriven(a.shard) !== isRedriven(b.shard)) return isRedriven(a.shard) ? 1 : -1;
  return a.shard < b.shard ? -1 : 1;
}
