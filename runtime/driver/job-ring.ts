/** The job record as the head of its ring (L1): read it, move it by one conditional write. */
import { type AttemptId, id, type Seq } from "../base/ids.ts";
import type { Message } from "../ports/journal.ts";
import type { Ports } from "../ports/ports.ts";
import { decodeJobRecord, encodeJobRecord, type JobRecord } from "../snapshots/job-record.ts";
import { jobRing } from "../snapshots/names.ts";
import { MillraceError } from "../base/errors.ts";

export interface JobRing {
  readonly record: JobRecord | undefined;
  readonly seq: Seq;
  /** Acknowledgements. */
  readonly messages: readonly Message[];
}

export async function readJobRing({ journal }: Ports, job: string): Promise<JobRing> {
  const { entries, messages } = await journal.tail(jobRing, "head");
  const head = entries[entries.length - 1];
  if (head === undefined) return { record: undefined, seq: 0, messages };
  const record = decodeJobRecord(head.bytes);
  if (record.job !== job)
    throw new MillraceError("invalid", `this is the state of job ${record.job}: give job ${job} a place of its own`);
  return { record, seq: head.seq, messages };
}

export async function readJobRecord(ports: Ports, job: string): Promise<JobRecord | undefined> {
  return (await readJobRing(ports, job)).record;
}

/** False when another has moved it meanwhile: look again. */
export async function moveJobRecord({ journal }: Ports, from: JobRing, to: JobRecord, by: string): Promise<boolean> {
  const attempt = id<AttemptId>(`${by}.${from.seq + 1}`);
  const entry = { seq: from.seq + 1, attempt, bytes: encodeJobRecord(to) };
  for (let tries = 0; ; tries++) {
    try {
      const result = await journal.write(jobRing, entry);
      return result.outcome === "written" || (result.by === attempt && result.seq === entry.seq);
    } catch (error) {
      if (tries === 2) throw error;
    }
  }
}
