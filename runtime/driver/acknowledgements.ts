/**
 * What tasks say of themselves to the coordinator, in the job ring's mailbox: that they have a checkpoint's part, that they have ended.
 *
 * R6 What is too long for a message (of a task with thousands of shards) is an object, written before the message that names it. Its name
 *    is that of the commit whose effect it is, so whoever repeats the effect writes the same bytes to the same place.
 *
 * Such an object may be garbage once its task has gone on: a commit follows when the effects of the one before are done (R3), so by then
 * the message is there. While its commit is the head it stays, named or not.
 */
import { type AttemptId, type BlobName, type Generation, id, type TaskId } from "../base/ids.ts";
import { decodeValue, encodeValue } from "../base/message-pack.ts";
import { checkShape } from "../base/shape.ts";
import type { Blobs } from "../ports/blobs.ts";
import type { Message } from "../ports/journal.ts";
import type { Ports } from "../ports/ports.ts";
import type { Said } from "../snapshots/decide-cut.ts";
import { type Acknowledgement, acknowledgementShape } from "../snapshots/manifest.ts";
import { ackMessage, ackPrefix, endMessage, endPrefix, jobRing, objectName } from "../snapshots/names.ts";
import type { Commit } from "../state/commit.ts";
import { generationOf } from "../streaming/channel.ts";
import { missingObject } from "./journal-entry.ts";
import { together } from "./together.ts";

/** Says it as an effect of `commit`; "ended": how the task stands for good. Messages above `inlineBytesMax` become objects. */
export async function postAcknowledgement(
  commit: Commit,
  kind: "part" | "ended",
  said: Acknowledgement,
  { journal, blobs }: Ports,
  inlineBytesMax: number,
): Promise<void> {
  const { task, seq, attempt } = commit;
  let bytes = encodeValue(said);
  if (bytes.length > inlineBytesMax) {
    const name = objectName("acknowledgements", task, seq, id<AttemptId>(`${attempt}-${kind}`));
    await blobs.put(name, bytes);
    bytes = encodeValue(name);
  }
  const message = kind === "part" ? { name: ackMessage(task), version: said.checkpoint } : { name: endMessage(task), version: 1 };
  await journal.post(jobRing, { ...message, bytes });
}

/** The task that a message of the job ring is of, when it says something of itself; undefined for other messages. */
export function acknowledgingTask({ name }: Message): TaskId | undefined {
  return name.startsWith(ackPrefix) || name.startsWith(endPrefix) ? id<TaskId>(name.slice(name.indexOf("/") + 1)) : undefined;
}

/** What was said, and where it lies when it is an object. "gone": another message is in its place by now. */
export async function readAcknowledgement(
  { bytes }: Message,
  blobs: Blobs,
): Promise<{ readonly said: Acknowledgement | "gone"; readonly object: BlobName | undefined }> {
  const value = decodeSaid(bytes);
  if (typeof value !== "string") return { said: value, object: undefined };
  const stored = await blobs.get(value);
  return { said: stored === undefined ? "gone" : checkSaid(decodeValue(stored)), object: value };
}

/** What a message holds: what was said, or the name of the object that does. Throws `corrupt`. */
export function decodeSaid(bytes: Uint8Array): Acknowledgement | BlobName {
  const value = decodeValue(bytes);
  return typeof value === "string" ? id<BlobName>(value) : checkSaid(value);
}

function checkSaid(value: unknown): Acknowledgement {
  checkShape("an acknowledgement", value, acknowledgementShape);
  return value as Acknowledgement;
}

/** What the tasks of a generation said. Throws `unavailable` when something is gone that was said: the messages must be read again. */
export async function readSaid(messages: readonly Message[], generation: Generation, blobs: Blobs): Promise<Said> {
  const known = new Map<string, Acknowledgement>();
  const read = async (message: Message) => {
    const { said, object } = await readAcknowledgement(message, blobs);
    if (said === "gone") throw missingObject(object!);
    known.set(message.name, said);
  };
  const isOf = (task: TaskId | undefined) => task !== undefined && generationOf(task) === generation;
  await together(messages.filter((message) => isOf(acknowledgingTask(message))).map(read));
  return { acknowledged: (task) => known.get(ackMessage(task)), ended: (task) => known.get(endMessage(task)) };
}
