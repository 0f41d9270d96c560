/**
 * The slot condition of a task's ring (R1), as a pure decision over what the slot holds, shared by the embedded journals.
 *
 * Entry n goes to slot n mod ring, which must be empty (n <= ring) or hold entry n − ring.
 */
import { assert } from "../base/assert.ts";
import { MillraceError } from "../base/errors.ts";
import type { Seq, TaskId } from "../base/ids.ts";

/** What becomes of a write of entry `seq` when its slot holds entry `held`, or nothing. Throws `corrupt` when entries are missing. */
export function decideSlot(task: TaskId, seq: Seq, ringSize: number, held: Seq | undefined): "write" | "lost" {
  assert(Number.isSafeInteger(seq) && seq >= 1, `entries are numbered from 1: ${task}, ${seq}`);
  const expected = seq <= ringSize ? undefined : seq - ringSize;
  if (held === expected) return "write";
  if (held !== undefined && held >= seq) return "lost";
  throw new MillraceError("corrupt", `entries are missing from the ring: ${task}, slot of ${seq} holds ${held ?? "nothing"}`);
}

/** Throws `corrupt` unless the entries are numbered without a gap. */
export function checkNoGaps(task: TaskId, seqs: readonly Seq[]): void {
  const broken = seqs.findIndex((seq, n) => n > 0 && seq !== seqs[n - 1]! + 1);
  if (broken !== -1) {
    throw new MillraceError("corrupt", `entries are missing from the ring: ${task}, ${seqs[broken]} follows ${seqs[broken - 1]}`);
  }
}
