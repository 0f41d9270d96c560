/**
 * Port: the runtime half of sinks. Carries out payloads that a `SinkWriter` made, after their commit.
 *
 * Every call may be repeated at any later time, by a zombie too, without further effect (R2, R5); throws `unavailable` to be
 * called again.
 */
import type { GivenBack, WrittenAs } from "../api/given-back.ts";
import type { Generation, OperatorUid, Seq, TaskId } from "../base/ids.ts";

export interface SinkEffect {
  readonly operator: OperatorUid;
  readonly task: TaskId;
  readonly generation: Generation;
  /** The commit that lists the effect, and the effect's place in it: with the generation, the version of what it writes. */
  readonly seq: Seq;
  readonly n: number;
  readonly payload: Uint8Array;
  /** Of a row that was given back: what its version and id are made of, in the place of this commit (`rowVersion`, `rowId`). */
  readonly as?: WrittenAs;
}
export interface DeadLetter {
  readonly operator: OperatorUid;
  readonly reason: string;
  readonly shard: string;
  readonly position: string;
  readonly bytes: Uint8Array;
  /** Of a record as it was read: the source, to which it can be given back. */
  readonly source?: string;
  /** Of a record of a file: the line that names its fields. */
  readonly header?: string;
  /** How it can be given back to its operator; not there: its bytes are a source's, or it cannot be. */
  readonly back?: GivenBack;
}
export interface DeadLetterBatch {
  readonly task: TaskId;
  readonly generation: Generation;
  readonly seq: Seq;
  /** Of letters that an effect of the commit led to, its place there; undefined: those that the commit lists. */
  readonly effect?: number;
  readonly letters: readonly DeadLetter[];
}
/** The commits a new generation starts from. */
export interface Restored {
  /** The new generation, about to write. */
  readonly generation: Generation;
  /** The generation that took the restored checkpoint; 0 when nothing was restored. */
  readonly from: Generation;
  /** Per task of `from`, the last commit that the checkpoint contains. */
  readonly lastSeq: ReadonlyMap<TaskId, Seq>;
}
export interface SinkDriver {
  carryOut(effect: SinkEffect): Promise<void>;
  /** All dead letters of one commit: stored as one object named by generation, task and seq. */
  deadLetters(batch: DeadLetterBatch): Promise<void>;
  /** Before a new generation writes: takes back what older generations published after the restored commits (DESIGN §11). */
  quarantine(operator: OperatorUid, restored: Restored): Promise<void>;
  /** The same of dead letters: what was put aside after the restored commits is read again, and must not be given back beside. */
  quarantineLetters?(restored: Restored): Promise<void>;
}
