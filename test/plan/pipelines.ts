/** Jobs in few words, and what is read of their plans. */
import { defineJob } from "../../runtime/api/define-job.ts";
import type { DataStream } from "../../runtime/api/data-stream.ts";
import type { JobOptions } from "../../runtime/api/graph.ts";
import type { SourceStream } from "../../runtime/api/source-stream.ts";
import type { JobGraph } from "../../runtime/plan/job-graph.ts";
import { planJob } from "../../runtime/plan/plan-job.ts";
import { testSink, testSource } from "../api/connectors.ts";

export type Sources = (uid: string) => SourceStream<string>;

/** Plans what `build` makes of its sources at parallelism 4; a stream that it returns is written to the sink "out". */
export function plan(build: (source: Sources) => DataStream<string> | void, options: JobOptions = {}): JobGraph {
  const job = defineJob("job", (job) => {
    const stream = build((uid) => job.source(uid, testSource<string>(uid)));
    stream?.sinkTo("out", testSink<string>());
  });
  return planJob({ ...job, options: { parallelism: 4, ...options } });
}

/** Keyed by itself, and rolled into one. */
export function reduced(stream: DataStream<string>, uid: string): DataStream<string> {
  return stream.keyBy((v) => v).reduce(uid, (a) => a);
}

/** Another name for the same values. */
export function mapped(stream: DataStream<string>, uid: string): DataStream<string> {
  return stream.map(uid, (v) => v);
}

/** Each stage as "kind×parallelism: its operators". */
export function stagesOf({ stages }: JobGraph): readonly string[] {
  return stages.map(({ kind, parallelism, operators }) => `${kind}×${parallelism}: ${operators.join(" ")}`);
}

/** Each exchange as "number from>to partitioning". */
export function exchangesOf({ exchanges }: JobGraph): readonly string[] {
  return exchanges.map(({ number, from, to, partitioning }) => `${number} ${from}>${to} ${partitioning.kind}`);
}
