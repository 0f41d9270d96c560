/**
 * The example as the kill test runs it: with a trace of what it reads, and with places where it ends itself as `kill -9` would.
 * Everything stands around the ports; the job, the engine and the example are those that users run.
 */
import { writeSync, openSync } from "node:fs";
import { main } from "../../examples/pageviews/main.ts";
import type { BlobName } from "../../runtime/base/ids.ts";
import { loadCommit, storeCommit } from "../../runtime/driver/journal-entry.ts";
import type { Journal } from "../../runtime/ports/journal.ts";
import type { LogReader } from "../../runtime/ports/log.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import { jobRing } from "../../runtime/snapshots/names.ts";
import { type ChildOrder, checkpointPlaces, readEnough, type TraceLine } from "./orders.ts";

const order = JSON.parse(process.env.MILLRACE_KILL_ORDER!) as ChildOrder;
const trace = openSync(order.trace, "a");
/** Once it has read enough: so often while it waits to be killed, and so often to come by a place that is not of a checkpoint. */
const readsMore = { anywhere: 4, atPlace: 20 };
/** Then it reads no more, however late its end comes. A checkpoint comes in its own time, and what is left is read after it. */
const readsMax = order.afterReads + readsMoreAt(order.place);
/** When it is to be killed. */
const saysSoAt = order.place === "anywhere" ? order.afterReads : readsMax;
let reads = 0;
const plain = { inlineBytesMax: Infinity, compressFromBytes: Infinity };

function write(line: TraceLine): void {
  writeSync(trace, `${JSON.stringify(line)}\n`);
}

/** Ends the process here and now, when it has read enough and this is the place. */
function dieAt(place: ChildOrder["place"]): void {
  if (order.place !== place || reads < order.afterReads) return;
  write({ died: place });
  process.kill(process.pid, "SIGKILL");
}

function around(ports: Ports): Ports {
  const { blobs, log, sinks } = ports;
  const readers = new Map<string, LogReader>();
  return {
    ...ports,
    journal: aroundJournal(ports),
    blobs: {
      get: (name, range) => blobs.get(name, range),
      list: (prefix, after) => blobs.list(prefix, after),
      delete: (names) => blobs.delete(names),
      put: async (name: BlobName, bytes, options) => {
        dieAt(name.startsWith("manifests/") ? "beforeManifest" : "beforeSegment");
        const result = await blobs.put(name, bytes, options);
        dieAt(name.startsWith("manifests/") ? "afterManifest" : "afterSegment");
        return result;
      },
    },
    log: {
      shards: (stream) => log.shards(stream),
      read: (...args) => log.read(...args),
      append: async (stream, records) => {
        const result = await log.append(stream, records);
        dieAt("amongEffects");
        return result;
      },
    },
    sinks: {
      deadLetters: (batch) => sinks.deadLetters(batch),
      quarantine: (operator, restored) => sinks.quarantine(operator, restored),
      carryOut: async (effect) => {
        await sinks.carryOut(effect);
        dieAt("amongEffects");
      },
    },
    source: (uid) => {
      const reader = readers.get(uid) ?? traced(ports.source(uid));
      readers.set(uid, reader);
      return reader;
    },
  };
}

function aroundJournal({ journal, blobs }: Ports): Journal {
  return {
    ringSize: journal.ringSize,
    tail: async (task, after) => {
      const tail = await journal.tail(task, after);
      if (order.replay || task === jobRing) return tail;
      const entries = tail.entries.map(async (entry) => {
        const commit = await loadCommit(task, entry, blobs);
        return { seq: entry.seq, bytes: await storeCommit({ ...commit, rows: [] }, blobs, plain) };
      });
      return { ...tail, entries: await Promise.all(entries) };
    },
    write: async (task, entry) => {
      const result = await journal.write(task, entry);
      if (task === jobRing) dieAt("afterJobRecord");
      else if ((await loadCommit(task, entry, blobs)).effects.length > 0) dieAt("beforeEffects");
      return result;
    },
    withdraw: (task, names) => journal.withdraw(task, names),
    forget: (task) => journal.forget(task),
    post: async (task, message) => {
      const result = await journal.post(task, message);
      if (message.name.startsWith("ack/")) dieAt("afterAcknowledgement");
      return result;
    },
  };
}

function traced(reader: LogReader): LogReader {
  return {
    shards: (stream) => reader.shards(stream),
    read: async (stream, shard, after, limit) => {
      if (reads >= readsMax) return { records: [], next: after, behindMs: 1, gap: false };
      const result = await reader.read(stream, shard, after, {
        ...limit,
        records: Math.min(limit.records, order.recordsPerRead),
      });
      const last = result.records.at(-1);
      if (last !== undefined) countRead({ read: Number(last.position), records: result.records.length });
      return result;
    },
  };
}

function readsMoreAt(place: ChildOrder["place"]): number {
  if (checkpointPlaces.includes(place)) return 0;
  return place === "anywhere" ? readsMore.anywhere : readsMore.atPlace;
}

function countRead(line: TraceLine): void {
  write(line);
  reads++;
  if (reads === saysSoAt && !checkpointPlaces.includes(order.place)) writeSync(1, `${readEnough}\n`);
}

process.exitCode = await main(process.argv.slice(2), { around });
