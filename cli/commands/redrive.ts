/**
 * `millrace deadletters redrive`: gives dead letters back to the sources that their records came from, or to the operators that they were for
 * (records behind an exchange, timers, rows of sinks), once each, after a fix.
 *
 * Stop with a savepoint, write what is given back as one object for each source and one for all operators, begin again: the object is one more
 * shard of the source; operators get theirs before anything else.
 * While the job is stopped nothing is put aside or taken back, so the letters that lie there are those of the savepoint's history.
 *
 * D1 What is given back is decided by one write of an object's name, which lists the letters: whoever comes second leaves them out.
 * D2 A command that was killed is given again: it gives back what no object lists yet, and lets the job go on.
 */
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
import type { BlobName, TaskId } from "../../runtime/base/ids.ts";
import { namesUnder } from "../../runtime/ports/blobs.ts";
import {
  decodeGiven,
  encodeGiven,
  type GivenLetter,
  givenName,
  givenPrefix,
  hasCopy,
  parseGiven,
} from "../../runtime/snapshots/given-letters.ts";
import type { JobRecord } from "../../runtime/snapshots/job-record.ts";
import type { Manifest } from "../../runtime/snapshots/manifest.ts";
import { comparePositions } from "../../runtime/streaming/position.ts";
import { type Answer, printAnswer } from "../answer.ts";
import { type Letter, type LetterFilter, readLetters } from "../dead-letters.ts";
import { readManifest, recordOf, type SourceStatus, readStatus } from "../job-status.ts";
import { loadJob } from "../load-job.ts";
import { exitCodes, UsageError } from "../report-error.ts";
import { jobHere } from "../suggest.ts";
import { isAway } from "../target/is-away.ts";
import { openLocalTarget } from "../target/local-target.ts";
import { openTarget } from "../target/open-target.ts";
import type { JobPorts, Target } from "../target/target.ts";
import { grouped, plural } from "../words.ts";
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
  /** By operator: records that came over an exchange, timers, and what sinks could not write. */
  readonly sent: Readonly<Record<string, number>>;
  /** Given back before. */
  readonly before: number;
  /** What cannot be given back: of a job in batch mode, of a broadcast from before a rescale, of values that cannot be stored. */
  readonly others: number;
}

/** Gives the exit code. */
export async function redrive(path: string | undefined, given: RedriveGiven): Promise<number> {
  if (isAway(path, given)) return answered(await openTarget(given), given, (target) => redriveAway(target, given));
  if (path === undefined) throw new UsageError("redrive needs the job's module on this machine, or --coordinator");
  const job = await loadJob(path, given);
  const [state, output] = [stateOf(job, given), given.output ?? "."];
  await comeToStop(job, state, output, given);
  return answered(await openLocalTarget(state, { output }), given, async (target) => {
    const { json, lines } = describe(target, await giveBack(target, given));
    return { json, lines: [...lines, `run it, fixed:  millrace start ${jobHere(path, given)}`] };
  });
}

async function answered(target: Target, { json }: RedriveGiven, answer: (target: Target) => Promise<Answer>): Promise<number> {
  try {
    return printAnswer(await answer(target), json === true);
  } finally {
    await target.close();
  }
}

/** Of a job that is deployed: stops it, gives the letters back and has it go on. */
export async function redriveAway(target: Target, given: RedriveGiven): Promise<Answer> {
  const stopped = await stop(target, waitOf(given));
  if (stopped.code !== undefined) return stopped;
  const { json, lines } = describe(target, await giveBack(target, given));
  const resumed = await resume(target, waitOf(given));
  return { json, lines: [...lines, ...resumed.lines], code: resumed.code ?? exitCodes.done };
}

function describe({ job, kind, words }: Target, redriven: Redriven): Answer {
  const { given, sent, before, others } = redriven;
  const back = [
    ...Object.entries(given).map(([source, n]) => `${plural(n, "dead letter")} given back to source ${source}`),
    ...Object.entries(sent).map(([operator, n]) => `${plural(n, "dead letter")} given back to operator ${operator}`),
  ];
  const lines = [
    ...(back.length === 0 ? ["nothing is given back"] : back),
    ...(before === 0 ? [] : [`${plural(before, "was", "were")} given back before`]),
    ...(others === 0
      ? []
      : [
          `${grouped(others)} cannot be given back (timers in batch mode, broadcasts from before a rescale, what cannot be stored): they stay`,
          `to have these go through as well, go back to a checkpoint from before they were put aside:  millrace rollback ${
            kind === "local" ? `JOB ${words}` : words
          } --to N`,
        ]),
  ];
  return { json: { job, ...redriven }, lines };
}

