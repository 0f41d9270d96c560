/**
 * What the producer costs and takes: events of 200 bytes over 100,000 keys, four shards, beside one record per event.
 *
 * - `packing`: events a second through the producer alone, into a stream that answers at once: hashing, packing and promises.
 * - `emulated`: the same through AWS's SDK into our Kinesis server, in a process of its own and without throttling; beside it the events
 *   each in a record, 500 to a request, as many requests at once.
 * - `rates`: put units at so many events a second, on a clock that is turned: how full records get is how many events come while one waits.
 *
 *     node bench/producer.ts [--events 500000] [--emulated 100000] [--seconds 20]
 *
 * Not measured: latency. Fails when an event is not put, and when full records take more than a fiftieth of the units.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { CreateStreamCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { startKinesis } from "../emulator/kinesis/index.ts";
import { VirtualClock } from "../emulator/virtual-clock.ts";
import { KinesisStream } from "../producer/kinesis-stream.ts";
import { Producer, type ProducerOptions } from "../producer/producer.ts";
import type { Stream } from "../producer/stream.ts";
import { SystemClock } from "../runtime/adapters/local/system-clock.ts";
import { MemoryLog } from "../runtime/adapters/memory/memory-log.ts";
import { id, type ShardId } from "../runtime/base/ids.ts";
import { splitEvenly } from "../runtime/streaming/hash-range.ts";
import { encodeEvent, eventBytes } from "./turn/kinesis-records.ts";

const StreamName = "bench";
const shardCount = 4;
const keyCount = 100_000;
const recordsPerPut = 500;
const putsAtOnce = 4;
const aim = 50;

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "500000" },
    emulated: { type: "string", default: "100000" },
    seconds: { type: "string", default: "20" },
    serve: { type: "boolean" },
  },
});

interface KeyedBytes {
  readonly key: string;
  readonly bytes: Uint8Array;
}

function eventsOf(count: number): readonly KeyedBytes[] {
  return Array.from({ length: count }, (_, n) => {
    const key = `user-${(n * 7919) % keyCount}`;
    return { key, bytes: encodeEvent(key, n, n) };
  });
}

/** Takes all at once. By a record's hash key, as Kinesis. */
class TakingStream implements Stream {
  readonly name = StreamName;
  readonly #shards = splitEvenly(shardCount).map((range, n) => ({
    ...{ id: id<ShardId>(`shardId-${String(n).padStart(12, "0")}`), range, parents: [], closed: false },
  }));
  #count = 0;

  async put(records: Parameters<Stream["put"]>[0]) {
    return records.map(({ explicitHashKey, partitionKey }) => {
      if (explicitHashKey === undefined) throw new Error(`a record of a single event: ${partitionKey}`);
      const hashKey = BigInt(explicitHashKey);
      const shard = this.#shards.find(({ range }) => hashKey <= range.to)!;
      return { outcome: "put" as const, shardId: shard.id as string, sequenceNumber: String(this.#count++) };
    });
  }

  async shards() {
    return this.#shards;
  }
}

/** As an application puts events that come as fast as they are taken: events a second, and microseconds of CPU for one. */
async function putAll(producer: Producer<unknown>, events: readonly KeyedBytes[]): Promise<string> {
  const from = performance.now();
  const before = process.cpuUsage();
  let failed = 0;
  for (const event of events) {
    if (producer.heldBytes >= bufferBytes) await producer.ready();
    producer.put(event).catch(() => failed++);
  }
  await producer.close();
  if (failed > 0 || producer.counts.events !== events.length) throw new Error(`events that failed: ${failed}`);
  return paceOf(events.length, from, before);
}

const bufferBytes = 16 << 20;
const options: ProducerOptions<unknown> = { stream: StreamName, bufferBytes };

async function packing(events: readonly KeyedBytes[]): Promise<void> {
  const run = async () => {
    const parts = { stream: new TakingStream(), clock: new SystemClock(), random: Math.random };
    const producer = new Producer(options, parts);
    return { rate: await putAll(producer, events), producer };
  };
  await run();
  const { rate, producer } = await run();
  report("packing", rate, unitsOf(producer, aim));
}

async function emulated(events: readonly KeyedBytes[]): Promise<void> {
  const server: ChildProcess = fork(import.meta.filename, ["--serve"]);
  try {
    const [endpoint] = (await once(server, "message")) as [string];
    const client = new KinesisClient({
      ...{ endpoint, region: "us-east-1", credentials: { accessKeyId: "bench", secretAccessKey: "bench" } },
      requestHandler: new NodeHttpHandler(),
    });
    await client.send(new CreateStreamCommand({ StreamName, ShardCount: shardCount }));
    await putEach(client, events.slice(0, 5_000));
    const each = await putEach(client, events);
    const stream = new KinesisStream(StreamName, client);
    const producer = new Producer(options, { stream, clock: new SystemClock(), random: Math.random });
    const packed = await putAll(producer, events);
    report("emulated", packed, unitsOf(producer, aim));
    report("", each, `one record per event: ${events.length} units`);
    client.destroy();
  } finally {
    server.disconnect();
    await once(server, "exit");
  }
}

async function putEach(client: KinesisClient, events: readonly KeyedBytes[]): Promise<string> {
  const from = performance.now();
  const before = process.cpuUsage();
  let next = 0;
  const writers = Array.from({ length: putsAtOnce }, async () => {
    while (next < events.length) {
      const some = events.slice(next, (next += recordsPerPut));
      const Records = some.map(({ key, bytes }) => ({ PartitionKey: key, Data: bytes }));
      const { FailedRecordCount } = await client.send(new PutRecordsCommand({ StreamName, Records }));
      if (FailedRecordCount !== 0) throw new Error(`records refused: ${FailedRecordCount}`);
    }
  });
  await Promise.all(writers);
  return paceOf(events.length, from, before);
}

function paceOf(events: number, from: number, before: NodeJS.CpuUsage): string {
  const { user, system } = process.cpuUsage(before);
  const perSecond = Math.round(events / (performance.now() - from));
  return `${perSecond}k events/s, ${((user + system) / events).toFixed(1)} µs CPU`;
}

/** Put units of some seconds at this rate, when events come evenly. */
async function rates(perSecondOf: number, lingerMs: number, seconds: number): Promise<void> {
  const clock = new VirtualClock();
  const producer = new Producer({ ...options, lingerMs }, { stream: new TakingSlowly(clock), clock, random: () => 0.5 });
  const events = eventsOf(perSecondOf * seconds);
  const stepMs = 10;
  const perStep = (perSecondOf * stepMs) / 1_000;
  for (let from = 0; from < events.length; from += perStep) {
    for (const event of events.slice(from, from + perStep)) void producer.put(event);
    await clock.advance(stepMs);
  }
  await clock.until(producer.close());
  report(`${perSecondOf}/s`, `linger ${lingerMs} ms`, unitsOf(producer));
}

/** An answer takes 20 ms. */
class TakingSlowly extends TakingStream {
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    super();
    this.#clock = clock;
  }

  override async put(records: Parameters<Stream["put"]>[0]) {
    await this.#clock.sleep(20);
    return super.put(records);
  }
}

