/**
 * `millrace savepoint`, `stop`, `pause`, `resume`, and going back: an order is given, then its coming about is waited for.
 *
 * O1 A command that is killed has given its order or has not. Given again it finds what has come about already, or goes on waiting.
 * O2 Of savepoints there may be many, so each has the name of its order: given again while it is being taken the command waits for that one,
 *    and by its order's name whenever.
 */
import { randomUUID } from "node:crypto";
import { isKind, MillraceError, messageOf } from "../../runtime/base/errors.ts";
import { hasTaken, type Order } from "../../runtime/snapshots/decide-order.ts";
import type { JobRecord } from "../../runtime/snapshots/job-record.ts";
import type { Answer } from "../answer.ts";
import { numberOf, readStatus, recordOf } from "../job-status.ts";
import { exitCodes } from "../report-error.ts";
import type { Target } from "../target/target.ts";

export interface WaitOptions {
  /** How long what was ordered is waited for, ms. */
  readonly timeoutMs: number;
  /** Says something on the way. */
  readonly say?: ((line: string) => void) | undefined;
}

/** What was ordered, and how it came about. */
export interface Outcome {
  readonly job: string;
  readonly order: Order["kind"];
  /** The order's name: the same one given again is the same order. */
  readonly id: string;
  /** False: it stands in the job record and has not come about yet. */
  readonly done: boolean;
  readonly phase: JobRecord["phase"];
  readonly generation: number;
  /** The number of the checkpoint or savepoint that it is about; undefined: there is none. */
  readonly checkpoint: number | undefined;
  readonly manifest: string | undefined;
}

/** While it is waited for, a job may stand still; a look reads the job's ring. */
const lookEveryMs = { local: 100, aws: 250 } as const;

export function newOrder(kind: Exclude<Order["kind"], "restore">): Order {
  return { kind, id: `${kind}-${randomUUID()}` };
}

/** `id`: of the order; default: of the one that stands, or a new one. */
export async function savepoint(target: Target, options: WaitOptions & { readonly id?: string | undefined }): Promise<Answer> {
  const record = await recordOf(target);
  const id = options.id ?? record.wanted?.order;
  const order = id === undefined ? newOrder("savepoint") : ({ kind: "savepoint", id } as const);
  checkGoesOn(target, record, order);
  if (id === undefined) await checkUnfinished(target, "savepoint");
  const taken = ({ retained }: JobRecord) => retained.find((kept) => kept.order === order.id)?.manifest;
  return byName(target, order, `savepoint --order ${order.id}`, options, async () => {
    const followed = await follow(target, order, (now) => taken(now) !== undefined, options);
    return answerTo(target, order, followed, taken(followed), (number) => [
      `savepoint ${number} is complete: it stays until it is given up, and the job goes on`,
      `begin again from it:  millrace start ${hint(target)} --from ${number}`,
    ]);
  });
}

/**
 * Follows an order of which each that is given is another one: whoever loses the answer must know its name to ask for the same. So it is
 * said before the order goes where answers may be lost, and stands in the error of a lost one.
 */
async function byName(
  target: Target,
  { id }: Order,
  command: string,
  { say }: WaitOptions,
  work: () => Promise<Answer>,
): Promise<Answer> {
  const again = `millrace ${command} ${target.words}`;
  if (target.kind === "aws") say?.(`should no answer come, the same order again:  ${again}`);
  try {
    return await work();
  } catch (error) {
    if (!isKind(error, "unavailable")) throw error;
    const advice = `it may have been done all the same, given again by its name it is done once: ${again}`;
    throw new MillraceError("unavailable", `${messageOf(error)}; ${advice}`, { cause: error, context: { order: id } });
  }
}

export async function stop(target: Target, options: WaitOptions): Promise<Answer> {
  const order = newOrder("stop");
  const record = await unlessAlready(target, order, "stopped", options);
  return answerTo(target, order, record, record.phase === "stopped" ? record.savepoint : undefined, (number) => [
    `stopped with savepoint ${number}: nothing has been taken in or put out beyond it`,
    `go on:  millrace start ${hint(target)}`,
  ]);
}

export async function pause(target: Target, options: WaitOptions): Promise<Answer> {
  const order = newOrder("pause");
  const record = await unlessAlready(target, order, "paused", options);
  return answerTo(target, order, record, record.phase === "paused" ? record.completed : undefined, (number) => [
    `paused behind checkpoint ${number}: the source keeps what comes in, for as long as it keeps it`,
    `go on:  millrace resume ${target.words}`,
  ]);
}

export async function resume(target: Target, options: WaitOptions): Promise<Answer> {
  const order = newOrder("resume");
  const record = await unlessAlready(target, order, "running", options);
  return answerTo(target, order, record, record.phase === "running" ? (record.completed ?? "") : undefined, () => [
    `running: generation ${record.generation}`,
  ]);
}

