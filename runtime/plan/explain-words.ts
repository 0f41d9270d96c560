/** The words in which `explain()` speaks of operators. */
import type { ConnectorOptions } from "../api/connector.ts";
import type { ExplainedOperator, ExplainedSink, ExplainedSource, ExplainedWatermarks, ExplainedWindow } from "./explain-json.ts";
import { formatBytes, formatMs } from "./units.ts";

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
  broadcastProcess: "connect process",
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
  const { boundMs, idleAfterMs, advanceWhenIdle, alignment } = watermarks;
  const strategy =
    boundMs === null
      ? "watermarks of its own"
      : `watermarks ${boundMs === 0 ? "right" : formatMs(boundMs)} behind the latest record`;
  const idleness = idleAfterMs === null ? [] : [`a shard is idle after ${formatMs(idleAfterMs)}`];
  const follows = advanceWhenIdle ? ["follows the clock when all are"] : [];
  const waits = alignment ? [`waits when ${formatMs(alignment.maxDriftMs)} ahead in group ${alignment.group}`] : [];
  return [strategy, ...idleness, ...follows, ...waits].join(", ");
}

function describeWindow(explained: ExplainedWindow): string {
  const { assigner, time, offsetMs, gapMs, timeZone, trigger, evictor, contents, result } = explained;
  const gap = gapMs === null ? [] : [gapMs === "dynamic" ? "gap by record" : `gap ${formatMs(gapMs)}`];
  const offset = offsetMs ? [`offset ${formatMs(offsetMs)}`] : [];
  const steps = [contents === "list" ? "" : contents, result === "value" ? "" : result].filter(Boolean).join(" + ");
  return [
    ...[[assigner, ...describeLengths(explained)].join(" "), ...gap, ...offset],
    ...(timeZone === undefined ? [] : [timeZone]),
    ...(time === null ? [] : [`${time} time`]),
    ...(trigger === `${time}Time` ? [] : [`trigger ${trigger}`]),
    ...(evictor === undefined ? [] : [`evictor ${evictor}`]),
    steps,
  ].join(", ");
}

function describeLengths({ sizeMs, slideMs, stepMs, records, slideRecords }: ExplainedWindow): readonly string[] {
  const size = sizeMs === null ? [] : [formatMs(sizeMs)];
  const advance = [...(slideMs === undefined ? [] : [slideMs]), ...(stepMs === undefined ? [] : [stepMs])];
  const count = records === undefined ? [] : [`${records} records`];
  return [
    ...[...size, ...count],
    ...advance.map((ms) => `every ${formatMs(ms)}`),
    ...(slideRecords === undefined ? [] : [`every ${slideRecords}`]),
  ];
}

function describeLateness({ allowedLatenessMs, lateSideOutput }: ExplainedWindow): readonly string[] {
  const allowed = allowedLatenessMs === 0 ? [] : [`up to ${formatMs(allowedLatenessMs)} late`];
  const later = lateSideOutput === null ? [] : [`later to side output ${lateSideOutput}`];
  return allowed.length + later.length === 0 ? [] : [[...allowed, ...later].join(", ")];
}
