/**
 * The job as the harness runs it: the author's graph with its ends exchanged.
 *
 * I1 Sources are read from memory. A watermark that a test asks for stands among their records and reaches the operators exactly:
 *    the generator answers it beside what the author's strategy makes of the records, which keeps to the job's grid. A filter after
 *    the source keeps these records from the job.
 * I2 Sinks write to memory, and every declared side output has a sink, so that a test can look at it.
 * I3 Checkpoints are taken only when the test asks for one.
 * I4 Watermarks go at once from task to task, unless the job says how often: tests need not turn the clock for them.
 */
import type { LogicalEdge, LogicalNode, OperatorSpec, RecordMeta } from "../api/graph.ts";
import { millis } from "../api/duration.ts";
import type { Job } from "../api/job.ts";
import type { WatermarkGenerator, WatermarkSpec } from "../api/watermarks.ts";
import { resolveOptions } from "../plan/resolve-options.ts";
import { floorToGrid } from "../time/watermark-grid.ts";
import { minWatermark } from "../time/watermark.ts";
import { type HarnessRecord, type HarnessSource, SteeredWatermark } from "./harness-source.ts";
import { HarnessSinkWriter } from "./harness-sink.ts";

type SourceSpec = OperatorSpec & { kind: "source" };
type SinkSpec = OperatorSpec & { kind: "sink" };

const never = millis(Number.MAX_SAFE_INTEGER);

/** The uid of the filter behind a source; "@" stands in no author's uid. */
function filterOf(source: string): string {
  return `${source}@harness`;
}

/** The uid of the sink that takes an operator's side output. */
export function sideSink(operator: string, tag: string): string {
  return `${operator}@${tag}`;
}

export function instrumentJob(
  { name, options, graph }: Job,
  sources: ReadonlyMap<string, HarnessSource>,
  parallelism: number | undefined,
): Pick<Job, "name" | "options" | "graph"> {
  // In batch mode only what is bounded may be read; `endInput` ends it.
  const bounded = options.mode === "batch" && graph.nodes.every(({ spec }) => spec.kind !== "source" || spec.source.bounded);
  const stepMs = resolveOptions(options).watermarkStepMs;
  const nodes = graph.nodes.flatMap((node) => {
    const { spec } = node;
    const inputs = node.inputs.map((edge) => (sources.has(edge.from) ? { ...edge, from: filterOf(edge.from) } : edge));
    if (spec.kind === "source") return readNode(node, spec, sources.get(node.uid) as HarnessSource, stepMs, bounded);
    if (spec.kind === "sink") return [{ ...node, inputs, spec: writtenToMemory(spec) }];
    return [{ ...node, inputs }, ...node.sideOutputs.map((tag) => sideSinkNode(node.uid, tag))];
  });
  const checkpoints = { interval: never, timeout: never };
  return {
    name,
    options: { watermarkInterval: millis(0), ...options, checkpoints, ...(parallelism === undefined ? {} : { parallelism }) },
    graph: { ...graph, nodes },
  };
}

/** The source, and the filter behind it. */
function readNode(
  node: LogicalNode,
  spec: SourceSpec,
  source: HarnessSource,
  stepMs: number,
  bounded: boolean,
): readonly LogicalNode[] {
  const read: SourceSpec = {
    kind: "source",
    source: { ...spec.source, bounded, decode: (record, target) => target.accept((record as HarnessRecord).value()) },
    timestamps: (value: unknown, meta: RecordMeta) => timestampOf(spec, source, value, meta),
    watermarks: spec.watermarks && steered(spec.watermarks, stepMs),
  };
  const keep = (value: unknown) => !(value instanceof SteeredWatermark);
  const edge: LogicalEdge = { from: node.uid, tag: undefined, input: 0, partitioning: { kind: "forward" } };
  const filter = { uid: filterOf(node.uid), spec: { kind: "filter", keep } as const, inputs: [edge], sideOutputs: [] };
  return [
    { ...node, spec: read, options: {} },
    { ...filter, options: node.options },
  ];
}

function timestampOf(spec: SourceSpec, source: HarnessSource, value: unknown, meta: RecordMeta): number {
  if (value instanceof SteeredWatermark) return meta.arrivalTime;
  const { timestamp } = source.at(meta.shard, meta.position);
  return timestamp ?? (spec.timestamps === undefined ? meta.arrivalTime : spec.timestamps(value, meta));
}

/** What the harness keeps of a shard's watermarks: plain data. */
interface SteeredState {
  /** Of a bounded strategy: the highest timestamp so far. */
  highest: number | undefined;
  /** Of the author's own generator. */
  readonly own: unknown;
}

/** The author's strategy on the job's grid, and the watermarks that the test asks for as they are. */
function steered(spec: WatermarkSpec, stepMs: number): WatermarkSpec {
  const { idleAfter, advanceWhenIdle, alignment } = spec;
  const generator: WatermarkGenerator<unknown, SteeredState> = {
    create: () => ({ highest: undefined, own: spec.kind === "custom" ? spec.generator.create() : undefined }),
    onRecord: (state, value, timestamp) =>
      value instanceof SteeredWatermark ? value.at : floorToGrid(declared(spec, state, value, timestamp), stepMs),
  };
  const boundMs = spec.kind === "bounded" ? spec.boundMs : (spec.boundMs ?? 0);
  return { kind: "custom", generator, idleAfter, advanceWhenIdle, boundMs, offGrid: true, ...(alignment && { alignment }) };
}

/** As time/watermark-generator.ts. */
function declared(spec: WatermarkSpec, state: SteeredState, value: unknown, timestamp: number): number {
  if (spec.kind === "custom") return spec.generator.onRecord(state.own, value, timestamp) ?? minWatermark;
  state.highest = Math.max(state.highest ?? timestamp, timestamp);
  return state.highest - spec.boundMs - 1;
}

function writtenToMemory(spec: SinkSpec): SinkSpec {
  return { ...spec, sink: { ...spec.sink, createWriter: () => new HarnessSinkWriter() } };
}

function sideSinkNode(operator: string, tag: string): LogicalNode {
  const edge: LogicalEdge = { from: operator, tag, input: 0, partitioning: { kind: "forward" } };
  const sink = {
    kind: "harness",
    name: tag,
    guarantee: "exactlyOnce",
    options: {},
    createWriter: () => new HarnessSinkWriter(),
  } as const;
  return { uid: sideSink(operator, tag), spec: { kind: "sink", sink }, inputs: [edge], sideOutputs: [], options: {} };
}
