/** An app of one's own: a stream that others write, a table that others read, and the job between them. */
import { App, Duration, Stack } from "aws-cdk-lib";
import { AttributeType, BillingMode, Table } from "aws-cdk-lib/aws-dynamodb";
import { Stream, StreamMode } from "aws-cdk-lib/aws-kinesis";
import { StreamJob } from "millrace/cdk";

const app = new App();
const stack = new Stack(app, "Orders");

const orders = new Stream(stack, "Stream", { streamMode: StreamMode.ON_DEMAND, retentionPeriod: Duration.days(7) });
const perMinute = new Table(stack, "PerMinute", {
  partitionKey: { name: "customer", type: AttributeType.STRING },
  sortKey: { name: "start", type: AttributeType.NUMBER },
  billingMode: BillingMode.PAY_PER_REQUEST,
});

new StreamJob(stack, "OrdersJob", {
  entry: "job.ts",
  streams: { orders },
  tables: { "orders-per-minute": perMinute },
  reservedConcurrency: 1,
});
