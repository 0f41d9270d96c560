/** The stand-ins that a test file starts once, and adapters on them; every adapter has a job, and so a place, of its own. */
import { after } from "node:test";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import type { NodeHttpHandler } from "@smithy/node-http-handler";
import { startDynamoDb } from "../../emulator/dynamodb/start-dynamo-db.ts";
import { type Faults, startKinesis } from "../../emulator/kinesis/index.ts";
import { readSequenceNumber } from "../../emulator/kinesis/sequence-number.ts";
import { startS3 } from "../../emulator/s3/start-s3.ts";
import type { StandIn } from "../../emulator/stand-in.ts";
import { awsClients } from "../../runtime/adapters/aws/aws-clients.ts";
import type { Pace } from "../../runtime/adapters/aws/back-off.ts";
import { DynamoJournal } from "../../runtime/adapters/aws/dynamo-journal.ts";
import { DynamoPages } from "../../runtime/adapters/aws/dynamo-pages.ts";
import { DynamoTable } from "../../runtime/adapters/aws/dynamo-table.ts";
import { GatedHandler } from "../../runtime/adapters/aws/gated-handler.ts";
import { KinesisLog } from "../../runtime/adapters/aws/kinesis-log.ts";
import { S3Bucket } from "../../runtime/adapters/aws/s3-bucket.ts";
import { S3Blobs } from "../../runtime/adapters/aws/s3-blobs.ts";
import { createStateTable } from "../../runtime/adapters/aws/state-table.ts";
import { SystemClock } from "../../runtime/adapters/local/system-clock.ts";
import type { ProvisionedLog } from "../../runtime/adapters/log-provisioning.ts";
import { MemoryLog } from "../../runtime/adapters/memory/memory-log.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import { id, type Position } from "../../runtime/base/ids.ts";
import type { Clock } from "../../runtime/ports/clock.ts";

export const tableName = "state";
export const bucketName = "state";
const requestsMax = 50;

/** A clock on which nobody waits, for what is tried again. */
export class HastyClock extends SystemClock {
  readonly slept: number[] = [];
  override async sleep(ms: number): Promise<void> {
    this.slept.push(ms);
  }
}

/** Servers that somebody else started, as reference: `npm run conformance`. They may outlive the tests. */
const outside = { dynamodb: process.env["MILLRACE_DYNAMODB_ENDPOINT"], s3: process.env["MILLRACE_S3_ENDPOINT"] };
const names = outside.dynamodb === undefined && outside.s3 === undefined ? "job" : `job-${process.pid}-${Date.now()}`;

let jobs = 0;
export function newJob(): string {
  return `${names}-${++jobs}`;
}

function startedOutside(endpoint: string | undefined): Promise<StandIn> | undefined {
  return endpoint === undefined ? undefined : Promise.resolve({ endpoint, stop: async () => {} });
}

export interface Wiring {
  readonly job?: string;
  readonly handler?: NodeHttpHandler;
  readonly maxAttempts?: number;
  readonly clock?: Clock;
  readonly telemetry?: MemoryTelemetry;
}

/** As functions send requests, but for their time-outs: whether an answer comes in time says how busy this machine is. */
export function patientHandler(): NodeHttpHandler {
  return new GatedHandler(requestsMax);
}

function clientsOf(endpoint: string, { handler = patientHandler(), maxAttempts }: Wiring) {
  return awsClients({
    endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
    requestHandler: handler,
    ...(maxAttempts !== undefined && { maxAttempts }),
  });
}

function paceOf({ clock }: Wiring): Pace {
  return { clock: clock ?? new HastyClock(), random: () => 0.5 };
}

function endAfterTests(started: Promise<Pick<StandIn, "stop">>): void {
  after(async () => (await started).stop());
}