export async function giveBack(target: Target, filter: LetterFilter): Promise<Redriven> {
  const { sources } = await readStatus(target);
  const manifest = await savepointOf(target);
  for (;;) {
    const { names, ids } = await readRedrives(target.ports);
    const bySource = new Map<string, Letter[]>();
    const sent: GivenLetter[] = [];
    let [before, others] = [0, 0];
    for await (const letter of readLetters(target.letters, filter)) {
      const toOperator = givenLetter(letter);
      const source = toOperator === undefined ? sourceOf(letter, sources) : undefined;
      if (ids.has(letter.id)) before++;
      else if (toOperator !== undefined && (manifest === undefined || hasCopy(manifest, toOperator))) sent.push(toOperator);
      else if (source !== undefined) bySource.set(source, [...(bySource.get(source) ?? []), letter]);
      else others++;
    }
    if (bySource.size > 0 || sent.some(({ back }) => back.what === "timer")) checkKeys(await recordOf(target), manifest);
    if ((await writeAll(bySource, names, target.ports)) && (await writeSent(sent, names, target.ports))) {
      const given = Object.fromEntries([...bySource].map(([source, letters]) => [source, letters.length]));
      return { given, sent: countedBy(sent, ({ back: { to } }) => to), before, others };
    }
  }
}

/** What the job goes on from; undefined: nothing, it has taken no checkpoint. */
async function savepointOf(target: Target): Promise<Manifest | undefined> {
  const { savepoint } = await recordOf(target);
  return savepoint === undefined ? undefined : readManifest(savepoint, target.ports);
}

/** The letter as an operator is given it back; undefined: it is none of an operator's. */
function givenLetter({ id, generation, seq, bytes, back }: Letter): GivenLetter | undefined {
  if (back === undefined) return undefined;
  const { task, ...line } = back;
  return { id, generation, task: task as TaskId, seq, back: line, bytes };
}

function countedBy<T>(items: readonly T[], nameOf: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[nameOf(item)] = (counts[nameOf(item)] ?? 0) + 1;
  return counts;
}

/** State that follows the shards of a source would not be where another shard's records are counted. */
function checkKeys({ topology }: JobRecord, manifest: Manifest | undefined): void {
  const reading = new Set(topology.filter(({ kind }) => kind === "source").map(({ stage }) => stage));
  if (manifest?.tasks.some(({ stage, index }) => index !== undefined && reading.has(stage)) === true)
    throw new MillraceError(
      "invalid",
      "the job keeps state beside its source's shards (assumeKeyed): put the letters into the source stream again",
    );
}

/** The source that the letter's record came from; undefined: it is no record of a source, or of none that the job has. */
function sourceOf({ source }: Letter, sources: readonly SourceStatus[]): string | undefined {
  return sources.find((status) => status.source === source)?.source;
}

/** The objects that list what was given back, and the names of these letters. */
export async function readRedrives({ blobs }: Pick<JobPorts, "blobs">) {
  const names: BlobName[] = [];
  const ids = new Set<string>();
  for (const [prefix, decode] of [[redrivesPrefix, decodeRedrive] as const, [givenPrefix, decodeGiven] as const])
    for (const name of await namesUnder(blobs, prefix)) {
      names.push(name);
      const bytes = await blobs.get(name);
      for (const { id } of bytes === undefined ? [] : decode(bytes)) ids.add(id);
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
    const given: RedrivenLetter[] = [...letters].sort(inOrder).map(({ id, bytes, header, generation, task, seq }) => ({
      ...{ id, at, bytes, by: { generation, task, seq } },
      ...(header !== undefined && { header }),
    }));
    if ((await blobs.put(redriveName(source, n), encodeRedrive(given), { ifAbsent: true })) === "exists") return false;
  }
  return true;
}

/**
 * In the order in which they were put aside: the records of a key come to an operator in one task of a generation, and are put aside in the
 * order in which they came. False: somebody else has given some back meanwhile.
 */
async function writeSent(letters: readonly GivenLetter[], names: readonly BlobName[], { blobs }: JobPorts): Promise<boolean> {
  if (letters.length === 0) return true;
  const n = Math.max(0, ...names.map((name) => parseGiven(name) ?? 0)) + 1;
  return (await blobs.put(givenName(n), encodeGiven(letters), { ifAbsent: true })) !== "exists";
}

/** As the source had them: what came first goes first, so records of a key keep their order. Those given back before come after. */
function inOrder(a: Letter, b: Letter): number {
  if (a.shard === b.shard) return comparePositions(a.position, b.position);
  if (isRedriven(a.shard) !== isRedriven(b.shard)) return isRedriven(a.shard) ? 1 : -1;
  return a.shard < b.shard ? -1 : 1;
}
