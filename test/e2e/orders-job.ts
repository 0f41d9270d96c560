/**
 * Orders beside their payments: two sources, an exchange by order number, an operator with state and timers of both sides. An order that
 * is not paid within a minute is unpaid, a payment without an order unknown; what comes when its minute has passed is late.
 */
import {
  boundedOutOfOrderness,
  defineJob,
  type Duration,
  dynamodb,
  type Job,
  json,
  kinesis,
  ndjson,
  outputTag,
  s3,
  type Schema,
  seconds,
  type,
  value,
} from "../../runtime/index.ts";

interface Entry {
  readonly order: string;
  readonly at: number;
  readonly cents: number;
}

interface Row {
  readonly order: string;
  readonly state: "paid" | "wrong" | "unpaid" | "unknown";
  readonly at: number;
}

type LateEntry = Entry & { readonly kind: "orders" | "payments" };

const entrySchema: Schema<Entry> = {
  "~standard": {
    version: 1,
    vendor: "orders",
    validate: (given) => {
      const { order, at, cents } = given as Partial<Entry>;
      const isEntry = typeof order === "string" && typeof at === "number" && Number.isInteger(cents);
      return isEntry ? { value: { order, at, cents: cents! } } : { issues: [{ message: "expected order, at and cents" }] };
    },
  },
};

const waitMs = 60_000;
const late = outputTag<LateEntry>("late");

export interface OrdersOptions {
  readonly parallelism: number;
  readonly checkpointInterval: Duration;
  /** Checkpoints that are kept; default 3. */
  readonly retained?: number;
}

export function ordersJob({ parallelism, checkpointInterval, retained = 3 }: OrdersOptions): Job {
  return defineJob(
    "orders",
    (job) => {
      const time = { timestamps: ({ at }: Entry) => at, watermarks: boundedOutOfOrderness(seconds(10)) };
      const orders = job.source("orders", kinesis({ stream: "orders", format: json(entrySchema) }), time);
      const payments = job.source("payments", kinesis({ stream: "payments", format: json(entrySchema) }), time);
      const rows = orders
        .keyBy(({ order }) => order)
        .connect(payments.keyBy(({ order }) => order))
        .process("match", {
          output: type<Row>(),
          sideOutputs: [late],
          state: { order: value<Entry>(), payment: value<Entry>() },
          onLeft: (order, ctx) => {
            const { state, timers, watermark } = ctx;
            if (watermark >= order.at + waitMs) return ctx.output<LateEntry>(late, { kind: "orders", ...order });
            const payment = state.payment.get();
            if (payment === undefined) {
              state.order.set(order);
              timers.eventTime(order.at + waitMs);
              return;
            }
            ctx.emit(rowOf(order, payment));
            state.payment.clear();
          },
          onRight: (payment, ctx) => {
            const { state, timers, watermark } = ctx;
            if (watermark >= payment.at + waitMs) return ctx.output<LateEntry>(late, { kind: "payments", ...payment });
            const order = state.order.get();
            if (order === undefined) {
              state.payment.set(payment);
              timers.eventTime(payment.at + waitMs);
              return;
            }
            ctx.emit(rowOf(order, payment));
            state.order.clear();
          },
          onTimer: (_at, ctx) => {
            const { key, state } = ctx;
            const [order, payment] = [state.order.get(), state.payment.get()];
            if (order !== undefined) ctx.emit({ order: key, state: "unpaid", at: order.at });
            else if (payment !== undefined) ctx.emit({ order: key, state: "unknown", at: payment.at });
            state.order.clear();
            state.payment.clear();
          },
        });
      rows.sinkTo("orders-out", dynamodb({ table: "orders", key: ["order"] }));
      rows.sinkTo("ledger-out", s3({ bucket: "ledger", prefix: "rows/", format: ndjson() }));
      rows.sideOutput(late).sinkTo("late-out", s3({ bucket: "ledger", prefix: "late/", format: ndjson() }));
    },
    { parallelism, checkpoints: { interval: checkpointInterval, retained } },
  );
}

function rowOf(order: Entry, payment: Entry): Row {
  return { order: order.order, state: order.cents === payment.cents ? "paid" : "wrong", at: order.at };
}
