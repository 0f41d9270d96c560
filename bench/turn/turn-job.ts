/** The count over a Kinesis stream, run turn by turn as a function is rung by its mapping: records in, the bytes of a commit out. */
import { MemoryBlobs } from "../../runtime/adapters/memory/memory-blobs.ts";
import { MemoryJournal } from "../../runtime/adapters/memory/memory-journal.ts";
import { MemoryLog } from "../../runtime/adapters/memory/memory-log.ts";
import { MemoryPages } from "../../runtime/adapters/memory/memory-pages.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import { ManualClock } from "../../runtime/adapters/memory/manual-clock.ts";
import { type PackedReader, UnpackedSource } from "../../runtime/adapters/aws/unpacked-source.ts";
import { id, type ShardId } from "../../runtime/base/ids.ts";
import { Coordinator } from "../../runtime/driver/coordinator.ts";
import { Environment } from "../../runtime/driver/environment.ts";
import { defaultEnvironment } from "../../runtime/driver/environment-options.ts";
import type { PayloadOptions } from "../../runtime/driver/journal-entry.ts";
import {
  boundedOutOfOrderness,
  count,
  defineJob,
  json,
  kinesis,
  minutes,
  planJob,
  seconds,
  tumbling,
  type,
} from "../../runtime/index.ts";
import type { SourceRecord } from "../../runtime/api/connector.ts";
import type { Journal } from "../../runtime/ports/journal.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import { fullRange } from "../../runtime/streaming/hash-range.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";
import { Checksum, type Event } from "../counts/events.ts";
import { KeptRows, type Row, rowSink } from "../counts/row-sink.ts";

const stream = "events";
const shard = id<ShardId>("shardId-000000000000");

const job = defineJob("turns", (job) => {
  job
    .source("events", kinesis({ stream, format: json(type<Event>()) }), {
      timestamps: (event) => event.at,
      watermarks: boundedOutOfOrderness(seconds(2)),
    })
    .keyBy((event) => event.key)
    .window(tumbling(minutes(1)))
    .aggregate("counts", count(), (key, window, n): Row => [key, window.start, n])
    .sinkTo("rows", rowSink());
});

/** Nothing is ever there but what the mapping brings. */
const nothingMore: PackedReader = {
  shards: async () => [{ id: shard, range: fullRange, parents: [], closed: false }],
  read: async (_stream, _shard, after) => ({ records: [], next: after, behindMs: 0, gap: false }),
  close: async () => undefined,
};

export interface TurnFunction {
  /** One turn. */
  take(records: readonly SourceRecord[]): Promise<void>;
  /** Reads back what the sink was given since: no part of what is measured. */
  readBack(): Checksum;
  readonly commitBytes: number;
}

/** A job that has run for so long that a batch is not looked for in the stream (L3). `payload`: how entries are stored. */
export async function openTurns(payload: PayloadOptions): Promise<TurnFunction> {
  const graph = planJob(job);
  const clock = new ManualClock({ now: Date.UTC(2026, 0, 1) });
  const telemetry = new MemoryTelemetry();
  const source = new UnpackedSource(nothingMore, telemetry);
  const journal = new MemoryJournal();
  const checksum = new Checksum();
  const rows = new KeptRows();
  let commitBytes = 0;
  const counted: Journal = {
    ringSize: journal.ringSize,
    tail: (task, after) => journal.tail(task, after),
    write: (task, entry) => {
      commitBytes += entry.bytes.length;
      return journal.write(task, entry);
    },
    post: (task, message) => journal.post(task, message),
    withdraw: (task, names) => journal.withdraw(task, names),
    forget: (task) => journal.forget(task),
  };
  const ports: Ports = {
    log: new MemoryLog({ clock }),
    journal: counted,
    pages: new MemoryPages(),
    blobs: new MemoryBlobs({ clock }),
    clock,
    telemetry,
    sinks: rows,
    source: () => source,
  };
  const environment = new Environment(graph, ports, { ...defaultEnvironment, id: "bench", payload });
  const options = { id: "bench", deployment: 1, safeguards: allSafeguards, createStream: async () => undefined };
  const coordinator = new Coordinator(graph, ports, options);
  await coordinator.start();
  clock.advance(defaultEnvironment.invocationMsMax + 1);
  return {
    readBack: () => rows.readBack(checksum),
    get commitBytes() {
      return commitBytes;
    },
    take: async (records) => {
      const unpacked = await source.unpack(stream, shard, records);
      const outcome = await environment.turn({ kind: "records", source: "events", shard, records: unpacked });
      if (outcome.outcome !== "done" || outcome.records !== records.length)
        throw new Error(`a turn was not done: ${JSON.stringify(outcome)}`);
      clock.advance(1_000);
    },
  };
}
