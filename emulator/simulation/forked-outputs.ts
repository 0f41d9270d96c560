/**
 * What has come out of a job that began from another's checkpoint: what that one had put out by then, and what the job put out itself. The
 * two together are what one job would have put out.
 */
import type { Outcome } from "../../runtime/testing/simulation/checkers.ts";
import type { Outside } from "../../runtime/testing/simulation/sinks.ts";

export interface PutOut {
  readonly sinks: Outcome["sinks"];
  /** Tables of an author's kind. */
  readonly outside: Outside;
}

export class ForkedOutputs implements PutOut {
  readonly sinks: Outcome["sinks"];
  readonly outside: Outside;

  /** `deleted`: the keys of rows that the job has deleted, of a table. */
  constructor(before: PutOut, own: PutOut, deleted: (uid: string) => readonly string[]) {
    const [a, b] = [before.sinks, own.sinks];
    this.sinks = {
      list: (uid) => [...a.list(uid), ...b.list(uid)].sort(),
      table: (uid) => {
        const left = new Map(a.table(uid));
        for (const key of deleted(uid)) left.delete(key);
        return new Map([...left, ...b.table(uid)]);
      },
      deadLettersSeen: [...a.deadLettersSeen, ...b.deadLettersSeen],
    };
    this.outside = new Map(
      [...own.outside].map(([uid, { functions, rows }]) => [
        uid,
        { functions, rows: new Map([...(before.outside.get(uid)?.rows ?? []), ...rows]) },
      ]),
    );
  }
}
