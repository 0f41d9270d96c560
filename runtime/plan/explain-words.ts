/** The words in which `explain()` speaks of operators. */
import type { ConnectorOptions } from "../api/connector.ts";
import type { ExplainedOperator, ExplainedSink, ExplainedSource, ExplainedWatermarks, ExplainedWindow } from "./explain-json.ts";

/** What stands beside the operator, and on the lines below it. */
export function describeOperator(operator: ExplainedOperator): { readonly words: string; readonly more: readonly string[] } {
  const { source, sink, window, states } = operator;
  const kept = states.map(({ name, kind, version }) => `${name} (${kind}${version === 0 ? "" : ` v${version}`})`);
  const more = kept.length === 0 ? [] : [`keeps ${kept.join(", ")}`];
  if (source) return { words: describeConnector(source), more: [describeWatermarks(source.watermarks), ...more] };
  if (sink) return { words: describeSink(sink), more };
  if (window) return { words: describeWindow(window), more: [...describeLateness(window), ...more] };
  return { words: "", more };
}

/** The kind as its method is called. */
export function describeKind(kind: ExplainedOperator["kind"]): string {
  return kind === "keyedProcess" ? "process" : kind;
}

/** How an edge spreads records; nothing for a forward edge. */
export function describePartitioning(kind: string): string {
  const words: Readonly<Record<string, string>> = {
    keyed: "by key",
    assumeKeyed: "by key, as its source is partitioned",
    rebalance: "evenly",
    global: "to one task",
  };
  return words[kind] ?? "";
}

/** A length of time in its largest whole unit: 90,000 is "90 s", 120,000 is "2 min". */
export function formatMs(ms: number): string {
  const units = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
    [1_000, "s"],
  ] as const;
  const [size, unit] = units.find(([size]) => ms !== 0 && ms % size === 0) ?? [1, "ms"];
  return `${ms / size} ${unit}`;
}

function describeConnector({ connector, name, options }: ExplainedSource | ExplainedSink): string {
  const given = Object.entries(options).filter(([, value]) => value !== name && typeof value !== "object");
  return [`${connector} ${name}`, ...given.map(describeOption)].join(", ");
}

function describeOption([name, value]: [string, ConnectorOptions[string]]): string {
  return `${name} ${String(value)}`;
}

function describeSink(sink: ExplainedSink): string {
  const guarantee = sink.guarantee === "exactlyOnce" ? "exactly once" : "at least once";
  return [describeConnector(sink), guarantee, ...(sink.keyed ? ["by its key"] : [])].join(", ");
}

function describeWatermarks(watermarks: ExplainedWatermarks | null): string {
  if (!watermarks) return "no watermarks";
  const { boundMs, idleAfterMs, advanceWhenIdle } = watermarks;
  const strategy =
    boundMs === null
      ? "watermarks of its own"
      : `watermarks ${boundMs === 0 ? "right" : formatMs(boundMs)} behind the latest record`;
  const idleness = idleAfterMs === null ? [] : [`a shard is idle after ${formatMs(idleAfterMs)}`];
  return [strategy, ...idleness, ...(advanceWhenIdle ? ["follows the clock when all are"] : [])].join(", ");
}

function describeWindow({ assigner, time, sizeMs, offsetMs, gapMs, contents, result }: ExplainedWindow): string {
  const size = sizeMs === null ? [] : [formatMs(sizeMs)];
  const gap = gapMs === null ? [] : [gapMs === "dynamic" ? "gap by record" : `gap ${formatMs(gapMs)}`];
  const offset = offsetMs ? [`offset ${formatMs(offsetMs)}`] : [];
  const steps = [contents === "list" ? "" : contents, result === "value" ? "" : result].filter(Boolean).join(" + ");
  return [[assigner, ...size].join(" "), ...gap, ...offset, `${time} time`, steps].join(", ");
}

function describeLateness({ allowedLatenessMs, lateSideOutput }: ExplainedWindow): readonly string[] {
  const allowed = allowedLatenessMs === 0 ? [] : [`up to ${formatMs(allowedLatenessMs)} late`];
  const later = lateSideOutput === null ? [] : [`later to side output ${lateSideOutput}`];
  return allowed.length + later.length === 0 ? [] : [[...allowed, ...later].join(", ")];
}
