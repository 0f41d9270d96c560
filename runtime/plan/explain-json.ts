/**
 * A plan as plain JSON: what tools, consoles and deployments read of it, and what `explain()` prints.
 *
 * E1 It survives JSON.stringify and JSON.parse unchanged: no functions, no undefined. Times are ms.
 */
import type { ConnectorOptions } from "../api/connector.ts";
import type { EvictorSpec } from "../api/evictors.ts";
import { hasTwoInputs, type OperatorSpec, type Side, sides, type WindowSpec } from "../api/graph.ts";
import type { TriggerSpec } from "../api/triggers.ts";
import type { WatermarkSpec } from "../api/watermarks.ts";
import type { WindowAssignerSpec, WindowTime } from "../api/windows.ts";
import { formatMs } from "./units.ts";
import type { JobGraph, KeyHash, OperatorPlan, ResolvedJobOptions, StagePlan, StateSchema } from "./job-graph.ts";

export interface ExplainedJob {
  readonly job: string;
  readonly fingerprint: string;
  readonly options: ResolvedJobOptions;
  /** Values of the job's parameters; a bigint as text. */
  readonly parameters: Readonly<Record<string, string | number | boolean>>;
  /** In an order in which every exchange points forwards. */
  readonly stages: readonly ExplainedStage[];
  readonly exchanges: readonly ExplainedExchange[];
}
export interface ExplainedStage {
  readonly id: string;
  readonly kind: StagePlan["kind"];
  /** "shards": one for each shard of its sources. */
  readonly tasks: number | "shards";
  readonly hash: KeyHash;
  readonly operators: readonly ExplainedOperator[];
}
export interface ExplainedOperator {
  readonly uid: string;
  readonly kind: OperatorSpec["kind"];
  readonly states: readonly StateSchema[];
  readonly sideOutputs: readonly string[];
  readonly outputs: readonly ExplainedEdge[];
  readonly source?: ExplainedSource;
  readonly sink?: ExplainedSink;
  readonly window?: ExplainedWindow;
  /** Of `assignTimestamps`. */
  readonly watermarks?: ExplainedWatermarks;
}
export interface ExplainedEdge {
  readonly to: string;
  /** Of an operator with two inputs; null of others. */
  readonly side: "left" | "right" | null;
  /** A side output's id; null is the main output. */
  readonly tag: string | null;
  readonly partitioning: string;
  /** Null: chained. */
  readonly exchange: number | null;
}
export interface ExplainedExchange extends Omit<ExplainedEdge, "exchange"> {
  readonly number: number;
  readonly from: string;
  readonly fromStage: string;
  readonly toStage: string;
}
export interface ExplainedSource {
  readonly connector: string;
  readonly name: string;
  readonly bounded: boolean;
  readonly options: ConnectorOptions;
  /** Null: none. */
  readonly watermarks: ExplainedWatermarks | null;
}
export interface ExplainedWatermarks {
  readonly kind: "bounded" | "custom";
  readonly boundMs: number | null;
  readonly idleAfterMs: number | null;
  readonly advanceWhenIdle: boolean;
  /** Null: waits for no other source. */
  readonly alignment: { readonly group: string; readonly maxDriftMs: number } | null;
}
export interface ExplainedSink {
  readonly connector: string;
  readonly name: string;
  readonly guarantee: "exactlyOnce" | "atLeastOnce";
  readonly keyed: boolean;
  readonly options: ConnectorOptions;
}
export interface ExplainedWindow {
  readonly assigner: string;
  /** Null: windows go by no time. */
  readonly time: WindowTime | null;
  /** Of windows of fixed size. */
  readonly sizeMs: number | null;
  readonly offsetMs: number | null;
  /** Of sliding windows, and of cumulating ones. */
  readonly slideMs?: number;
  readonly stepMs?: number;
  /** Of count windows: records, and records from one to the next. */
  readonly records?: number;
  readonly slideRecords?: number;
  /** Of calendar windows. */
  readonly timeZone?: string;
  /** Of a session; "dynamic": computed from each record. */
  readonly gapMs: number | "dynamic" | null;
  /** With what it wraps: "purging(count 3)". */
  readonly trigger: string;
  readonly evictor?: string;
  readonly allowedLatenessMs: number;
  readonly lateSideOutput: string | null;
  readonly contents: string;
  readonly result: string;
}

/** The plan as plain JSON. */
export function explainJson(graph: JobGraph): ExplainedJob {
  const parameters = [...(graph.graph.parameters ?? [])].map(([name, value]) => [
    name,
    typeof value === "bigint" ? `${value}` : value,
  ]);
  return {
    job: graph.name,
    fingerprint: graph.fingerprint,
    options: graph.options,
    parameters: Object.fromEntries(parameters),
    stages: graph.stages.map((stage) => explainStage(stage, graph)),
    exchanges: graph.exchanges.map(({ number, from, fromStage, to, toStage, input, tag, partitioning }) => ({
      ...{ number, from, fromStage, to, toStage },
      side: sideOf(to, input, graph),
      tag: tag ?? null,
      partitioning: partitioning.kind,
    })),
  };
}

