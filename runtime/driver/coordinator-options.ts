/** What a coordinator is told of the process that it is in. */
import type { Safeguards } from "../task/safeguards.ts";
import type { Lease } from "./lease.ts";

export interface CoordinatorOptions {
  readonly id: string;
  readonly deployment: number;
  readonly safeguards: Safeguards;
  /** How long rings and pages of a generation stay after it is over; at least as long as anybody may still act for it. */
  readonly formerMsMin?: number;
  /** Takes the place of the job's own option: for one start. */
  readonly allowSkippedState?: boolean | undefined;
  /** Takes the place of the job's own parallelism, in this job's plan and in those after it: noted in the record at a restore. */
  readonly rescaleTo?: number | undefined;
  /** Creates an inbox stream with so many shards, unless it is there; `mayGoOn` is asked before each change of one that is. */
  readonly createStream: (stream: string, shards: number, mayGoOn: () => Promise<boolean>) => Promise<unknown>;
  /** Waits for its turn at carrying out a restore for no time: undefined when another is at it. Without: there is no other. */
  readonly restoreTurn?: () => Promise<Lease | undefined>;
}
