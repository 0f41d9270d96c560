/**
 * How fast our Kinesis server takes records in and gives them out: records of 1 KB through AWS's SDK, 500 to a put, four puts and
 * four readers at once, the server in a process of its own and without throttling.
 *
 *     node bench/kinesis.ts [--megabytes 64] [--log memory|local] [--http 1|2]
 *
 * The client is a part of what is measured: it encodes, signs and decodes in JavaScript too. Not measured: latency, large records.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  CreateStreamCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  PutRecordsCommand,
} from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { startKinesis } from "../emulator/kinesis/index.ts";
import { openLocal } from "../runtime/adapters/local/open-local.ts";
import { SystemClock } from "../runtime/adapters/local/system-clock.ts";
import { MemoryLog } from "../runtime/adapters/memory/memory-log.ts";

const StreamName = "bench";
const shards = 4;
const aimMegabytesPerSecond = 10;
const recordBytes = 1000;
const recordsPerPut = 500;
const putsAtOnce = 4;

const { values } = parseArgs({
  options: {
    megabytes: { type: "string", default: "64" },
    log: { type: "string" },
    http: { type: "string" },
    serve: { type: "string" },
  },
});

/** Prints to the parent where it listens; ends with it. */
async function serve(kind: string): Promise<void> {
  const clock = new SystemClock();
  const log = kind === "memory" ? new MemoryLog({ clock }) : (await openLocal(kind, { job: "bench", clock })).log;
  const { endpoint } = await startKinesis({ log, clock, limits: "off" });
  process.send!(endpoint);
  process.on("disconnect", () => process.exit());
}

async function measure(kind: "memory" | "local", http: 1 | 2): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  const server = fork(import.meta.filename, ["--serve", kind === "memory" ? kind : directory]);
  try {
    const [endpoint] = (await once(server, "message")) as [string];
    const client = clientOf(endpoint, http);
    await client.send(new CreateStreamCommand({ StreamName, ShardCount: shards }));
    const puts = Math.ceil((Number(values.megabytes) * 1e6) / (recordBytes * recordsPerPut));
    await putAll(client, 4);
    const [put, got] = [await rateOf(() => putAll(client, puts)), await rateOf(() => getAll(client))];
    console.log(
      `${kind.padEnd(8)}HTTP/${http === 1 ? "1.1" : "2  "}  put ${put.padStart(6)} MB/s, get ${got.padStart(6)} MB/s (aim ≥ ${aimMegabytesPerSecond})`,
    );
    client.destroy();
  } finally {
    await end(server);
    rmSync(directory, { recursive: true });
  }
}

function clientOf(endpoint: string, http: 1 | 2): KinesisClient {
  const credentials = { accessKeyId: "bench", secretAccessKey: "bench" };
  const handler = http === 1 ? { requestHandler: new NodeHttpHandler() } : {};
  return new KinesisClient({ endpoint, region: "us-east-1", credentials, ...handler });
}

async function putAll(client: KinesisClient, puts: number): Promise<number> {
  const Data = new Uint8Array(recordBytes).map((_, n) => n * 31);
  let begun = 0;
  const writers = Array.from({ length: putsAtOnce }, async () => {
    while (begun < puts) {
      const put = begun++;
      const Records = Array.from({ length: recordsPerPut }, (_, n) => ({ Data, PartitionKey: `${put}/${n}` }));
      const { FailedRecordCount } = await client.send(new PutRecordsCommand({ StreamName, Records }));
      if (FailedRecordCount !== 0) throw new Error(`records refused: ${FailedRecordCount}`);
    }
  });
  await Promise.all(writers);
  return puts * recordsPerPut * recordBytes;
}

async function getAll(client: KinesisClient): Promise<number> {
  const readers = Array.from({ length: shards }, async (_, n) => {
    const shard = { StreamName, ShardId: `shardId-${String(n).padStart(12, "0")}` };
    const start = await client.send(new GetShardIteratorCommand({ ...shard, ShardIteratorType: "TRIM_HORIZON" }));
    let [iterator, bytes, behind] = [start.ShardIterator, 0, 1];
    while (behind > 0) {
      const output = await client.send(new GetRecordsCommand({ ShardIterator: iterator, Limit: 4000 }));
      for (const { Data } of output.Records!) bytes += Data!.length;
      [iterator, behind] = [output.NextShardIterator, output.MillisBehindLatest!];
    }
    return bytes;
  });
  return (await Promise.all(readers)).reduce((sum, bytes) => sum + bytes, 0);
}

async function rateOf(run: () => Promise<number>): Promise<string> {
  const from = performance.now();
  const bytes = await run();
  return (bytes / 1e3 / (performance.now() - from)).toFixed(1);
}

async function end(server: ChildProcess): Promise<void> {
  const ended = once(server, "exit");
  server.disconnect();
  await ended;
}

if (values.serve !== undefined) await serve(values.serve);
else {
  for (const kind of ["memory", "local"] as const) {
    for (const http of [1, 2] as const) {
      if ((values.log ?? kind) === kind && Number(values.http ?? http) === http) await measure(kind, http);
    }
  }
}