/** Back to a checkpoint that is kept, in a new generation: on AWS, where the coordinator has the code. `id`: of the order; default: a new one. */
export async function restore(
  target: Target,
  manifest: JobRecord["completed"],
  options: WaitOptions & { readonly command: "start --from" | "rollback --to"; readonly id?: string | undefined },
): Promise<Answer> {
  const order: Order = { kind: "restore", id: options.id ?? `restore-${randomUUID()}`, manifest };
  const isDone = (record: JobRecord) => hasTaken(record, order.id) && record.phase === "running";
  const to = manifest === undefined ? "latest" : numberOf(manifest);
  return byName(target, order, `${options.command} ${to} --order ${order.id}`, options, async () => {
    const record = await follow(target, order, isDone, options);
    const from = isDone(record) ? record.manifest : undefined;
    return answerTo(target, order, record, from, (number) => [
      `running: generation ${record.generation}, from checkpoint ${number}`,
      `look at it:  millrace status ${target.words}`,
    ]);
  });
}

/** The record once it is so, or as it is when the time is over. Throws `invalid` when another order has taken this one's place. */
export async function follow(
  target: Target,
  order: Order,
  isDone: (record: JobRecord) => boolean,
  { timeoutMs }: WaitOptions,
): Promise<JobRecord> {
  const ended = new AbortController();
  try {
    return await untilDone(target, order, isDone, await target.order(order, ended.signal), timeoutMs);
  } finally {
    ended.abort();
  }
}

async function untilDone(
  target: Target,
  order: Order,
  isDone: (record: JobRecord) => boolean,
  taken: JobRecord,
  timeoutMs: number,
): Promise<JobRecord> {
  const { clock } = target.ports;
  const until = clock.now() + timeoutMs;
  let record = taken;
  while (!isDone(record)) {
    if (!hasTaken(record, order.id))
      throw new MillraceError("invalid", `another order was given meanwhile, this one has not come about: ${record.order ?? ""}`);
    if (order.kind !== "resume" && order.kind !== "restore" && isPassedOver(order, record))
      throw new MillraceError("invalid", `the order was passed over, as of a job in batch mode: ${order.kind}`);
    // What nobody follows is not waited for.
    if (clock.now() >= until || (await target.runner()) === undefined) return record;
    await clock.sleep(lookEveryMs[target.kind]);
    record = await recordOf(target);
  }
  return record;
}

function isPassedOver({ kind }: Order, { phase, wanted, pending }: JobRecord): boolean {
  if (phase !== "running") return false;
  return kind === "savepoint" ? wanted === undefined && pending === undefined : true;
}

async function unlessAlready(target: Target, order: Order, phase: JobRecord["phase"], options: WaitOptions): Promise<JobRecord> {
  const record = await recordOf(target);
  if (record.phase === phase) return record;
  checkGoesOn(target, record, order);
  await checkUnfinished(target, order.kind);
  return follow(target, order, (now) => now.phase === phase, options);
}

/** Throws `invalid` where the job rests and would refuse the order: with what makes it go on. */
function checkGoesOn(target: Target, record: JobRecord, { kind, id }: Order): void {
  const { phase } = record;
  if (kind === "resume" || hasTaken(record, id)) return;
  const refused = (why: string, what: string) => new MillraceError("invalid", `${why}, so there is no ${kind}; ${what}`);
  if (phase === "stopped") throw refused("the job has stopped with a savepoint", `go on:  millrace start ${hint(target)}`);
  if (phase === "paused" && kind === "savepoint")
    throw refused("the job is paused behind a checkpoint", `go on:  millrace resume ${target.words}`);
}

/** Throws `invalid` for a job that has finished and that nobody runs: whoever ran it next would do so for the order alone. */
async function checkUnfinished(target: Target, order: Order["kind"]): Promise<void> {
  if ((await target.runner()) === undefined && (await readStatus(target)).finished)
    throw new MillraceError("invalid", `the job has finished, nothing is left to do: ${order} of ${target.job}`);
}

/** `manifest`: what came about; undefined: nothing has yet. */
async function answerTo(
  target: Target,
  { kind, id }: Order,
  { phase, generation }: JobRecord,
  manifest: string | undefined,
  describe: (number: number) => readonly string[],
): Promise<Answer> {
  const done = manifest !== undefined;
  const number = manifest === undefined || manifest === "" ? undefined : numberOf(manifest);
  const outcome: Outcome = { job: target.job, order: kind, id, done, phase, generation, checkpoint: number, manifest };
  if (done) return { json: outcome, lines: describe(number ?? 0) };
  const runner = await target.runner();
  const waits =
    runner === undefined
      ? [`the order stands, and nobody runs the job: who runs it next follows it`, `run it:  millrace run JOB ${target.words}`]
      : [`the order stands and has not come about yet: ${phase}`, `look at it:  millrace status ${target.words}`];
  const again = kind === "savepoint" ? [`wait for it: millrace savepoint --order ${id} ${target.words}`] : [];
  return { json: outcome, lines: [...waits, ...again], code: exitCodes.notYet };
}

/** How the job is named behind `start`: on this machine its code is needed. */
function hint(target: Target): string {
  return target.kind === "local" ? `JOB ${target.words}` : target.words;
}
