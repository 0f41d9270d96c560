/** What can be said of one operator alone, at the line of the author's that adds it. Throws `invalid`, naming the uid. */
import { checkFunctions } from "./check-functions.ts";
import { checkStates } from "./check-states.ts";
import { checkWindow, isDuration } from "./check-window.ts";
import type { LogicalNode, OperatorSpec } from "./graph.ts";
import { invalid } from "./invalid.ts";
import type { AlignmentSpec, WatermarkSpec } from "./watermarks.ts";

/** Throws `invalid` for an operator that cannot work whatever stands around it. */
export function checkOperator({ uid, spec, inputs }: Pick<LogicalNode, "uid" | "spec" | "inputs">): void {
  checkFunctions({ uid, spec, inputs });
  if (spec.kind === "source" && spec.watermarks) checkWatermarks(uid, spec.watermarks);
  if (spec.kind === "assignTimestamps") {
    checkWatermarks(uid, spec.watermarks);
    if (spec.watermarks.alignment !== undefined)
      throw invalid("only a source can wait for others: give withAlignment() to its watermarks", { operator: uid });
  }
  if (spec.kind === "window") checkWindow(uid, spec);
  if (spec.kind === "sink") checkSink(uid, spec);
  checkStates(uid, spec);
}

function checkSink(operator: string, { sink, changelog = "append" }: OperatorSpec & { kind: "sink" }): void {
  const accepts = sink.accepts ?? ["append"];
  if (!accepts.includes(changelog))
    throw invalid("the sink cannot take results back: it accepts other streams", {
      operator,
      sink: sink.kind,
      stream: changelog,
    });
}

function checkWatermarks(operator: string, spec: WatermarkSpec): void {
  const { idleAfter, advanceWhenIdle } = spec;
  if (spec.kind === "bounded" && !isDuration(spec.boundMs, 0))
    throw invalid("the bound on out-of-orderness must be whole ms, not negative", { operator, bound: spec.boundMs });
  if (idleAfter !== undefined && !isDuration(idleAfter, 1))
    throw invalid("the time after which a shard is idle must be whole ms, above 0", { operator, idleness: idleAfter });
  if (advanceWhenIdle && idleAfter === undefined)
    throw invalid("advanceWhenIdle() must be told what idle is: add withIdleness()", { operator });
  if (spec.alignment !== undefined) checkAlignment(operator, spec.alignment);
}

function checkAlignment(operator: string, { group, maxDriftMs, updateIntervalMs }: AlignmentSpec): void {
  if (typeof group !== "string" || group === "") throw invalid("an alignment group needs a name", { operator, group });
  if (!isDuration(maxDriftMs, 0))
    throw invalid("the drift that alignment allows must be whole ms, not negative", { operator, drift: maxDriftMs });
  if (!isDuration(updateIntervalMs, 0))
    throw invalid("alignment's update interval must be whole ms, not negative", { operator, interval: updateIntervalMs });
}
