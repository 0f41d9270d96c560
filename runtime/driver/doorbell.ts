/** What wakes a task. It usually brings the data along; the task trusts only its own position (DESIGN §1). */
import type { Position, ShardId, TaskId } from "../base/ids.ts";
import type { Successor } from "../streaming/element.ts";
import type { SourceRecord } from "../api/connector.ts";
import type { TakenDeliveries } from "./taken-deliveries.ts";

export type Doorbell =
  /** Records of a source shard. `after`: where whoever read them began; undefined when unknown (a mapping's batch). */
  | {
      readonly kind: "records";
      readonly source: string;
      readonly shard: ShardId;
      readonly records: readonly SourceRecord[];
      readonly after?: Position | "horizon";
      /** Of deliveries: which of them are committed. Whoever hears the doorbell keeps it. */
      readonly taken?: TakenDeliveries;
    }
  /** Records of the inbox of one task. */
  | {
      readonly kind: "frames";
      readonly task: TaskId;
      readonly records: readonly SourceRecord[];
      readonly after?: Position | "horizon";
    }
  /** Records of a shard of the inbox of a stage: whose they are is decided by the generation that lives. */
  | { readonly kind: "inbox"; readonly stage: string; readonly shard: ShardId; readonly records: readonly SourceRecord[] }
  /**
   * Something may have to be done: a checkpoint was asked for, time has passed, a shard may have ended. Reads for itself. `oneAtATime`: the
   * task is not poked so again before this is answered, or whoever heard it is gone; as a mapping does with its batches. `share`: of what a
   * turn reads at once, above 0; default 1, all of it.
   */
  | { readonly kind: "poke"; readonly task: TaskId; readonly oneAtATime?: boolean; readonly share?: number };

/** A doorbell whose task is known. */
export type AddressedBell = Exclude<Doorbell, { readonly kind: "inbox" }>;

/** What came of a turn. Only `done` may be answered as success. */
export type TurnOutcome =
  | {
      readonly outcome: "done";
      readonly task: TaskId;
      readonly commits: number;
      readonly records: number;
      readonly ended: boolean;
      /** Of an ended task: who goes on with its range. */
      readonly successors: readonly Successor[];
      /** Processing time at which it has something to do without input; Infinity: never. */
      readonly wakeAt: number;
      /** It reads what nobody brings, and has not come to its end. */
      readonly polls: boolean;
      /** A poke read, and not to the end of what is there: of an inbox there may be only frames of an older generation so far. */
      readonly behind: boolean;
      /**
       * Time was over before this record, of those that the doorbell brought, or its shard's parents have not ended: what comes before it has
       * succeeded, it and the rest come again.
       */
      readonly unprocessed: Position | undefined;
      /** The same of deliveries, which have no positions: the ids of those that are to come again. Empty of all else. */
      readonly left: readonly string[];
    }
  /** The doorbell is of an older generation: nothing is to be done for it. */
  | { readonly outcome: "stale" }
  /** Not yet: the generation is being restored, the job is being stopped, or the parents of the shard have not ended. Ring again. */
  | { readonly outcome: "waiting" }
  /** Newer code has taken over the task: this environment must stop. */
  | { readonly outcome: "fenced"; readonly deployment: number };

/** What came of ringing the tasks of a source. Only `done` may be answered as success. */
export type RingOutcome =
  | { readonly outcome: "done" | "waiting" }
  /** Time was over before all was read. */
  | { readonly outcome: "late" }
  | Extract<TurnOutcome, { readonly outcome: "fenced" }>;
