/** The ports of one simulated process: the shared ones in memory, behind faults. */
import { id, type ShardId, type TaskId } from "../../base/ids.ts";
import type { AppendResult, Log, LogReader, LogRecordToAppend } from "../../ports/log.ts";
import type { Blobs } from "../../ports/blobs.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Journal, JournalTail } from "../../ports/journal.ts";
import type { Pages } from "../../ports/pages.ts";
import type { Ports } from "../../ports/ports.ts";
import type { SinkDriver } from "../../ports/sink-driver.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import type { Faults } from "./faults.ts";
import type { SeededRandom } from "../../base/seeded-random.ts";
import type { SimProcess, SimScheduler } from "./scheduler.ts";

/** What all processes share: exchangeable, so read at every call. */
export interface SharedPorts {
  readonly log: Log;
  readonly journal: Journal;
  readonly pages: Pages;
  readonly blobs: Blobs;
  sinksOf(process: SimProcess): SinkDriver;
  readonly telemetry: Telemetry;
  source(uid: string): LogReader;
}

/** Called when a process has written an entry. */
export type OnWritten = (task: TaskId, seq: number) => void;

export function createPorts(
  process: SimProcess,
  shared: SharedPorts,
  faults: Faults,
  scheduler: SimScheduler,
  random: SeededRandom,
  onWritten: OnWritten = () => undefined,
): Ports {
  const call = <T>(what: string, effect: () => Promise<T>) => faults.call(process, what, effect);
  return {
    log: faultyLog(process, shared, call, faults, random),
    journal: faultyJournal(process, shared, call, faults, random, onWritten),
    pages: faultyPages(shared, call),
    blobs: faultyBlobs(shared, call),
    clock: faultyClock(process, scheduler, call),
    telemetry: shared.telemetry,
    sinks: faultySinks(shared.sinksOf(process), call, faults),
    source: (uid) => faultyReader(() => shared.source(uid), call, faults),
  };
}

type Call = <T>(what: string, effect: () => Promise<T>) => Promise<T>;

function faultyReader(inner: () => LogReader, call: Call, faults: Faults): LogReader {
  return {
    shards: (stream) => call(`shards ${stream}`, () => inner().shards(stream)),
    read: (stream, shard, after, limit) =>
      call(`read ${stream} ${shard.slice(-2)} after ${after}`, async () => {
        const result = await inner().read(stream, shard, after, limit);
        if (result.records.length === 0 || !faults.happens("emptyRead")) return result;
        return { records: [], next: after, behindMs: Math.max(1, result.behindMs), gap: false };
      }),
  };
}

function faultyLog(process: SimProcess, shared: SharedPorts, call: Call, faults: Faults, random: SeededRandom): Log {
  return {
    ...faultyReader(() => shared.log, call, faults),
    append: (stream, records) =>
      call(`append ${stream} ${records.length}`, () => appendInAnyOrder(process, shared.log, stream, records, faults, random)),
  };
}

/** Where a record lands that nobody will read. */
const nobodys = id<ShardId>("nobody's");

/** Some records may be throttled, some land where nobody reads them, and there is no order among the others. */
async function appendInAnyOrder(
  process: SimProcess,
  log: Log,
  stream: string,
  records: readonly LogRecordToAppend[],
  faults: Faults,
  random: SeededRandom,
): Promise<readonly AppendResult[]> {
  const results: AppendResult[] = records.map(() => ({ outcome: "throttled" }));
  const taken = records.map((_, n) => n).filter(() => !faults.happens("throttled"));
  const order = random.shuffled(taken).filter((n) => {
    if (!faults.happens("astray")) return true;
    results[n] = { outcome: "appended", shard: nobodys };
    process.astray = true;
    return false;
  });
  if (order.length === 0) return results;
  const appended = await log.append(
    stream,
    order.map((n) => records[n] as LogRecordToAppend),
  );
  order.forEach((n, place) => (results[n] = appended[place] as AppendResult));
  return results;
}

