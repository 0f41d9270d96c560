/**
 * The metrics of the functions, as data: what alarms and dashboards name, what docs/operations/metrics.md lists. Each has the one
 * dimension `job`: CloudWatch bills every combination of dimensions as a metric of its own. Stage, cell and the units of the ports stand
 * beside them in the same line of the log, where they can be queried and cost nothing.
 */

export const metricNamespace = "Millrace";

/** How a metric is made of what the ports and the driver count. "sum": counted; "latest": a level. */
export interface MetricSpec {
  readonly name: string;
  readonly unit: "Count" | "Milliseconds" | "Percent";
  /** The name that `Telemetry` is given. */
  readonly of: string;
  readonly kind: "sum" | "latest";
}

export const metrics = [
  { name: "Records", unit: "Count", of: "turn.records", kind: "sum" },
  { name: "Commits", unit: "Count", of: "turn.commits", kind: "sum" },
  { name: "LateDropped", unit: "Count", of: "turn.lateDropped", kind: "sum" },
  { name: "DeadLetters", unit: "Count", of: "turn.deadLetters", kind: "sum" },
  { name: "EffectsRepeated", unit: "Count", of: "turn.effectsRepeated", kind: "sum" },
  { name: "BatchesRerun", unit: "Count", of: "turn.rerun", kind: "sum" },
  { name: "RacesLost", unit: "Count", of: "turn.racesLost", kind: "sum" },
  { name: "WatermarkLag", unit: "Milliseconds", of: "turn.watermarkLagMs", kind: "latest" },
  { name: "RingUse", unit: "Percent", of: "turn.ringUse", kind: "latest" },
  { name: "CheckpointAge", unit: "Milliseconds", of: "coordinator.checkpointAgeMs", kind: "latest" },
  { name: "SourceGap", unit: "Count", of: "sourceGap", kind: "sum" },
  { name: "Fenced", unit: "Count", of: "failed.fenced", kind: "sum" },
  { name: "Corrupt", unit: "Count", of: "failed.corrupt", kind: "sum" },
  { name: "Invalid", unit: "Count", of: "failed.invalid", kind: "sum" },
  { name: "Unavailable", unit: "Count", of: "failed.unavailable", kind: "sum" },
  { name: "UserErrors", unit: "Count", of: "failed.user", kind: "sum" },
  { name: "InternalErrors", unit: "Count", of: "failed.internal", kind: "sum" },
] as const satisfies readonly MetricSpec[];

/** Written with every invocation that counts anything, 0 too: alarms can then tell "nothing" from "no data". */
export const alwaysWritten: ReadonlySet<string> = new Set(["Records", "Commits"]);
