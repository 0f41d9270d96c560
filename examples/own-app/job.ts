/** Orders per customer and minute, from a stream into a table. */
import { boundedOutOfOrderness, count, defineJob, dynamodb, json, kinesis, minutes, seconds, tumbling, type } from "millrace";

interface Order {
  readonly customer: string;
  /** Epoch ms. */
  readonly at: number;
}

export default defineJob("orders", (job) => {
  job
    .source("orders", kinesis({ stream: "orders", format: json(type<Order>()) }), {
      timestamps: ({ at }) => at,
      watermarks: boundedOutOfOrderness(seconds(10)).withIdleness(minutes(1)),
    })
    .keyBy(({ customer }) => customer)
    .window(tumbling(minutes(1)))
    .aggregate("per-minute", count(), (customer, { start }, orders) => ({ customer, start, orders }))
    .sinkTo("table", dynamodb({ table: "orders-per-minute", key: ["customer", "start"] }));
});