function faultyJournal(
  process: SimProcess,
  shared: SharedPorts,
  call: Call,
  faults: Faults,
  random: SeededRandom,
  onWritten: OnWritten,
): Journal {
  const { ringSize } = shared.journal;
  const tail = (task: TaskId, after: number | "head") =>
    call(`tail ${task} after ${after}`, () => shared.journal.tail(task, after));
  return {
    ringSize,
    tail: async (task, after) => {
      if (!faults.happens("tornRead")) return tail(task, after);
      const early = await tail(task, after);
      const late = await tail(task, after);
      // The head alone was the head at some time while it was looked for: there is no ring to be torn.
      if (after === "head") return random.chance(0.5) ? early : late;
      return tear(early, late, ringSize, random);
    },
    write: (task, entry) =>
      call(`write ${task} ${entry.seq} as ${entry.attempt}`, async () => {
        const result = await shared.journal.write(task, entry);
        if (result.outcome === "written") onWritten(task, entry.seq);
        if (result.outcome === "written" && faults.happens("commitOnly")) process.alive = false;
        return result;
      }),
    withdraw: (task, names) => call(`withdraw ${task} ${names.join(" ")}`, () => shared.journal.withdraw(task, names)),
    forget: (task) => call(`forget ${task}`, () => shared.journal.forget(task)),
    post: (task, message) => call(`post ${task} ${message.name} ${message.version}`, () => shared.journal.post(task, message)),
  };
}

/** A query reads one item after the other: each slot as it was before, or as it was after what happened meanwhile. Messages are read last. */
function tear(early: JournalTail, late: JournalTail, ringSize: number, random: SeededRandom): JournalTail {
  const readEarly = () => random.chance(0.5);
  const before = slotsOf(early, ringSize);
  const after = slotsOf(late, ringSize);
  const entries: Entry[] = [];
  for (let slot = 0; slot < ringSize; slot++) {
    const entry = (readEarly() ? before : after)[slot];
    if (entry !== undefined) entries.push(entry);
  }
  entries.sort((a, b) => a.seq - b.seq);
  return { entries, messages: late.messages };
}

type Entry = JournalTail["entries"][number];

function slotsOf({ entries }: JournalTail, ringSize: number): readonly (Entry | undefined)[] {
  const slots: (Entry | undefined)[] = [];
  for (const entry of entries) slots[entry.seq % ringSize] = entry;
  return slots;
}

function faultyPages(shared: SharedPorts, call: Call): Pages {
  return {
    get: (ids) => call(`pages.get ${ids.length}`, () => shared.pages.get(ids)),
    put: (page) =>
      call(`pages.put ${page.writer} ${page.operator} ${page.keyGroup} v${page.version}`, () => shared.pages.put(page)),
    list: (writer) => call(`pages.list ${writer}`, () => shared.pages.list(writer)),
    delete: (ids) => call(`pages.delete ${ids.length}`, () => shared.pages.delete(ids)),
  };
}

function faultyBlobs(shared: SharedPorts, call: Call): Blobs {
  return {
    put: (name, bytes, options) => call(`put ${name}`, () => shared.blobs.put(name, bytes, options)),
    get: (name, range) => call(`get ${name}`, () => shared.blobs.get(name, range)),
    list: (prefix, after) => call(`list ${prefix}`, () => shared.blobs.list(prefix, after)),
    delete: (names) => call(`delete ${names.join(" ")}`, () => shared.blobs.delete(names)),
  };
}

function faultyClock(process: SimProcess, scheduler: SimScheduler, call: Call): Clock {
  return {
    now: () => scheduler.now + process.skewMs,
    sleep: (ms) =>
      call(`sleep ${ms}`, async () => {
        scheduler.now += ms;
      }),
    remainingMs: () => process.deadline - scheduler.now,
  };
}

function faultySinks(sinks: SinkDriver, call: Call, faults: Faults): SinkDriver {
  return {
    carryOut: (effect) =>
      call(`sink ${effect.operator} ${effect.task} ${effect.seq}.${effect.n}`, async () => {
        await sinks.carryOut(effect);
        faults.echo(() => sinks.carryOut(effect));
      }),
    deadLetters: (batch) => call(`deadLetters ${batch.task} ${batch.seq}`, () => sinks.deadLetters(batch)),
    quarantine: (operator, restored) =>
      call(`quarantine ${operator} for ${restored.generation}`, () => sinks.quarantine(operator, restored)),
  };
}
