/**
 * Port: the ring of commits of each task, and its mailbox (one DynamoDB partition).
 *
 * Consistency needed: linearizable per task for entries; each message on its own.
 * R1 stands here: entry n is written at most once, because slot n mod ring is written only when empty (n <= ring) or
 * holding n − ring.
 */
import type { AttemptId, Seq, TaskId } from "../base/ids.ts";

export interface StoredEntry {
  readonly seq: Seq;
  readonly bytes: Uint8Array;
}

/** A message for a task: a checkpoint request, a wake-up, an acknowledgement. One per name; the highest version stays. */
export interface Message {
  readonly name: string;
  readonly version: number;
  readonly bytes: Uint8Array;
}

export interface JournalTail {
  /**
   * Entries with seq > after, in order and without gaps up to the head; after "head": the head alone. When the ring has moved past `after`, they begin later:
   * the reader must compare, and start again from a newer base.
   */
  readonly entries: readonly StoredEntry[];
  /** No older than the entries: what was posted before an entry was written is among them, or what has taken its place. */
  readonly messages: readonly Message[];
}

export type WriteResult =
  | { readonly outcome: "written" }
  /** Another entry holds the slot: `seq` and `by` are the holder's. Nothing was written. */
  | { readonly outcome: "lost"; readonly seq: Seq; readonly by: AttemptId };

export interface Journal {
  /** Slots per task: `seq − base` stays below it. */
  readonly ringSize: number;
  /**
   * Sequence numbers start at 1: `after` 0 asks for everything that the ring still holds, "head" for the last entry, which costs less to
   * read where the ring is large. Strongly consistent.
   */
  tail(task: TaskId, after: Seq | "head"): Promise<JournalTail>;
  /**
   * Throws `unavailable` when it may or may not have been written: written again, it answers `lost` with the caller's own attempt
   * if it was. Throws `corrupt` when entry n − ring should be in the slot and is not: entries are missing.
   */
  write(
    task: TaskId,
    entry: { readonly seq: Seq; readonly attempt: AttemptId; readonly bytes: Uint8Array },
  ): Promise<WriteResult>;
  /** Puts a message unless one of the same name with this or a higher version is there. */
  post(task: TaskId, message: Message): Promise<"posted" | "superseded">;
  /** Deletes messages; names that are not there are passed over. */
  withdraw(task: TaskId, names: readonly string[]): Promise<void>;
  /** Deletes the task's entries and messages. Only for a task that nobody writes, reads or seals any more. */
  forget(task: TaskId): Promise<void>;
}
