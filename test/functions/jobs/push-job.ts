/** A job that hands its rows to whatever takes them: a FIFO queue, a topic, a function, an endpoint, a sink of its own, folders of Parquet. */
import {
  customSink,
  defineJob,
  httpSink,
  json,
  kinesis,
  lambdaSink,
  parquet,
  s3,
  seconds,
  snsSink,
  sqsSink,
  type,
} from "../../../runtime/index.ts";

export interface Row {
  readonly key: string;
  readonly n: number;
}

export default defineJob(
  "push",
  (job) => {
    const rows = job.source("rows", kinesis({ stream: "rows", format: json(type<Row>()) }), {
      timestamps: ({ n }) => n * 1_000,
    });
    rows.sinkTo("queue", sqsSink({ queue: "jobs", format: json(), messageGroup: ({ key }) => key }));
    rows.sinkTo("topic", snsSink({ topic: "news", format: json() }));
    rows.sinkTo("call", lambdaSink({ function: "callee", rowsPerEvent: 5 }));
    rows.sinkTo("hook", httpSink({ endpoint: "hook", format: json(), orderBy: ({ key }) => key }));
    rows.sinkTo(
      "own",
      customSink<Row>({
        name: "own",
        guarantee: "atLeastOnce",
        write: async (batch, { signal }) => {
          for (const { id, value } of batch) {
            const body = JSON.stringify({ ...value, own: true });
            const headers = { "idempotency-key": id };
            const { ok } = await fetch(process.env["RECEIVER"]!, { method: "POST", body, headers, signal });
            if (!ok) throw new Error("not taken");
          }
        },
      }),
    );
    const columns = { key: "string", n: "int32" } as const;
    rows.sinkTo("lake", s3({ bucket: "lake", format: parquet({ columns }), partitionBy: "minute" }));
  },
  { checkpoints: { interval: seconds(2) } },
);
