/** What the children of the crash and race tests write, so that the parent can tell whether it is all there. */
import { id, type AttemptId, type BlobName, type OperatorUid, type Position, type TaskId } from "../../runtime/base/ids.ts";
import type { Journal } from "../../runtime/ports/journal.ts";
import type { Log, LogRecordToAppend } from "../../runtime/ports/log.ts";
import type { PageId, StoredPage } from "../../runtime/ports/pages.ts";

export const crashJob = "crash";
export const crashRing = 16;
export const crashTask = id<TaskId>("count/0");

/** Bytes that tell their own number and that nothing is missing from them. */
export function numbered(n: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length).fill(n % 251);
  new DataView(bytes.buffer).setUint32(0, n);
  return bytes;
}

/** The number of bytes made by `numbered`; undefined when they are not as they were made. */
export function numberOf(bytes: Uint8Array): number | undefined {
  const n = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  return bytes.subarray(4).every((byte) => byte === n % 251) ? n : undefined;
}

export function entryOf(seq: number): { readonly seq: number; readonly attempt: AttemptId; readonly bytes: Uint8Array } {
  return { seq, attempt: id<AttemptId>(`a/${seq}`), bytes: numbered(seq, 20_000) };
}

export function recordOf(n: number): LogRecordToAppend {
  return { hashKey: BigInt(n), bytes: numbered(n, 5_000) };
}

export function blobName(n: number): BlobName {
  return id<BlobName>(`segments/${n % 5}`);
}

export function blobBytes(n: number): Uint8Array {
  return numbered(n, 300_000);
}

export const crashPage: PageId = { writer: crashTask, operator: id<OperatorUid>("count"), keyGroup: 1 };

export function pageOf(n: number): PageId & StoredPage {
  return { ...crashPage, version: n, bytes: numbered(n, 3_000) };
}

export async function headOf(journal: Journal): Promise<number> {
  return (await journal.tail(crashTask, 0)).entries.at(-1)?.seq ?? 0;
}

/** The numbers of all records of the inbox, in their order. */
export async function readAll(log: Log): Promise<readonly (number | undefined)[]> {
  const shard = (await log.shards("inbox"))[0]!.id;
  const numbers: (number | undefined)[] = [];
  for (let at: Position | "horizon" | undefined = "horizon"; at !== undefined;) {
    const { records, next } = await log.read("inbox", shard, at, { records: 1000, bytes: 10_000_000 });
    if (records.length === 0) break;
    numbers.push(...records.map(({ bytes }) => numberOf(bytes)));
    at = next;
  }
  return numbers;
}
