/** A job that reads and writes much of what there is: `emulated` leaves out what has no stand-in on one machine. */
import {
  consoleSink,
  defineJob,
  dynamodb,
  dynamodbStream,
  eventBridge,
  eventBridgeSink,
  firehoseSink,
  httpSink,
  hybrid,
  json,
  kafka,
  kinesis,
  kinesisSink,
  lambdaSink,
  ndjson,
  parquet,
  s3,
  s3Objects,
  seconds,
  snsSink,
  sqs,
  sqsSink,
  type,
} from "../../../runtime/index.ts";

export interface Row {
  readonly key: string;
  readonly n: number;
}

/** Of a table with a row in each item. */
interface ItemChange {
  readonly dynamodb: { readonly NewImage: { readonly key: { readonly S: string }; readonly n: { readonly N: string } } };
}

export interface ManyOptions {
  readonly name: string;
  readonly emulated: boolean;
  /** Each source has tasks of its own. */
  readonly apart?: boolean;
}

export function manyConnectors({ name, emulated, apart = false }: ManyOptions) {
  return defineJob(
    name,
    (job) => {
      const row = json(type<Row>());
      const backfill = s3Objects({ bucket: "archive", prefix: "rows/", format: ndjson(type<Row>()) });
      const timestamps = ({ n }: Row) => n * 1_000;
      const live = job.source("live", hybrid(backfill, kinesis({ stream: "rows", format: row })), { timestamps });
      const tasks = job.source("tasks", sqs({ queue: "tasks", format: row })).map("task", ({ body }) => body);
      const orders = job.source("orders", eventBridge({ queue: "orders", format: row })).map("order", ({ detail }) => detail);
      const changes = job
        .source("changes", dynamodbStream({ table: "items", format: json(type<ItemChange>()) }))
        .map("change", ({ dynamodb: { NewImage } }): Row => ({ key: NewImage.key.S, n: Number(NewImage.n.N) }));
      const more = () => job.source("records", kafka({ topic: "records", partitions: 3, format: row }));
      const others = emulated ? [tasks, orders, changes] : [tasks, orders, changes, more()];
      const rows = apart ? live : live.union(...others);
      if (apart) for (const [n, other] of others.entries()) other.sinkTo(`shown-${n}`, consoleSink());
      rows.sinkTo("jobs", sqsSink({ queue: "jobs", format: json(), messageGroup: ({ key }) => key }));
      rows.sinkTo("news", snsSink({ topic: "news", format: json() }));
      rows.sinkTo("call", lambdaSink({ function: "callee", rowsPerEvent: 5 }));
      rows.sinkTo("hook", httpSink({ endpoint: "hook", format: json(), orderBy: ({ key }) => key }));
      rows.sinkTo("copy", kinesisSink({ stream: "copy", format: json(), partitionKey: ({ key }) => key }));
      rows.sinkTo("table", dynamodb({ table: "table", key: ["key", "n"] }));
      rows.sinkTo("lake", s3({ bucket: "lake", prefix: "rows/", format: parquet({ columns: { key: "string", n: "int32" } }) }));
      rows.sinkTo("bus", eventBridgeSink({ bus: "bus", source: "test.rows", detailType: "row" }));
      if (emulated) return;
      rows.sinkTo("delivery", firehoseSink({ deliveryStream: "delivery", format: ndjson() }));
    },
    { parallelism: apart ? 2 : 1, checkpoints: { interval: seconds(2) } },
  );
}

export default manyConnectors({ name: "many-connectors", emulated: false });
