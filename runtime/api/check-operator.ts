/** What can be said of one operator alone, at the line of the author's that adds it. Throws `invalid`, naming the uid. */
import type { LogicalNode, OperatorSpec, WindowSpec } from "./graph.ts";
import { invalid } from "./invalid.ts";
import type { WatermarkSpec } from "./watermarks.ts";

/** Throws `invalid` for an operator that cannot work whatever stands around it. */
export function checkOperator({ uid, spec }: Pick<LogicalNode, "uid" | "spec">): void {
  if (spec.kind === "source" && spec.watermarks) checkWatermarks(uid, spec.watermarks);
  if (spec.kind === "assignTimestamps") checkWatermarks(uid, spec.watermarks);
  if (spec.kind === "window") checkWindow(uid, spec);
  if (spec.kind === "sink") checkSink(uid, spec);
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
}

function checkWindow(operator: string, spec: WindowSpec): void {
  checkAssigner(operator, spec.assigner);
  if (!isDuration(spec.allowedLateness, 0))
    throw invalid("allowed lateness must be whole ms, not negative", { operator, lateness: spec.allowedLateness });
  if (spec.assigner.kind === "session" && !merges(spec))
    throw invalid("session windows merge, and so must their contents: give the aggregator a merge function", { operator });
}

function checkAssigner(operator: string, assigner: WindowSpec["assigner"]): void {
  if (assigner.kind === "session") {
    if (typeof assigner.gap === "number" && !isDuration(assigner.gap, 1))
      throw invalid("a session's gap must be whole ms, above 0", { operator, gap: assigner.gap });
    return;
  }
  const { sizeMs: size, offsetMs: offset } = assigner;
  if (!isDuration(size, 1)) throw invalid("a window's size must be whole ms, above 0", { operator, size });
  if (!Number.isSafeInteger(offset) || Math.abs(offset) >= size)
    throw invalid("a window's offset must be whole ms, and less than its size", { operator, offset, size });
}

function merges({ contents }: OperatorSpec & { kind: "window" }): boolean {
  return contents.kind !== "aggregate" || contents.aggregator.merge !== undefined;
}

function isDuration(ms: number, least: number): boolean {
  return Number.isSafeInteger(ms) && ms >= least;
}
