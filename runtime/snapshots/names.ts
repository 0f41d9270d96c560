/**
 * Every durable name, formed in one place. Names carry what garbage collection must know: generation, task and seq (L6), and the
 * attempt, so that no two attempts ever write the same object (R6, L16).
 */
import { type AttemptId, type BlobName, type Checkpoint, type Generation, id, type Seq, type TaskId } from "../base/ids.ts";

/** "runs": sorted input of operators in batch mode; "acknowledgements": those that are too long for a message. */
export type ObjectKind = "segments" | "payloads" | "runs" | "acknowledgements";

/** An object written for entry `seq` of a task by one attempt. */
export function objectName(kind: ObjectKind, task: TaskId, seq: Seq, attempt: AttemptId): BlobName {
  return id<BlobName>(`${kind}/${task}/${String(seq).padStart(12, "0")}-${attempt}`);
}

/** Of what kind an object is, and its task and seq; undefined for other names. */
export function parseObjectName(
  name: string,
): { readonly kind: ObjectKind; readonly task: TaskId; readonly seq: Seq } | undefined {
  const match = /^(segments|payloads|runs|acknowledgements)\/(.+)\/(\d{12})-[^/]*$/.exec(name);
  if (match === null) return undefined;
  return { kind: match[1] as ObjectKind, task: id<TaskId>(match[2] as string), seq: Number(match[3]) };
}

/** The manifest of a checkpoint, or its tombstone. */
export function manifestName(checkpoint: Checkpoint): BlobName {
  return id<BlobName>(`manifests/${String(checkpoint).padStart(12, "0")}`);
}

/**
 * A copy of the manifest of another job, that this one takes for its own checkpoint of the number by an order. No coordinator writes
 * the name: where nothing comes of the order, the job's own checkpoint of that number has its place. In order with those as text.
 */
export function adoptedName(checkpoint: Checkpoint, order: string): BlobName {
  return id<BlobName>(`${manifestName(checkpoint)}-${order}`);
}

/** The number of the checkpoint; undefined for other names. */
export function checkpointIn(name: string): Checkpoint | undefined {
  const match = /^manifests\/(\d{12})(?:-[^/]*)?$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/**
 * A copy of another job's segment, that this job takes over by an order. It is of no task, so nobody's garbage before `generation` is over,
 * which must not be over before the job's record refers to it.
 */
export function copyName(generation: Generation, order: string, n: number): BlobName {
  return objectName("segments", id<TaskId>(`g${generation}.${order}`), n, id<AttemptId>("copy"));
}

export const manifestPrefix = "manifests/";
export const objectPrefixes = ["segments/", "payloads/", "runs/", "acknowledgements/"] as const;

/** The ring in which the job record lives. */
export const jobRing = id<TaskId>("job");

/** The ring in which coordinators take turns at looking. */
export const lookLease = id<TaskId>("lease");

/** The ring in which coordinators take turns at carrying out a restore. */
export const restoreLease = id<TaskId>("lease-restore");

/** The inbox stream of a stage in a generation. */
export function inboxName(generation: Generation, stage: string): string {
  return `inbox-${generation}-${stage}`;
}

/** The stage whose inbox it is. */
export function stageOfInbox(stream: string): string {
  return stream.slice(stream.indexOf("-", "inbox-".length) + 1);
}

/** Messages in a task's mailbox (ports/journal.ts), by name. */
export const checkpointMessage = "checkpoint";
export const wakeUpMessage = "wakeUp";

/** An attempt at something of a name. */
export function attemptMessage(what: string): string {
  return `${attemptPrefix}${what}`;
}
export const attemptPrefix = "attempt/";

/** The attempt of an environment at some of the deliveries of a shard. */
export function deliveriesMessage(what: string, environment: string): string {
  return `${deliveriesPrefix(what)}${environment}`;
}
export function deliveriesPrefix(what: string): string {
  return `deliveries/${what}/`;
}

/** How far the slowest of an alignment group is: its version is that watermark, which as a limit never goes back. */
export function alignmentMessage(group: string): string {
  return `alignment/${group}`;
}

/** In the job ring: where a source's task stands in its alignment group. */
export function standingMessage(task: TaskId): string {
  return `${standingPrefix}${task}`;
}
export const standingPrefix = "standing/";

/** In the job ring: what a task said of its part of a checkpoint; a later checkpoint's takes its place. */
export function ackMessage(task: TaskId): string {
  return `${ackPrefix}${task}`;
}
export const ackPrefix = "ack/";

/** In the job ring: a task puts aside more than the job allows. */
export function floodMessage(task: TaskId): string {
  return `${floodPrefix}${task}`;
}
export const floodPrefix = "flood/";

/** In the job ring: how a task ended, and who goes on with its range. Beside its last acknowledgement, which stays as it is. */
export function endMessage(task: TaskId): string {
  return `${endPrefix}${task}`;
}
export const endPrefix = "end/";