function explainStage({ id, kind, parallelism, hash, operators }: StagePlan, graph: JobGraph): ExplainedStage {
  return {
    id,
    kind,
    tasks: parallelism,
    hash,
    operators: operators.map((uid) => explainOperator(graph.operators.get(uid)!, graph)),
  };
}

function sideOf(to: string, input: Side, graph: JobGraph): "left" | "right" | null {
  return hasTwoInputs(graph.operators.get(to)!.node.spec) ? sides[input] : null;
}

function explainOperator({ node, states, outputs }: OperatorPlan, graph: JobGraph): ExplainedOperator {
  const { uid, spec, sideOutputs } = node;
  const edges = outputs.map(({ to, input, tag, partitioning, exchange }) => {
    const side = sideOf(to, input, graph);
    return { to, side, tag: tag ?? null, partitioning: partitioning.kind, exchange: exchange ?? null };
  });
  return { uid, kind: spec.kind, states, sideOutputs, outputs: edges, ...particularsOf(spec) };
}

function particularsOf(spec: OperatorSpec): Pick<ExplainedOperator, "source" | "sink" | "window" | "watermarks"> {
  switch (spec.kind) {
    case "source":
      return { source: explainSource(spec) };
    case "sink": {
      const { kind, name, guarantee, key, options } = spec.sink;
      return { sink: { connector: kind, name, guarantee, keyed: key !== undefined, options } };
    }
    case "window":
      return { window: explainWindow(spec) };
    case "assignTimestamps":
      return { watermarks: explainWatermarks(spec.watermarks) };
    default:
      return {};
  }
}

function explainSource({ source, watermarks }: OperatorSpec & { kind: "source" }): ExplainedSource {
  const { kind, name, bounded, options } = source;
  return { connector: kind, name, bounded, options, watermarks: watermarks ? explainWatermarks(watermarks) : null };
}

function explainWatermarks(spec: WatermarkSpec): ExplainedWatermarks {
  const { kind, idleAfter, advanceWhenIdle, alignment } = spec;
  return {
    kind,
    boundMs: spec.kind === "bounded" ? spec.boundMs : null,
    idleAfterMs: idleAfter ?? null,
    advanceWhenIdle,
    alignment: alignment ? { group: alignment.group, maxDriftMs: alignment.maxDriftMs } : null,
  };
}

function explainWindow(spec: WindowSpec): ExplainedWindow {
  const { assigner, trigger, evictor, allowedLateness, lateTag, contents, result } = spec;
  return {
    assigner: assigner.kind,
    time: assigner.time ?? null,
    ...explainAssigner(assigner),
    trigger: explainTrigger(trigger),
    ...(evictor && { evictor: explainEvictor(evictor) }),
    allowedLatenessMs: allowedLateness,
    lateSideOutput: lateTag ?? null,
    contents: contents.kind,
    result: result.kind,
  };
}

function explainAssigner(
  spec: WindowAssignerSpec,
): Omit<ExplainedWindow, "assigner" | "time" | "trigger" | "allowedLatenessMs" | "lateSideOutput" | "contents" | "result"> {
  const none = { sizeMs: null, offsetMs: null, gapMs: null };
  switch (spec.kind) {
    case "tumbling":
      return { ...none, sizeMs: spec.sizeMs, offsetMs: spec.offsetMs };
    case "sliding":
      return { ...none, sizeMs: spec.sizeMs, slideMs: spec.slideMs, offsetMs: spec.offsetMs };
    case "cumulating":
      return { ...none, sizeMs: spec.sizeMs, stepMs: spec.stepMs, offsetMs: spec.offsetMs };
    case "session":
      return { ...none, gapMs: typeof spec.gap === "function" ? "dynamic" : spec.gap };
    case "calendarDays":
    case "calendarWeeks":
      return { ...none, timeZone: spec.timeZone };
    case "count":
      return { ...none, records: spec.size, ...(spec.slide !== undefined && { slideRecords: spec.slide }) };
    case "global":
      return none;
  }
}

function explainTrigger(spec: TriggerSpec): string {
  switch (spec.kind) {
    case "count":
      return `count ${spec.count}`;
    case "continuousEventTime":
    case "continuousProcessingTime":
      return `${spec.kind} every ${formatMs(spec.everyMs)}`;
    case "delta":
      return `delta ${spec.threshold}`;
    case "purging":
      return `purging(${explainTrigger(spec.inner)})`;
    case "timeOut":
      return `timeOut(${explainTrigger(spec.inner)}, after ${formatMs(spec.afterMs)})`;
    default:
      return spec.kind;
  }
}

function explainEvictor(spec: EvictorSpec): string {
  const what = spec.kind === "count" ? spec.keep : spec.kind === "time" ? formatMs(spec.keepMs) : spec.threshold;
  return `${spec.kind} ${what}${spec.after ? ", after" : ""}`;
}
