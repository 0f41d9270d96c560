/**
 * What an order makes of the job record: a pure decision. The steps that follow are the coordinator's, each from the record alone, so
 * that they go on whoever died in between.
 */
import type { BlobName } from "../base/ids.ts";
import type { JobRecord } from "./job-record.ts";

/** `id` names the order: the same one given again is not followed again. */
export type Order = { readonly id: string } & (
  | { readonly kind: "savepoint" }
  /** Stop with a savepoint, as Flink's `stop`. */
  | { readonly kind: "stop" }
  /** Gives a stop up, or goes on from where the job has stopped. */
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
  if (record.order === order.id) return { outcome: "known" };
  if (order.kind === "restore") return decideRestore(order.manifest ?? record.completed);
  if (!takesCheckpoints) return refuse("a job in batch mode takes no checkpoints, it ends with its input");
  if (order.kind === "resume") return decideResume(record, order.id);
  if (record.phase === "stopped") return refuse("the job has stopped, give the order to resume it first");
  const wanted = { savepoint: true, after: record.lastCheckpoint };
  if (order.kind === "savepoint") return { outcome: "moved", record: { ...record, order: order.id, wanted } };
  return { outcome: "moved", record: { ...record, order: order.id, phase: "stopping", wanted: undefined } };
}

function decideRestore(manifest: BlobName | undefined): OrderDecision {
  if (manifest === undefined) return refuse("no checkpoint is complete, so there is nothing to go back to");
  return { outcome: "restore", manifest };
}

function decideResume(record: JobRecord, order: string): OrderDecision {
  if (record.phase === "running") return { outcome: "moved", record: { ...record, order } };
  if (record.phase === "stopped" && record.savepoint !== undefined) return { outcome: "restore", manifest: record.savepoint };
  if (record.savepoint !== undefined) return refuse("the rings are being sealed, resume the job when it has stopped");
  // Tasks that wait behind the barrier of the savepoint go on when a later checkpoint is asked for.
  const wanted = { savepoint: false, after: record.lastCheckpoint };
  return { outcome: "moved", record: { ...record, order, phase: "running", wanted } };
}

function refuse(reason: string): OrderDecision {
  return { outcome: "refused", reason };
}
