/**
 * An author's job as a simulation runs it: the graph with its ends exchanged, at other sizes.
 *
 * I1 A source's record is the value that its decoder would have made; timestamps and watermarks are the job's own. Its idleness is left
 *    out: of a shard that was idle it goes by the clock, and by who reads first, whether what comes next is late, so that no two runs need
 *    come to the same. Nor may a shard be idle that was read out: where a stream ends beside idle ones, its tasks are idle too, and what
 *    their windows give at the very end is late for tasks that have heard of the end from others.
 * I2 Sinks are those of the simulation (author-sinks.ts).
 */
import type { Sink, Source } from "../../api/connector.ts";
import type { JobOptions, LogicalNode, OperatorSpec } from "../../api/graph.ts";
import type { Job } from "../../api/job.ts";
import type { WatermarkSpec } from "../../api/watermarks.ts";
import { id, type OperatorUid } from "../../base/ids.ts";
import { decodeValue } from "../../base/message-pack.ts";
import { planJob } from "../../plan/plan-job.ts";
import type { JobGraph } from "../../plan/job-graph.ts";
import { simulatedSink } from "./author-sinks.ts";
import { jobOptions, type Sizes } from "./settings.ts";

type SourceSpec = OperatorSpec & { kind: "source" };

export function planAuthorsJob({ name, options, graph }: Job, sizes: Sizes, parallelism: number): JobGraph {
  const nodes = graph.nodes.map((node): LogicalNode => {
    const { spec } = node;
    if (spec.kind === "assignTimestamps") return { ...node, spec: { ...spec, watermarks: neverIdle(spec.watermarks) } };
    if (spec.kind === "source") return { ...node, spec: read(node.uid, spec) };
    return spec.kind === "sink" ? { ...node, spec: { ...spec, sink: simulatedSink(spec.sink) } } : node;
  });
  return planJob({ name, options: optionsOf(options, sizes, parallelism), graph: { ...graph, nodes } });
}

/** The author's, at the world's sizes; what stops a job that has too much trouble is left out, for here it has. */
function optionsOf(own: JobOptions, sizes: Sizes, parallelism: number): JobOptions {
  const { deadLetters: _, watermarkStep, onUserError, ...kept } = own;
  const { keyGroups, checkpoints, statePlacement, watermarkInterval } = jobOptions(sizes, parallelism);
  return {
    ...kept,
    ...(watermarkStep === undefined ? {} : { watermarkStep }),
    ...(onUserError === undefined ? {} : { onUserError }),
    ...(own.mode === "batch" ? {} : { watermarkInterval: watermarkInterval! }),
    parallelism,
    keyGroups: keyGroups!,
    checkpoints: checkpoints!,
    statePlacement: statePlacement!,
  };
}

function read(uid: string, { timestamps, watermarks }: SourceSpec): SourceSpec {
  const source: Source<unknown> = {
    kind: "simulated",
    name: uid,
    bounded: true,
    options: {},
    decode: ({ bytes }, target) => target.accept(decodeValue(bytes)),
  };
  return { kind: "source", source, timestamps, watermarks: watermarks && neverIdle(watermarks) };
}

function neverIdle(watermarks: WatermarkSpec): WatermarkSpec {
  return { ...watermarks, idleAfter: undefined, advanceWhenIdle: false };
}

/** The partition keys of sources that are keyed by them already, by uid. */
export function assumedKeys({ graph }: Job): Map<string, (event: any) => string> {
  const keys = new Map<string, (event: any) => string>();
  for (const { inputs } of graph.nodes)
    for (const { from, partitioning } of inputs)
      if (partitioning.kind === "assumeKeyed") keys.set(from, (event) => String(partitioning.key(event)));
  return keys;
}

export function sourcesOf({ graph }: Job): readonly string[] {
  return graph.nodes.filter(({ spec }) => spec.kind === "source").map(({ uid }) => uid);
}

export function sinksOf({ graph }: Job): ReadonlyMap<OperatorUid, Sink<any, any>> {
  const sinks = new Map<OperatorUid, Sink<any, any>>();
  for (const { uid, spec } of graph.nodes) if (spec.kind === "sink") sinks.set(id<OperatorUid>(uid), spec.sink);
  return sinks;
}
