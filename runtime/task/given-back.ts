/** What is needed to give back what was put aside to the operator that it was for (snapshots/given-letters.ts). */
import type { Key } from "../api/key.ts";
import { MillraceError } from "../base/errors.ts";
import { encodeValue } from "../base/message-pack.ts";
import { endOf } from "../plan/direct-edge.ts";
import { type RowAgain, rangeText, timerValue } from "../snapshots/given-letters.ts";
import type { GivenBack } from "../api/given-back.ts";
import type { Timer } from "../state/timer.ts";
import type { Element } from "../streaming/element.ts";
import type { TaskPlan } from "./task-plan.ts";

/** Of a record that came over an exchange, or was given back. Undefined: it came over none. */
export function recordBack(
  { job, range }: Pick<TaskPlan, "job" | "range">,
  { edge, key, timestamp }: Element & { kind: "record" },
): GivenBack | undefined {
  const end = endOf(job, edge);
  if (end === undefined) return undefined;
  const to = { to: end.to, input: end.input, ...(!Number.isNaN(timestamp) && { timestamp }) };
  if (end.way === "copy" || job.exchanges[edge]?.partitioning.kind === "broadcast")
    return { what: "copy", ...to, range: rangeText(range) };
  return { what: "record", ...to, ...(key !== undefined && { key: encodeValue(key) }) };
}

/** Of a timer whose callback failed. */
export function timerBack(to: string, key: Key, timer: Pick<Timer, "domain" | "at" | "namespace">): GivenBack {
  return { what: "timer", to, key: encodeValue(key), value: encodeValue(timerValue(timer)) };
}

/** Of a row that a sink could not write. Undefined: it cannot be stored either. */
export function rowBack(to: string, { value, change, as }: RowAgain, timestamp: number): GivenBack | undefined {
  try {
    const row = { what: "row", to, value: encodeValue(value), change, as } as const;
    return Number.isNaN(timestamp) ? row : { ...row, timestamp };
  } catch (error) {
    if (error instanceof MillraceError) return undefined;
    throw error;
  }
}