function unitsOf({ counts }: Producer<unknown>, atLeast = 0): string {
  const { events, putUnits, records } = counts;
  const times = events / putUnits;
  if (times < atLeast) throw new Error(`${putUnits} put units for ${events} events: only 1/${times.toFixed(1)}`);
  const aimed = atLeast === 0 ? "" : ` (aim 1/${atLeast})`;
  return `${putUnits} put units of ${events}: 1/${times.toFixed(1)}${aimed}, ${records} records of ${Math.round(events / records)} events`;
}

function report(name: string, first: string, second: string): void {
  console.log(`${name.padEnd(10)}${first.padEnd(34)}${second}`);
}

/** Prints to the parent where it listens; ends with it. */
async function serve(): Promise<void> {
  const clock = new SystemClock();
  const { endpoint } = await startKinesis({ log: new MemoryLog({ clock }), clock, limits: "off" });
  process.send!(endpoint);
  process.on("disconnect", () => process.exit());
}

if (values.serve) await serve();
else {
  console.log(`producer: events of ${eventBytes} bytes, ${keyCount} keys, ${shardCount} shards`);
  await packing(eventsOf(Number(values.events)));
  await emulated(eventsOf(Number(values.emulated)));
  for (const [rate, lingerMs] of [
    [1_000, 100],
    [1_000, 500],
    [10_000, 100],
  ] as const)
    await rates(rate, lingerMs, Number(values.seconds));
}
