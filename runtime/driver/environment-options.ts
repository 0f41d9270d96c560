/** How an environment works: its limits, and what it knows of the deployment. */
import { allSafeguards, type Safeguards } from "../task/safeguards.ts";
import { defaultLimits, type TaskLimits } from "../task/task-plan.ts";
import { type AttemptOptions, defaultAttempts } from "./attempt-log.ts";
import type { PayloadOptions } from "./journal-entry.ts";

export interface EnvironmentOptions {
  /** Tells environments apart: part of every attempt's name (L16). */
  readonly id: string;
  /** The ordinal of the code that runs. */
  readonly deployment: number;
  readonly payload: PayloadOptions;
  /** Acknowledgements above it become objects: an item of DynamoDB may have 400 KB. */
  readonly messageBytesMax: number;
  /** Key groups in memory, all tasks of the environment, approximately. */
  readonly cacheBytesMax: number;
  /** A local base is taken when so many bytes of entries lie above the last. */
  readonly journalBytesMax: number;
  /** Records that a poke reads at once. */
  readonly recordsPerTurn: number;
  readonly bytesPerTurn: number;
  /**
   * The longest that an invocation can live: once a generation is older, no batch of an earlier one can come, even where no read has come to a
   * shard's tip (L3).
   */
  readonly invocationMsMax: number;
  /** The job record is read anew when it was read so long ago. */
  readonly recordMsMax: number;
  /** What is kept of an invocation's time for a commit and its effects: then no more is taken in. */
  readonly reserveMs: number;
  /** So many records are fed at first where time is limited: how long they take is not known yet. */
  readonly firstPart: number;
  readonly attempts: AttemptOptions;
  readonly limits: TaskLimits;
  readonly safeguards: Safeguards;
}

export const defaultEnvironment: Omit<EnvironmentOptions, "id"> = {
  deployment: 1,
  payload: { inlineBytesMax: Infinity, compressFromBytes: Infinity },
  messageBytesMax: 256 * 1024,
  cacheBytesMax: 256 << 20,
  journalBytesMax: 32 << 20,
  recordsPerTurn: 10_000,
  bytesPerTurn: 4 << 20,
  invocationMsMax: 20 * 60_000,
  recordMsMax: 20 * 60_000,
  reserveMs: 5_000,
  firstPart: 32,
  attempts: defaultAttempts,
  limits: defaultLimits,
  safeguards: allSafeguards,
};
