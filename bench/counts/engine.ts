/** The counting jobs on the engine: turns of 10,000 records, each committed as bytes, checkpoints on. */
import {
  boundedOutOfOrderness,
  count,
  defineJob,
  type Job,
  type Sink,
  type Source,
  planJob,
  seconds,
  session,
  minutes,
  tumbling,
} from "../../runtime/index.ts";
import type { SourceRecord } from "../../runtime/api/connector.ts";
import { MemoryBlobs } from "../../runtime/adapters/memory/memory-blobs.ts";
import { MemoryJournal } from "../../runtime/adapters/memory/memory-journal.ts";
import { MemoryLog } from "../../runtime/adapters/memory/memory-log.ts";
import { MemoryPages } from "../../runtime/adapters/memory/memory-pages.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import { openLocal } from "../../runtime/adapters/local/open-local.ts";
import { SystemClock } from "../../runtime/adapters/local/system-clock.ts";
import { id, type Position, type ShardId } from "../../runtime/base/ids.ts";
import { decodeValue, encodeValue } from "../../runtime/base/message-pack.ts";
import { Coordinator } from "../../runtime/driver/coordinator.ts";
import { defaultEnvironment, Environment } from "../../runtime/driver/environment.ts";
import { JobRunner } from "../../runtime/driver/job-runner.ts";
import type { LogReader } from "../../runtime/ports/log.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import { fullRange } from "../../runtime/streaming/hash-range.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";
import { Checksum, type Event } from "./events.ts";

const shard = id<ShardId>("events");
const none = new Uint8Array(0);

/** An event as a record that is decoded already. */
class EventRecord implements SourceRecord {
  readonly value: Event;
  readonly index: number;
  readonly partitionKey = "";
  readonly arrivalTime = 0;
  readonly bytes = none;

  constructor(value: Event, index: number) {
    this.value = value;
    this.index = index;
  }

  get position(): string {
    return String(this.index + 1);
  }
}

function eventSource(): Source<Event> {
  return {
    kind: "events",
    name: "events",
    bounded: true,
    options: {},
    decode: (record, target) => target.accept((record as EventRecord).value),
  };
}

/** Reads `repeat` times over the events, each round later by their whole span. */
function eventReader(events: readonly Event[], repeat: number): LogReader {
  const span = Math.ceil((events[events.length - 1]!.at - events[0]!.at) / 60_000 + 1) * 60_000;
  const total = events.length * repeat;
  return {
    shards: async () => [{ id: shard, range: fullRange, parents: [], closed: true }],
    read: async (_stream, _shard, after, limit) => {
      const from = after === "horizon" ? 0 : Number(after);
      const to = Math.min(total, from + limit.records);
      const records: EventRecord[] = [];
      for (let i = from; i < to; i++) {
        const event = events[i % events.length]!;
        const round = Math.floor(i / events.length);
        records.push(new EventRecord(round === 0 ? event : { key: event.key, at: event.at + round * span }, i));
      }
      return { records, next: to === total ? undefined : id<Position>(String(to)), behindMs: 0, gap: false };
    },
  };
}

/** Rows as MessagePack in one payload a commit, as a sink that is cheap to write to would have them. */
export function rowSink(): Sink<Row> {
  let rows: Row[] = [];
  return {
    kind: "rows",
    name: "rows",
    guarantee: "exactlyOnce",
    options: {},
    createWriter: () => ({
      add: (row: Row) => void rows.push(row),
      flush: () => {
        const payloads = rows.length === 0 ? [] : [encodeValue(rows.flat())];
        rows = [];
        return payloads;
      },
      state: () => undefined,
      restore: () => undefined,
    }),
  };
}

type Row = readonly [key: string, start: number, n: number];

export type Kind = "tumbling" | "session";
export const sessionGapMs = 15_000;

export function countJob(kind: Kind, parallelism = 1): Job {
  return defineJob(
    `counts-${kind}`,
    (job) => {
      const events = job
        .source("events", eventSource(), { timestamps: (event) => event.at, watermarks: boundedOutOfOrderness(seconds(2)) })
        .keyBy((event) => event.key);
      const windows =
        kind === "tumbling" ? events.window(tumbling(minutes(1))) : events.window(session(seconds(sessionGapMs / 1_000)));
      windows.aggregate("counts", count(), (key, window, n): Row => [key, window.start, n]).sinkTo("rows", rowSink());
    },
    { parallelism, checkpoints: { interval: seconds(1) } },
  );
}

export interface Outcome {
  readonly checksum: Checksum;
  readonly checkpoints: number;
  readonly peakRssMb: number;
}

export interface RunOptions {
  /** Of the `local` adapter; undefined: memory. */
  readonly directory?: string;
  /** Records per turn. */
  readonly turn?: number;
}

/** Runs the counting job over the events, `repeat` times over. */
export function runCounts(
  kind: Kind,
  events: readonly Event[],
  options: RunOptions & { readonly repeat?: number } = {},
): Promise<Outcome> {
  return runJob(countJob(kind), eventReader(events, options.repeat ?? 1), options);
}

/** Runs a job that writes `Row`s, to its end. */
export async function runJob(job: Job, reader: LogReader, options: RunOptions): Promise<Outcome> {
  const graph = planJob(job);
  const clock = new SystemClock();
  const local = options.directory === undefined ? undefined : await openLocal(options.directory, { job: job.name });
  const log = local?.log ?? new MemoryLog({ clock });
  const checksum = new Checksum();
  let peakRssMb = 0;
  const ports: Ports = {
    log,
    journal: local?.journal ?? new MemoryJournal(),
    pages: local?.pages ?? new MemoryPages(),
    blobs: local?.blobs ?? new MemoryBlobs({ clock }),
    clock,
    telemetry: new MemoryTelemetry(),
    sinks: {
      carryOut: async ({ payload }) => {
        const flat = decodeValue(payload) as (string | number)[];
        for (let i = 0; i < flat.length; i += 3) checksum.add(flat[i] as string, flat[i + 1] as number, flat[i + 2] as number);
      },
      deadLetters: async ({ letters }) => {
        throw new Error(`dead letter: ${letters[0]?.reason}`);
      },
      quarantine: async () => undefined,
    },
    source: () => reader,
  };
  const environment = new Environment(graph, ports, {
    ...defaultEnvironment,
    id: "bench",
    recordsPerTurn: options.turn ?? 10_000,
  });
  const coordinator = new Coordinator(graph, ports, {
    id: "bench",
    deployment: 1,
    safeguards: allSafeguards,
    createStream: (name, shards) => log.createStream(name, shards),
  });
  let checkpoints = 0;
  const runner = new JobRunner(environment, coordinator, clock, {
    pollMs: 50,
    collectEvery: 1,
    events: {
      checkpoint: () => checkpoints++,
      turn: () => {
        peakRssMb = Math.max(peakRssMb, process.memoryUsage.rss() / 2 ** 20);
      },
    },
  });
  await runner.start();
  await runner.run(new AbortController().signal);
  await local?.close();
  return { checksum, checkpoints, peakRssMb };
}
