/** Invocations outlive the generation they began in. Pure. */
import type { JobRecord } from "../snapshots/job-record.ts";

/** Whether one that began before this generation ran, and holds a batch, may be alive (L3): not where the generation is the first. */
export function mayHoldOlder({ generation, since }: JobRecord, now: number, invocationMsMax: number): boolean {
  return generation > 1 && now - since <= invocationMsMax;
}
