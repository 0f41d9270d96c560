/**
 * Every name of this adapter in DynamoDB, S3 and Kinesis, formed in one place: docs/state-layout.md lists them.
 *
 * N1 Everything of a job lies under `<job>/`: the leading part of its partition keys and of its object names, so that one job's role can
 *    be kept from another's state.
 * N2 Different things have different names: parts are joined by "/", which does not occur in a part.
 */
import type { BlobName, OperatorUid, TaskId } from "../../base/ids.ts";
import type { PageId } from "../../ports/pages.ts";

/** The attributes of an item: short, because each counts in the size of every item. */
export const attribute = {
  /** Partition key, text. */
  partition: "p",
  /** Sort key, text. */
  sort: "s",
  /** The seq of an entry, the version of a message or page, the format of the identity. */
  number: "n",
  /** Who wrote an entry. */
  attempt: "a",
  bytes: "b",
  /** Of the identity: slots per ring. */
  ringSize: "r",
} as const;

/** The job's own item: the format and the size of its rings. */
export function identityPartition(job: string): string {
  return part(job);
}
export const identitySort = "identity";

/** A task's ring and mailbox. */
export function ringPartition(job: string, task: TaskId): string {
  return `${part(job)}/ring/${part(task)}`;
}

/** Slots sort before messages, and by number. */
export function slotSort(slot: number): string {
  return `e${String(slot).padStart(4, "0")}`;
}
export const slotPrefix = "e";

export function messageSort(name: string): string {
  return messagePrefix + name;
}
export const messagePrefix = "m";

/** The pages that a task writes: DynamoDB divides a partition whose pages are much used among several machines. */
export function pagePartition(job: string, writer: TaskId): string {
  return `${part(job)}/page/${part(writer)}`;
}

export function pageSort({ operator, keyGroup }: Pick<PageId, "operator" | "keyGroup">): string {
  return `${part(operator)}/${keyGroup}`;
}

export function pageOfSort(writer: TaskId, sort: string): PageId {
  const at = sort.lastIndexOf("/");
  return { writer, operator: decodeURIComponent(sort.slice(0, at)) as OperatorUid, keyGroup: Number(sort.slice(at + 1)) };
}

/** Where a job's objects lie in the bucket. */
export function objectKey(job: string, name: string): string {
  return `${part(job)}/${name}`;
}

export function blobOfKey(job: string, key: string): BlobName {
  return key.slice(part(job).length + 1) as BlobName;
}

/** An inbox stream of the job, in an account that has other streams. */
export function streamName(job: string, stream: string): string {
  return `${job}-${stream}`;
}

function part(text: string): string {
  return text.replace(/[%/]/g, (character) => encodeURIComponent(character));
}
