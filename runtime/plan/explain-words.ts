/** The words in which `explain()` speaks of operators. */
import type { ConnectorOptions } from "../api/connector.ts";
import type { ExplainedOperator, ExplainedSink, ExplainedSource, ExplainedWatermarks, ExplainedWindow } from "./explain-json.ts";

/** What stands beside the operator, and on the lines below it. */
export function describeOperator(operator: ExplainedOperator): { readonly words: string; readonly more: readonly string[] } {
  const { source, sink, window, states, watermarks } = operator;
  const kept = states.map(({ name, kind, version }) => `${name} (${kind}${version === 0 ? "" : ` v${version}`})`);
  const more = kept.length === 0 ? [] : [`keeps ${kept.join(", ")}`];
  if (source)
    return {
      words: describeConnector(source),
      more: [...describeOptions(source), describeWatermarks(source.watermarks), ...more],
    };
  if (sink) return { words: describeSink(sink), more: [...describeOptions(sink), ...more] };
  if (window) return { words: describeWindow(window), more: [...describeLateness(window), ...more] };
  return { words: watermarks ? describeWatermarks(watermarks) : "", more };
}

/** Where the method is not called as the kind. */
const methods: Partial<Record<ExplainedOperator["kind"], string>> = {
  keyedProcess: "process",
  coMap: "connect map",
  coFlatMap: "connect flatMap",
  coProcess: "connect process",
  keyedCoProcess: "connect process",
  keyedBroadcastProcess: "connect process",
};

/** The kind as its method is called. */
export function describeKind(kind: ExplainedOperator["kind"]): string {
  return methods[kind] ?? kind;
}

/** How an edge spreads records; nothing for a forward edge. */
export function describePartitioning(kind: string): string {
  const words: Readonly<Record<string, string>> = {
    keyed: "by key",
    assumeKeyed: "by key, as its source is partitioned",
    rebalance: "evenly",
    global: "to one task",
    broadcast: "to every task",
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

/** A size in its largest whole binary unit: 134,217,728 is "128 MiB". */
export function formatBytes(bytes: number): string {
  const units = [
    [2 ** 30, "GiB"],
    [2 ** 20, "MiB"],
    [2 ** 10, "KiB"],
  ] as const;
  const [size, unit] = units.find(([size]) => bytes !== 0 && bytes % size === 0) ?? [1, "B"];
  return `${bytes / size} ${unit}`;
}

function describeConnector({ connector, name }: ExplainedSource | ExplainedSink): string {
  return connector === name ? name : `${connector} ${name}`;
}

/** What a connector was told beside its name, on one line; none when there is nothing to say. */
function describeOptions({ name, options }: ExplainedSource | ExplainedSink): readonly string[] {
  const given = Object.entries(options).filter(([, value]) => value !== name && value !== "" && isScalar(value));
  return given.length === 0 ? [] : [given.map(describeOption).join(", ")];
}

function isScalar(value: unknown): boolean {
  return ["string", "number", "boolean"].includes(typeof value);
}

/** With its unit, where the option's name ends in one. */
function describeOption([name, value]: [string, ConnectorOptions[string]]): string {
  if (typeof value === "number" && name.endsWith("Ms")) return `${name.slice(0, -2)} ${formatMs(value)}`;
  if (typeof value === "number" && name.endsWith("Bytes")) return `${name.slice(0, -5)} ${formatBytes(value)}`;
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
