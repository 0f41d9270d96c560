/** Records without a time, and records that come too late. */
import type { WindowSpec } from "../../api/graph.ts";
import { MillraceError } from "../../base/errors.ts";
import { isWindowLate } from "../../time/windows.ts";
import type { OperatorHost } from "../operator.ts";

/** The timestamp by which an event-time window takes a record. Throws `user` when there is none. */
export function timestampFor(timestamp: number): number {
  if (!Number.isNaN(timestamp)) return timestamp;
  throw new MillraceError("user", "an event-time window got a record without timestamp: give the source timestamps");
}

/**
 * No window has taken the record: it goes to the late output, or is counted. One that falls between windows is late only when its
 * own time is. (Flink's WindowOperator.isElementLate)
 */
export function giveLate(host: OperatorHost, spec: WindowSpec, value: unknown, timestamp: number): void {
  if (spec.assigner.time !== "event" || !isWindowLate(timestamp, spec.allowedLateness, host.watermark())) return;
  if (spec.lateTag !== undefined) host.output.emitTo(spec.lateTag, value, timestamp);
  else host.count("lateDropped", 1);
}
