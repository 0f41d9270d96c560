/** Counts events by key; what a `broken` job is told to break on goes to the dead letters. The same in a cloud and on this machine. */
import { defineJob, json, keyedProcess, kinesis, monotonous, ndjson, s3, seconds, type, value } from "../../../runtime/index.ts";
import type { Job } from "../../../runtime/index.ts";

export interface CountingOptions {
  readonly name?: string;
  readonly parallelism?: number;
  /** A key whose events throw. */
  readonly broken?: string;
}

interface Event {
  readonly key: string;
  readonly at: number;
}

export function countingJob({ name = "counting", parallelism = 1, broken }: CountingOptions = {}): Job {
  const counting = keyedProcess({
    key: type<string>(),
    state: { seen: value<number>() },
    output: type<{ readonly key: string; readonly seen: number }>(),
    onRecord({ key }: Event, ctx) {
      if (key === broken) throw new Error("broken");
      const seen = (ctx.state.seen.get() ?? 0) + 1;
      ctx.state.seen.set(seen);
      ctx.emit({ key, seen });
    },
  });
  return defineJob(
    name,
    (job) => {
      job
        .source("in", kinesis({ stream: "events", format: json<Event>() }), {
          timestamps: (event) => event.at,
          watermarks: monotonous(),
        })
        .keyBy(({ key }) => key)
        .process("count", counting)
        .sinkTo("out", s3({ bucket: "results", prefix: `${name}/`, format: ndjson() }));
    },
    { parallelism, checkpoints: { interval: seconds(5) } },
  );
}