/** DynamoDB with the state table. */
export function withDynamoDb() {
  const started = startedOutside(outside.dynamodb) ?? startDynamoDb();
  endAfterTests(started);
  const ready = started.then(async ({ endpoint }) => {
    await createStateTable(clientsOf(endpoint, {}).dynamodb, tableName, new SystemClock());
    return endpoint;
  });
  const table = async (part: string, wiring: Wiring = {}) => {
    const { dynamodb } = clientsOf(await ready, wiring);
    return new DynamoTable(dynamodb, tableName, part, wiring.telemetry ?? new MemoryTelemetry(), paceOf(wiring));
  };
  return {
    table,
    endpoint: () => ready,
    client: async (wiring: Wiring = {}) => clientsOf(await ready, wiring).dynamodb,
    journal: async (ringSize: number, wiring: Wiring = {}) =>
      new DynamoJournal(await table("journal", wiring), wiring.job ?? newJob(), ringSize),
    pages: async (wiring: Wiring = {}) => new DynamoPages(await table("pages", wiring), wiring.job ?? newJob()),
  };
}

/** S3 with the state bucket. */
export function withS3() {
  const started = startedOutside(outside.s3) ?? startS3();
  endAfterTests(started);
  const ready = started.then(async ({ endpoint }) => {
    await clientsOf(endpoint, {}).s3.send(new CreateBucketCommand({ Bucket: bucketName }));
    return endpoint;
  });
  return {
    endpoint: () => ready,
    client: async () => clientsOf(await ready, {}).s3,
    bucket: async (wiring: Wiring & { readonly bucket?: string } = {}) => {
      const { s3 } = clientsOf(await ready, wiring);
      return new S3Bucket(s3, wiring.bucket ?? bucketName, wiring.telemetry ?? new MemoryTelemetry(), paceOf(wiring));
    },
    blobs: async (wiring: Wiring & { readonly bucket?: string } = {}) => {
      const { s3 } = clientsOf(await ready, wiring);
      const telemetry = wiring.telemetry ?? new MemoryTelemetry();
      return new S3Blobs(s3, wiring.bucket ?? bucketName, wiring.job ?? newJob(), telemetry, paceOf(wiring));
    },
  };
}

/** Kinesis without throttling, a fresh server for each log; `clock` is the server's too. */
export function withKinesis() {
  const started: Pick<StandIn, "stop">[] = [];
  after(() => Promise.all(started.map((server) => server.stop())));
  return {
    log: async (
      wiring: Wiring & {
        readonly maxRecordBytes?: number;
        readonly fixedShards?: boolean;
        readonly faults?: Faults;
        /** So long a change of a stream takes; default 0. */
        readonly transitionMs?: number;
      } = {},
    ) => {
      const clock = wiring.clock ?? new HastyClock();
      const embedded = new MemoryLog({ clock, maxRecordBytes: 10 * 1024 * 1024 });
      const faults = wiring.faults === undefined ? {} : { faults: wiring.faults };
      const { transitionMs = 0 } = wiring;
      const server = await startKinesis({ log: embedded, clock, limits: "off", transitionMs, ...faults });
      started.push(server);
      const { kinesis } = clientsOf(server.endpoint, wiring);
      const size = wiring.maxRecordBytes === undefined ? {} : { maxRecordBytes: wiring.maxRecordBytes };
      const log = new KinesisLog(kinesis, wiring.telemetry ?? new MemoryTelemetry(), paceOf({ ...wiring, clock }), {
        ...size,
        fixedShards: wiring.fixedShards ?? false,
      });
      return { log: withTrim(log, embedded), embedded, kinesis, server };
    },
  };
}

/** Trimming is retention's in Kinesis: here it is done behind the server. */
function withTrim(log: KinesisLog, embedded: MemoryLog): ProvisionedLog {
  return Object.assign(log, {
    trim: (...[stream, shard, upTo]: Parameters<ProvisionedLog["trim"]>) => {
      const position = readSequenceNumber(upTo)?.position ?? upTo;
      return embedded.trim(stream, shard, id<Position>(String(position)));
    },
  });
}
