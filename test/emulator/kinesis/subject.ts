/** What the suites run against: a server, a client of AWS's SDK for it, and its time. */
import { after } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { KinesisClient, type KinesisClientConfig, type Shard } from "@aws-sdk/client-kinesis";
import * as sdk from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { type KinesisOptions, startKinesis } from "../../../emulator/kinesis/index.ts";
import { ManualClock } from "../../../runtime/adapters/memory/manual-clock.ts";
import { MemoryLog } from "../../../runtime/adapters/memory/memory-log.ts";
import type { EmbeddedLog } from "../../../runtime/adapters/log-provisioning.ts";
import { openForTest } from "../../ports/local-directory.ts";

export interface Subject {
  readonly client: KinesisClient;
  /** Another client, with a connection of its own. */
  connect(): KinesisClient;
  /** Lets time pass: by turning the server's clock, or by waiting for one that cannot be turned. */
  turn(ms: number): Promise<void>;
}

const ends: (() => unknown)[] = [];

after(async () => {
  for (const end of ends.reverse()) await end();
});

/** Ends with the test file. Errors are not tried again. */
export function clientOf(endpoint: string, config: KinesisClientConfig = {}): KinesisClient {
  const credentials = { accessKeyId: "test", secretAccessKey: "test" };
  const client = new KinesisClient({ endpoint, region: "us-east-1", credentials, maxAttempts: 1, ...config });
  ends.push(() => client.destroy());
  return client;
}

export interface OurSubject extends Subject {
  readonly endpoint: string;
  readonly clock: ManualClock;
  readonly log: EmbeddedLog;
  stop(): Promise<void>;
}

/** The room that a log needs for the largest records of Kinesis, with their keys and the registry. */
export const maxRecordBytes = 11 * 1024 * 1024;
const start = Date.UTC(2026, 0, 1);

export function newClock(): ManualClock {
  return new ManualClock({ now: start });
}

/** Our server over memory, or over the log given, with a clock to be turned. */
export async function startSubject(
  options: Partial<KinesisOptions> & { readonly clock?: ManualClock } = {},
): Promise<OurSubject> {
  const clock = options.clock ?? newClock();
  const log = options.log ?? new MemoryLog({ clock, maxRecordBytes });
  const server = await startKinesis({ ...options, clock, log });
  ends.push(() => server.stop());
  return {
    endpoint: server.endpoint,
    client: clientOf(server.endpoint),
    connect: () => clientOf(server.endpoint),
    clock,
    log,
    stop: () => server.stop(),
    turn: async (ms) => clock.advance(ms),
  };
}

/** The same over a directory of its own. */
export async function startLocalSubject(options: Partial<KinesisOptions> = {}): Promise<OurSubject> {
  const clock = newClock();
  const { log } = await openForTest({ clock, maxRecordBytes });
  return startSubject({ ...options, clock, log });
}

/** A server that somebody else started. Few but ours understand HTTP/2 without TLS, which the SDK would speak by default. */
export function outsideSubject(endpoint: string): Subject {
  const connect = () => clientOf(endpoint, endpoint.startsWith("http:") ? { requestHandler: new NodeHttpHandler() } : {});
  return { client: connect(), connect, turn: async (ms) => void (await wait(ms)) };
}

let made = 0;

/** A new stream that takes records; its name is not used again, so that servers may outlive the suite. */
export async function newStream(client: KinesisClient, input: Partial<sdk.CreateStreamInput> = {}): Promise<string> {
  const StreamName = `stream-${process.pid}-${Date.now()}-${++made}`;
  await client.send(new sdk.CreateStreamCommand({ StreamName, ...(input.StreamModeDetails ? {} : { ShardCount: 1 }), ...input }));
  await untilActive(client, StreamName);
  return StreamName;
}

/** Waits for a change of the stream to end; at once with servers whose changes take no time. */
export async function untilActive(client: KinesisClient, StreamName: string): Promise<sdk.StreamDescriptionSummary> {
  for (;;) {
    const { StreamDescriptionSummary } = await client.send(new sdk.DescribeStreamSummaryCommand({ StreamName }));
    if (StreamDescriptionSummary?.StreamStatus === "ACTIVE") return StreamDescriptionSummary;
    await wait(100);
  }
}

export async function untilConsumerActive(client: KinesisClient, ConsumerARN: string): Promise<void> {
  for (;;) {
    const { ConsumerDescription } = await client.send(new sdk.DescribeStreamConsumerCommand({ ConsumerARN }));
    if (ConsumerDescription?.ConsumerStatus === "ACTIVE") return;
    await wait(100);
  }
}

export async function shardsOf(client: KinesisClient, StreamName: string): Promise<readonly Shard[]> {
  const { Shards } = await client.send(new sdk.ListShardsCommand({ StreamName }));
  return Shards!;
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export async function put(client: KinesisClient, StreamName: string, text: string, ExplicitHashKey = "0"): Promise<string> {
  const input = { StreamName, Data: bytesOf(text), PartitionKey: "key", ExplicitHashKey };
  return (await client.send(new sdk.PutRecordCommand(input))).SequenceNumber!;
}

export interface ReadOptions extends Partial<sdk.GetShardIteratorInput> {
  readonly limit?: number;
}

/** One iterator and one read from it. */
export async function read(client: KinesisClient, StreamName: string, options: ReadOptions = {}): Promise<sdk.GetRecordsOutput> {
  return readOn(client, await iteratorFor(client, StreamName, options), options.limit);
}

export async function iteratorFor(client: KinesisClient, StreamName: string, options: ReadOptions = {}): Promise<string> {
  const { limit: _limit, ...start } = options;
  const input = { StreamName, ShardId: "shardId-000000000000", ShardIteratorType: "TRIM_HORIZON" as const, ...start };
  return (await client.send(new sdk.GetShardIteratorCommand(input))).ShardIterator!;
}

export function readOn(client: KinesisClient, ShardIterator: string, Limit?: number): Promise<sdk.GetRecordsOutput> {
  return client.send(new sdk.GetRecordsCommand(Limit === undefined ? { ShardIterator } : { ShardIterator, Limit }));
}

export function textsOf({ Records }: sdk.GetRecordsOutput): readonly string[] {
  return Records!.map(({ Data }) => new TextDecoder().decode(Data));
}

/** For assert.rejects: an exception of AWS's by its name. */
export function named(name: string | RegExp, message = /./): (error: unknown) => boolean {
  return (error) => {
    const { name: actual, message: text } = error as Error;
    if ((typeof name === "string" ? actual === name : name.test(actual)) && message.test(text)) return true;
    throw new Error(`expected ${name} ${message}, got ${actual}: ${text}`, { cause: error });
  };
}
