/**
 * The job record as the head of its ring (L1): read it, move it by one conditional write.
 *
 * R6 A record that is too long for an entry (of thousands of shards or tasks) is written as an object first, under a name of its contents
 *    and its attempt. Only the head's object is used; the others are garbage.
 */
import { crc32 } from "node:zlib";
import { type AttemptId, type BlobName, id, type Seq } from "../base/ids.ts";
import type { Journal, JournalTail, Message } from "../ports/journal.ts";
import type { Ports } from "../ports/ports.ts";
import {
  decodeJobRecord,
  decodeRecordEntry,
  encodeJobRecord,
  encodeRecordPointer,
  type JobRecord,
} from "../snapshots/job-record.ts";
import { jobRing, objectName } from "../snapshots/names.ts";
import { MillraceError } from "../base/errors.ts";
import { missingObject } from "./journal-entry.ts";

export interface JobRing {
  readonly record: JobRecord | undefined;
  readonly seq: Seq;
  /** Acknowledgements. */
  readonly messages: readonly Message[];
}

/** Above it a record becomes an object: an item of DynamoDB may have 400 KB. */
const inlineBytesMax = 256 * 1024;
/** How often the ring is read while its record's object is gone, because the record has moved on. */
const readsMax = 5;

export async function readJobRing(ports: Ports, job: string): Promise<JobRing> {
  const { head, record, messages } = await readHead(ports);
  if (record === undefined) return { record, seq: 0, messages };
  if (record.job !== job)
    throw new MillraceError("invalid", `this is the state of job ${record.job}: give job ${job} a place of its own`);
  return { record, seq: head!.seq, messages };
}

export async function readJobRecord(ports: Ports, job: string): Promise<JobRecord | undefined> {
  return (await readJobRing(ports, job)).record;
}

/** The object that the head's record lies in, if it does, and the head's seq. */
export async function useJobRing({ journal }: Ports, used: Set<BlobName>): Promise<Seq> {
  const head = (await journal.tail(jobRing, "head")).entries.at(-1);
  const stored = head && decodeRecordEntry(head.bytes);
  if (typeof stored === "string") used.add(stored);
  return head?.seq ?? 0;
}

/** What the journal's head said when it was last read: as long as it says the same, it is not decoded again. */
interface LastRead {
  readonly bytes: Uint8Array;
  readonly stored: JobRecord | BlobName;
}

const lastReads = new WeakMap<Journal, LastRead>();

function decodeHead(journal: Journal, bytes: Uint8Array): JobRecord | BlobName {
  const last = lastReads.get(journal);
  if (last !== undefined && Buffer.compare(last.bytes, bytes) === 0) return last.stored;
  const stored = decodeRecordEntry(bytes);
  lastReads.set(journal, { bytes, stored });
  return stored;
}

async function readHead({ journal, blobs }: Ports) {
  for (let reads = 1; ; reads++) {
    const { entries, messages }: JournalTail = await journal.tail(jobRing, "head");
    const head = entries.at(-1);
    const stored = head && decodeHead(journal, head.bytes);
    if (typeof stored !== "string") return { head, record: stored, messages };
    const bytes = await blobs.get(stored);
    if (bytes !== undefined) return { head, record: decodeJobRecord(bytes), messages };
    if (reads === readsMax) throw missingObject(stored);
  }
}

/** False when another has moved it meanwhile: look again. */
export async function moveJobRecord(ports: Ports, from: JobRing, to: JobRecord, by: string): Promise<boolean> {
  const attempt = id<AttemptId>(`${by}.${from.seq + 1}`);
  const entry = { seq: from.seq + 1, attempt, bytes: await entryOf(to, from.seq + 1, attempt, ports) };
  for (let tries = 0; ; tries++) {
    try {
      const result = await ports.journal.write(jobRing, entry);
      return result.outcome === "written" || (result.by === attempt && result.seq === entry.seq);
    } catch (error) {
      if (tries === 2) throw error;
    }
  }
}

async function entryOf(record: JobRecord, seq: Seq, attempt: AttemptId, { blobs }: Ports): Promise<Uint8Array> {
  const bytes = encodeJobRecord(record);
  if (bytes.length <= inlineBytesMax) return bytes;
  // The same coordinator may come to the same place with another record, when it does not know what became of the first.
  const name = objectName("payloads", jobRing, seq, id<AttemptId>(`${attempt}-${crc32(bytes).toString(16)}`));
  await blobs.put(name, bytes);
  return encodeRecordPointer(name);
}
