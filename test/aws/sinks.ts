/** What the tests of sinks on AWS share: the effects of commits, as an engine would list them. */
import type { ChangeKind, CommitEnd, Sink } from "../../runtime/api/connector.ts";
import { type ErrorKind, isKind } from "../../runtime/base/errors.ts";
import { id, type OperatorUid, type TaskId } from "../../runtime/base/ids.ts";
import type { Restored, SinkEffect } from "../../runtime/ports/sink-driver.ts";

export const operator = id<OperatorUid>("out");
export const task = id<TaskId>("g1.count~0");

export interface Step {
  readonly rows: readonly unknown[];
  /** Of each row; default "+I". */
  readonly kinds?: readonly ChangeKind[];
  /** Of each row, epoch ms; default: none. */
  readonly times?: readonly number[];
  /** Default "turn". */
  readonly end?: CommitEnd;
  /** Processing time; default 0. */
  readonly now?: number;
}

export interface Writes {
  readonly generation?: number;
  readonly task?: TaskId;
  /** The seq of the first commit; default 1. */
  readonly from?: number;
}

/** What the commits of these steps ask for, each built by a writer restored from the state before it. */
export function effectsOf(sink: Sink<any, any>, steps: readonly Step[], writes: Writes = {}): SinkEffect[][] {
  const { generation = 1, task: writer = task, from = 1 } = writes;
  let state: unknown;
  return steps.map(({ rows, kinds = [], times = [], end = "turn", now = 0 }, i) => {
    const seq = from + i;
    const pure = sink.createWriter({ generation, task: writer, operator, seq: () => seq, now: () => now });
    pure.restore(state === undefined ? undefined : JSON.parse(JSON.stringify(state)));
    rows.forEach((row, n) => pure.add(row, times[n], kinds[n] ?? "+I"));
    const payloads = pure.flush(end);
    state = pure.state();
    return payloads.map((payload, n) => ({ operator, task: writer, generation, seq, n, payload }));
  });
}

/** A restore of the checkpoint that generation `from` took after these commits. */
export function restoreOf(
  lastSeq: Readonly<Record<string, number>>,
  { from = 1, generation = 2 }: { readonly from?: number; readonly generation?: number } = {},
): Restored {
  return { generation, from, lastSeq: new Map(Object.entries(lastSeq).map(([name, seq]) => [id<TaskId>(name), seq])) };
}

export const failsAs = (kind: ErrorKind, message: RegExp) => (error: unknown) =>
  isKind(error, kind) && message.test(error.message);
