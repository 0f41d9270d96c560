/** The counting jobs on the engine: turns of at most 10,000 records, each committed as bytes, checkpoints on. */
import {
  boundedOutOfOrderness,
  count,
  defineJob,
  hours,
  type Job,
  millis,
  minutes,
  planJob,
  seconds,
  session,
  sliding,
  type Source,
  type TimeWindow,
  tumbling,
  type WindowAssigner,
} from "../../runtime/index.ts";
import { MemoryBlobs } from "../../runtime/adapters/memory/memory-blobs.ts";
import { MemoryJournal } from "../../runtime/adapters/memory/memory-journal.ts";
import { MemoryLog } from "../../runtime/adapters/memory/memory-log.ts";
import { MemoryPages } from "../../runtime/adapters/memory/memory-pages.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import { openLocal } from "../../runtime/adapters/local/open-local.ts";
import { Coordinator } from "../../runtime/driver/coordinator.ts";
import { Environment } from "../../runtime/driver/environment.ts";
import { defaultEnvironment } from "../../runtime/driver/environment-options.ts";
import { JobRunner } from "../../runtime/driver/job-runner.ts";
import type { LogReader } from "../../runtime/ports/log.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";
import { EventReader, eventSource } from "./event-source.ts";
import { Checksum, type Event } from "./events.ts";
import { KeptRows, type Row, rowSink } from "./row-sink.ts";
import { TurnClock, turnMs } from "./turn-clock.ts";

/** "scattered": sessions of events that are out of order by up to an hour. */
export type Kind = "tumbling" | "session" | "scattered" | "sliding" | "lateness";

export const recordsPerTurn = 10_000;
export const turnsPerCheckpoint = 50;
export const sessionGapMs = 15_000;

function assignerOf(kind: Kind): WindowAssigner<Event, TimeWindow> {
  if (kind === "session" || kind === "scattered") return session(millis(sessionGapMs));
  return kind === "sliding" ? sliding(minutes(1), seconds(1)) : tumbling(minutes(1));
}

function countJob(kind: Kind, source: Source<Event>): Job {
  return defineJob(
    `counts-${kind}`,
    (job) => {
      const watermarks = boundedOutOfOrderness(kind === "scattered" ? hours(1) : seconds(2));
      const events = job.source("events", source, { timestamps: (event) => event.at, watermarks }).keyBy((event) => event.key);
      const windows = events.window(assignerOf(kind)).allowedLateness(kind === "lateness" ? minutes(5) : millis(0));
      windows.aggregate("counts", count(), (key, window, n): Row => [key, window.start, n]).sinkTo("rows", rowSink());
    },
    { checkpoints: { interval: millis(turnsPerCheckpoint * turnMs) } },
  );
}

export interface Input {
  readonly source: Source<Event>;
  readonly reader: LogReader;
}

export interface Outcome {
  /** Of the rows that the sink was given, read back when it is asked for: that is no part of what is measured. */
  readonly checksum: Checksum;
  readonly checkpoints: number;
  readonly commits: number;
}

/** The events as they are, read once. */
export function inputOf(events: Iterable<Event>): Input {
  return { source: eventSource(), reader: new EventReader(events) };
}

/** Runs the job over the input on `memory`, or on a `local` directory. */
export async function runCounts(kind: Kind, input: Input, directory?: string): Promise<Outcome> {
  const job = countJob(kind, input.source);
  const graph = planJob(job);
  const clock = new TurnClock();
  const local = directory === undefined ? undefined : await openLocal(directory, { job: job.name });
  const log = local?.log ?? new MemoryLog({ clock });
  const rows = new KeptRows();
  const ports: Ports = {
    log,
    journal: local?.journal ?? new MemoryJournal(),
    pages: local?.pages ?? new MemoryPages(),
    blobs: local?.blobs ?? new MemoryBlobs({ clock }),
    clock,
    telemetry: new MemoryTelemetry(),
    sinks: rows,
    source: () => input.reader,
  };
  const environment = new Environment(graph, ports, { ...defaultEnvironment, id: "bench", recordsPerTurn });
  const coordinator = new Coordinator(graph, ports, {
    id: "bench",
    deployment: 1,
    safeguards: allSafeguards,
    createStream: (name, shards) => log.createStream(name, shards),
  });
  const checksum = new Checksum();
  let checkpoints = 0;
  let commits = 0;
  const runner = new JobRunner(environment, coordinator, clock, {
    pollMs: turnMs,
    collectEvery: 1,
    events: {
      checkpoint: () => checkpoints++,
      turn: (_task, _records, written) => {
        commits += written;
        clock.advance();
      },
    },
  });
  await runner.start();
  await runner.run(new AbortController().signal);
  await local?.close();
  return {
    checkpoints,
    commits,
    get checksum() {
      return rows.readBack(checksum);
    },
  };
}
