/**
 * How long a task function takes from the start of its process to the end of its first event, bundled as it is deployed.
 *
 *     npm run bench -- --only cold-start
 *     node bench/cold-start.ts [--runs 9] [--keep <folder>]
 *
 * Each run is a process of its own, which imports the bundle and is given two batches of 100 records; DynamoDB, S3 and Kinesis are
 * stand-ins in this process. The median is said. Not measured: what Lambda does before the process starts, the loading of the code from
 * its store, and AWS's own answers.
 */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { CreateTableCommand } from "@aws-sdk/client-dynamodb";
import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { startDynamoDb } from "../emulator/dynamodb/start-dynamo-db.ts";
import { startKinesis } from "../emulator/kinesis/index.ts";
import { bundleFunction, writeBundle } from "../packaging/bundle.ts";
import { startS3 } from "../emulator/s3/start-s3.ts";
import { entryOf, lookCommand, writeSettings } from "../functions/contract.ts";
import { createCoordinatorHandler } from "../functions/coordinator.ts";
import { awsClients } from "../runtime/adapters/aws/aws-clients.ts";
import { createStateTable } from "../runtime/adapters/aws/state-table.ts";
import { SystemClock } from "../runtime/adapters/local/system-clock.ts";
import { MemoryLog } from "../runtime/adapters/memory/memory-log.ts";
import job from "./cold-start-job.ts";

const { values } = parseArgs({ options: { runs: { type: "string", default: "9" }, keep: { type: "string" } } });
const root = join(import.meta.dirname, "..");
const recordCount = 100;

interface Figures {
  /** From the start of the process to the first line of the bundle's importer. */
  readonly node: number;
  readonly imported: number;
  readonly first: number;
  readonly second: number;
  /** Of the processor, from the import to the end of the first event: differs less than the rest on a busy machine. */
  readonly cpu: number;
  readonly rssMb: number;
}

/** Run in the process that is measured. */
function runner(bundle: string, events: string): string {
  return `
import { readFileSync } from "node:fs";
const node = performance.now();
const [first, second] = JSON.parse(readFileSync(${JSON.stringify(events)}, "utf8"));
const used = process.cpuUsage();
const before = performance.now();
const { handler } = await import(${JSON.stringify(bundle)});
const imported = performance.now();
const context = (id) => ({ awsRequestId: id, getRemainingTimeInMillis: () => 60000 });
const check = (answer) => { if (answer.batchItemFailures.length > 0) throw new Error(JSON.stringify(answer)); };
check(await handler(first, context("first")));
const one = performance.now();
const { user, system } = process.cpuUsage(used);
const cpu = (user + system) / 1000;
check(await handler(second, context("second")));
const two = performance.now();
const rssMb = process.memoryUsage.rss() / 1e6;
process.stderr.write(JSON.stringify({ node, imported: imported - before, first: one - imported, second: two - one, cpu, rssMb }));
process.exit(0);
`;
}

async function startServices() {
  const log = new MemoryLog({ clock: new SystemClock() });
  const [dynamodb, s3, kinesis] = await Promise.all([
    startDynamoDb(),
    startS3(),
    startKinesis({ log, clock: new SystemClock(), limits: "off" }),
  ]);
  const variables = {
    ...writeSettings({
      stateTable: "state",
      stateBucket: "state",
      deadLetterBucket: "state",
      deployment: 1,
      bindings: {},
      inboxes: {},
      taskFunctions: { views: ["views"] },
      stage: "views",
      cell: 0,
    }),
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "x",
    AWS_SECRET_ACCESS_KEY: "y",
    AWS_ENDPOINT_URL_DYNAMODB: dynamodb.endpoint,
    AWS_ENDPOINT_URL_S3: s3.endpoint,
    AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint,
  };
  Object.assign(process.env, variables);
  const clients = awsClients();
  await createStateTable(clients.dynamodb, "state", new SystemClock());
  await clients.dynamodb.send(
    new CreateTableCommand({
      TableName: "views-per-minute",
      BillingMode: "PAY_PER_REQUEST",
      KeySchema: [
        { AttributeName: "page", KeyType: "HASH" },
        { AttributeName: "start", KeyType: "RANGE" },
      ],
      AttributeDefinitions: [
        { AttributeName: "page", AttributeType: "S" },
        { AttributeName: "start", AttributeType: "N" },
      ],
    }),
  );
  await clients.s3.send(new CreateBucketCommand({ Bucket: "state" }));
  await log.createStream("page-views", 1);
  return { variables, clients, stop: () => Promise.all([dynamodb.stop(), s3.stop(), kinesis.stop()]) };
}

/** Puts records into the stream; returns them as its mapping brings them. */
async function batch(): Promise<object> {
  const data = Array.from({ length: recordCount }, (_, n) =>
    Buffer.from(JSON.stringify({ page: `page ${n % 20}`, at: Date.now() })),
  );
  const put = new PutRecordsCommand({
    StreamName: "page-views",
    Records: data.map((Data) => ({ Data, PartitionKey: "a" })),
  });
  const { Records: answers } = await services.clients.kinesis.send(put);
  const Records = data.map((bytes, n) => {
    const { SequenceNumber, ShardId } = answers![n]!;
    return {
      eventSource: "aws:kinesis",
      eventSourceARN: "arn:aws:kinesis:us-east-1:000000000000:stream/page-views",
      eventID: `${ShardId}:${SequenceNumber}`,
      kinesis: {
        sequenceNumber: SequenceNumber,
        partitionKey: "a",
        approximateArrivalTimestamp: Date.now() / 1_000,
        data: bytes.toString("base64"),
      },
    };
  });
  return { Records };
}

function median(list: readonly number[]): number {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]!;
}

const folder = values.keep ?? mkdtempSync(join(tmpdir(), "millrace-cold-start-"));
mkdirSync(folder, { recursive: true });
const services = await startServices();
try {
  const context = { awsRequestId: "start", getRemainingTimeInMillis: () => 6_000 };
  await createCoordinatorHandler(job, { invoke: async () => undefined })(lookCommand, context);
  const contents = entryOf("task", join(root, "bench/cold-start-job.ts"), join(root, "functions"));
  const bundle = await bundleFunction({ entry: { contents, directory: root } });
  const directory = await writeBundle(bundle, folder);
  const script = join(folder, "run.mjs");
  const events = join(folder, "events.json");
  writeFileSync(script, runner(join(directory, "index.mjs"), events));
  const figures: Figures[] = [];
  // The first does not count.
  for (let run = 0; run <= Number(values.runs); run++) {
    writeFileSync(events, JSON.stringify([await batch(), await batch()]));
    const env = { ...process.env, ...services.variables };
    const { stderr } = await promisify(execFile)(process.execPath, [script], { env });
    if (run > 0) figures.push(JSON.parse(stderr.slice(stderr.lastIndexOf("{"))) as Figures);
  }
  const of = (pick: (one: Figures) => number) => median(figures.map(pick)).toFixed(0);
  console.log(
    `median of ${values.runs} processes; ${recordCount} records an event; a bundle of ${Math.round(bundle.bytes / 1024)} KB`,
  );
  console.log(
    `Node ${of((one) => one.node)} ms, import ${of((one) => one.imported)} ms, first event ${of((one) => one.first)} ms, both ` +
      `${of((one) => one.imported + one.first)} ms (CPU ${of((one) => one.cpu)} ms), second event ${of((one) => one.second)} ms, ` +
      `memory ${of((one) => one.rssMb)} MB`,
  );
} finally {
  await services.stop();
  if (values.keep === undefined) rmSync(folder, { recursive: true });
}
