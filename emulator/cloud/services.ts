/** The services of an emulated cloud: started together, stopped together, in memory or in one folder. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { openLocal } from "../../runtime/adapters/local/open-local.ts";
import { SystemClock } from "../../runtime/adapters/local/system-clock.ts";
import type { EmbeddedLog } from "../../runtime/adapters/log-provisioning.ts";
import { MemoryLog } from "../../runtime/adapters/memory/memory-log.ts";
import { type DynamoDb, startDynamoDb } from "../dynamodb/start-dynamo-db.ts";
import type { HttpFault, HttpFaults } from "../http-faults.ts";
import { type Events, startEvents } from "../events/start-events.ts";
import { type Fault, type FaultyCall, type KinesisOptions, startKinesis } from "../kinesis/index.ts";
import { type Messaging, startMessaging } from "../messaging/start-messaging.ts";
import { startS3 } from "../s3/start-s3.ts";
import type { StandIn } from "../stand-in.ts";

/** What goes wrong with calls, by service. Each is asked at every call; undefined: it goes well. */
export interface CloudFaults {
  readonly kinesis?: (call: FaultyCall) => Fault | readonly Fault[] | undefined;
  readonly dynamodb?: HttpFaults;
  /** By method: GET, PUT, … */
  readonly s3?: HttpFaults;
  /** Of SQS and SNS. */
  readonly messaging?: HttpFaults;
  readonly events?: HttpFaults;
  readonly lambda?: HttpFaults;
}

export interface ServicesOptions {
  /** Undefined: in memory. */
  readonly directory: string | undefined;
  readonly region: string;
  readonly account: string;
  readonly kinesisLimits: KinesisOptions["limits"];
  /** 0: free ones. Else the first of consecutive ones. */
  readonly port: number;
  /** Looked at with every call. */
  readonly faults: () => CloudFaults;
}

export interface Services {
  readonly kinesis: StandIn;
  readonly dynamodb: DynamoDb;
  readonly s3: StandIn;
  readonly messaging: Messaging;
  readonly events: Events;
  stop(): Promise<void>;
}

/** Kinesis' largest record. */
const maxRecordBytes = 10 * 1024 * 1024;

export async function startServices(options: ServicesOptions): Promise<Services> {
  const { directory, region, account, faults } = options;
  const stops: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const each of stops.splice(0).reverse()) await each();
  };
  const started = async <S extends StandIn>(standIn: Promise<S>) => {
    const ready = await standIn;
    stops.push(() => ready.stop());
    return ready;
  };
  const kept = async (name: string) => {
    if (directory === undefined) return {};
    await mkdir(join(directory, name), { recursive: true });
    return { directory: join(directory, name) };
  };
  const portOf = (index: number) => (options.port === 0 ? 0 : options.port + index);
  const by =
    (service: "dynamodb" | "s3" | "messaging" | "events") =>
    (operation: string): HttpFault | undefined =>
      faults()[service]?.(operation);
  try {
    const { log, close } = await openLog((await kept("kinesis")).directory);
    stops.push(close);
    const kinesis = await started(
      startKinesis({
        log,
        clock: new SystemClock(),
        port: portOf(0),
        region,
        account,
        limits: options.kinesisLimits ?? "kinesis",
        faults: (call) => faults().kinesis?.(call),
      }),
    );
    const streams = directory === undefined ? {} : { streamsDirectory: join(directory, "dynamodb-streams") };
    const dynamodb = await started(
      startDynamoDb({
        ...{ port: portOf(1), region, account, faults: by("dynamodb") },
        ...(await kept("dynamodb")),
        ...streams,
      }),
    );
    const s3 = await started(startS3({ port: portOf(2), ...(await kept("s3")), faults: by("s3") }));
    // After the port of Lambda.
    const messaging = await started(startMessaging({ port: portOf(4), region, faults: by("messaging") }));
    const send = (queue: string, body: string) => messaging.send(queue, body);
    const events = await started(startEvents({ port: portOf(5), region, account, send, faults: by("events") }));
    return { kinesis, dynamodb, s3, messaging, events, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function openLog(directory: string | undefined): Promise<{ log: EmbeddedLog; close(): Promise<void> }> {
  if (directory === undefined) return { log: new MemoryLog({ clock: new SystemClock(), maxRecordBytes }), close: async () => {} };
  const { log, close } = await openLocal(directory, { job: "emulated-kinesis", maxRecordBytes });
  return { log, close };
}
