/**
 * What an order makes of the job record: a pure decision. The steps that follow are the coordinator's, each from the record alone, so
 * that they go on whoever died in between.
 */
import type { BlobName } from "../base/ids.ts";
import { followed, type JobRecord } from "./job-record.ts";

/** `id` names the order: the same one given again is not followed again, however late it comes. */
export type Order = { readonly id: string } & (
  | { readonly kind: "savepoint" }
  /** Stop with a savepoint, as Flink's `stop`. */
  | { readonly kind: "stop" }
  /** Takes nothing more in behind a checkpoint, and goes on from there, in the same generation, when told to resume. */
  | { readonly kind: "pause" }
  /** Gives a stop or a pause up, or goes on from where the job has stopped or paused. */
  | { readonly kind: "resume" }
  /** Goes back to a checkpoint that is retained; undefined: to the latest. */
  | { readonly kind: "restore"; readonly manifest: BlobName | undefined }
);

export type OrderDecision =
  | { readonly outcome: "moved"; readonly record: JobRecord }
  /** A new generation begins from this checkpoint. */
  | { readonly outcome: "restore"; readonly manifest: BlobName }
  /** It has been taken before. */
  | { readonly outcome: "known" }
  | { readonly outcome: "refused"; readonly reason: string };

/** `record` is of a job that is not being restored. */
export function decideOrder(record: JobRecord, order: Order, takesCheckpoints: boolean): OrderDecision {
  if (hasTaken(record, order.id)) return { outcome: "known" };
  if (order.kind === "restore") return decideRestore(order.manifest ?? record.completed);
  if (!takesCheckpoints) return refuse("a job in batch mode takes no checkpoints, it ends with its input");
  if (order.kind === "resume") return decideResume(record, order.id);
  if (record.phase === "stopped") return refuse("the job has stopped, give the order to resume it first");
  if (order.kind === "stop")
    return { outcome: "moved", record: { ...record, ...followed(record, order.id), phase: "stopping", wanted: undefined } };
  if (order.kind === "pause") return decidePause(record, order.id);
  if (record.phase === "paused") return refuse("the job is paused, give the order to resume it or to stop it with a savepoint");
  const wanted = { savepoint: true, after: record.lastCheckpoint, order: order.id };
  return { outcome: "moved", record: { ...record, ...followed(record, order.id), wanted } };
}

/** Whether the order has been taken, also where others have come since. */
export function hasTaken({ order, orders, wanted, retained }: JobRecord, id: string): boolean {
  return order === id || orders?.includes(id) === true || wanted?.order === id || retained.some((kept) => kept.order === id);
}

function decidePause(record: JobRecord, order: string): OrderDecision {
  if (record.phase === "stopping") return refuse("the job is being stopped");
  const taken = { ...record, ...followed(record, order) };
  return { outcome: "moved", record: record.phase === "paused" ? taken : pause(taken) };
}

/** The record of a job that runs, as it begins to pause. */
export function pause(record: JobRecord, reason?: string): JobRecord {
  return { ...withoutReason(record), phase: "pausing", wanted: undefined, ...(reason !== undefined && { reason }) };
}

function decideRestore(manifest: BlobName | undefined): OrderDecision {
  if (manifest === undefined) return refuse("no checkpoint is complete, so there is nothing to go back to");
  return { outcome: "restore", manifest };
}

function decideResume(record: JobRecord, order: string): OrderDecision {
  if (record.phase === "running") return { outcome: "moved", record: { ...record, ...followed(record, order) } };
  if (record.phase === "stopped" && record.savepoint !== undefined) return { outcome: "restore", manifest: record.savepoint };
  if (record.savepoint !== undefined) return refuse("the rings are being sealed, resume the job when it has stopped");
  // Tasks that wait behind the barrier of the savepoint go on when a later checkpoint is asked for.
  const wanted = { savepoint: false, after: record.lastCheckpoint };
  // A checkpoint under way is one like others from now on: some tasks may hear of it as such.
  const pending = record.pending && { ...record.pending, stop: false };
  return {
    outcome: "moved",
    record: { ...withoutReason(record), ...followed(record, order), phase: "running", wanted, pending },
  };
}

/** Of a job that goes on, or rests for another one. */
export function withoutReason(record: JobRecord): JobRecord {
  const { reason: _reason, ...rest } = record;
  return rest;
}

function refuse(reason: string): OrderDecision {
  return { outcome: "refused", reason };
}
