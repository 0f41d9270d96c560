/** A source of each kind that is read where it is deployed, and what each brought, line by line. */
import {
  defineJob,
  dynamodbStream,
  eventBridge,
  fileSink,
  hybrid,
  json,
  kafka,
  kinesis,
  monotonous,
  ndjson,
  s3Objects,
  type Source,
  sqs,
  type,
  value,
} from "../../../runtime/index.ts";

interface Order {
  readonly id: string;
  readonly at: number;
}

interface TableChange {
  readonly eventName: string;
  readonly dynamodb: { readonly Keys: { readonly id: { readonly S: string } } };
}

const order = json(type<Order>());

export default defineJob(
  "bound",
  (job) => {
    const timed = { timestamps: (given: Order) => given.at, watermarks: monotonous() };
    job
      .source(
        "orders",
        hybrid(s3Objects({ bucket: "archive", format: order }), kinesis({ stream: "live", format: order })),
        timed,
      )
      .keyBy(() => "all")
      .process("numbered", {
        output: type<{ readonly n: number; readonly id: string }>(),
        state: { seen: value<number>() },
        onRecord: ({ id }, ctx) => {
          const n = (ctx.state.seen.get() ?? 0) + 1;
          ctx.state.seen.set(n);
          ctx.emit({ n, id });
        },
      })
      .sinkTo("orders-out", fileSink({ path: "orders", format: ndjson() }));
    const lines = <T>(name: string, source: Source<T>, of: (given: T) => object) =>
      job
        .source(name, source)
        .map(`${name}-line`, of)
        .sinkTo(`${name}-out`, fileSink({ path: name, format: ndjson() }));
    lines("topic", kafka({ topic: "clicks", partitions: 2, format: order }), ({ id }) => ({ id }));
    lines("queue", sqs({ queue: "tasks", format: order }), ({ id, body }) => ({ named: id !== "", id: body.id }));
    lines("bus", eventBridge({ queue: "placed", format: order }), ({ detail, detailType, id }) => ({
      id,
      detailType,
      of: detail.id,
    }));
    lines("table", dynamodbStream({ table: "accounts", format: json(type<TableChange>()) }), ({ eventName, dynamodb }) => ({
      eventName,
      id: dynamodb.Keys.id.S,
    }));
  },
  { parallelism: 1 },
);
