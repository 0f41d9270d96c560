/**
 * How long a task function takes from the start of its process to the end of its first event, bundled in several ways.
 *
 *     node bench/cold-start.ts [--runs 9] [--keep <folder>]
 *
 * Each run is a process of its own, which imports the bundle and is given two batches of 100 records; DynamoDB, S3 and Kinesis are
 * stand-ins in this process. The ways take turns, and the median of each is said. Not measured: what Lambda does before the process
 * starts, the loading of the code from its store, and AWS's own answers.
 */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { CreateTableCommand } from "@aws-sdk/client-dynamodb";
import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { type BuildOptions, build } from "esbuild";
import { startDynamoDb } from "../emulator/dynamodb/start-dynamo-db.ts";
import { startKinesis } from "../emulator/kinesis/index.ts";
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

const requireBanner = {
  js: 'import{createRequire as millraceRequire}from"node:module";const require=millraceRequire(import.meta.url);',
};
const shared = { bundle: true, platform: "node", target: "node22", minify: true, legalComments: "none" } as const;

/** The ways, by name. `empty`: Node itself. */
const ways: Readonly<Record<string, BuildOptions>> = {
  "esm, packages as modules": { ...shared, format: "esm", banner: requireBanner, mainFields: ["module", "main"] },
  "esm, packages as CommonJS": { ...shared, format: "esm", banner: requireBanner, mainFields: ["main", "module"] },
  "cjs, packages as modules": { ...shared, format: "cjs", mainFields: ["module", "main"] },
  "cjs, packages as CommonJS": { ...shared, format: "cjs", mainFields: ["main", "module"] },
  "esm, not minified": { ...shared, minify: false, format: "esm", banner: requireBanner, mainFields: ["module", "main"] },
};

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
  const bundles = new Map<string, string>();
  for (const [n, [name, options]] of Object.entries(ways).entries()) {
    const outfile = join(folder, `${n}.${options.format === "cjs" ? "cjs" : "mjs"}`);
    const contents = entryOf("task", join(root, "bench/cold-start-job.ts"), join(root, "functions"));
    await build({ ...options, stdin: { contents, resolveDir: root, loader: "ts" }, outfile, logLevel: "silent" });
    bundles.set(name, outfile);
  }
  const figures = new Map<string, Figures[]>(Object.keys(ways).map((name) => [name, []]));
  for (let run = 0; run <= Number(values.runs); run++)
    for (const [name, bundle] of bundles) {
      const events = join(folder, "events.json");
      const script = join(folder, "run.mjs");
      writeFileSync(events, JSON.stringify([await batch(), await batch()]));
      writeFileSync(script, runner(bundle, events));
      const { stderr } = await promisify(execFile)(process.execPath, [script], {
        env: { ...process.env, ...services.variables },
      });
      // The first round does not count.
      if (run > 0) figures.get(name)!.push(JSON.parse(stderr.slice(stderr.lastIndexOf("{"))) as Figures);
    }
  console.log(`median of ${values.runs} processes each, ms; ${recordCount} records an event`);
  for (const [name, list] of figures) {
    const of = (pick: (one: Figures) => number) => median(list.map(pick)).toFixed(0).padStart(5);
    const kb = (statSync(bundles.get(name)!).size / 1024).toFixed(0).padStart(5);
    const total = of((one) => one.imported + one.first);
    console.log(
      `${name.padEnd(28)} ${kb} KB  node ${of((one) => one.node)}  import ${of((one) => one.imported)}` +
        `  first event ${of((one) => one.first)}  both ${total}  of the processor ${of((one) => one.cpu)}  second event ${of((one) => one.second)}  memory ${of((one) => one.rssMb)} MB`,
    );
  }
} finally {
  await services.stop();
  if (values.keep === undefined) rmSync(folder, { recursive: true });
}
