/**
 * Measures what an embedded store must do for the local adapter: per turn one conditional write to a ring and some appends to a
 * log, with a read of the tail at every tenth turn; and the adapters themselves, in memory and local, with the same work. Decided
 * docs/decisions/embedded-store.md.
 *
 *   node bench/embedded-store.ts [--modules <folder with node_modules>] [--seconds 3] [--processes 1,2,4] [--stores "memory;local/process;…"]
 *
 * node:sqlite needs nothing; better-sqlite3 and lmdb are measured when `--modules` names a folder in which they are installed.
 * Not measured: power loss, other file systems, Windows and macOS.
 */
import { fork } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { ProvisionedLog } from "../runtime/adapters/log-provisioning.ts";
import { openLocal } from "../runtime/adapters/local/open-local.ts";
import { MemoryJournal } from "../runtime/adapters/memory/memory-journal.ts";
import { MemoryLog } from "../runtime/adapters/memory/memory-log.ts";
import { id, type AttemptId, type Position, type TaskId } from "../runtime/base/ids.ts";
import type { Journal } from "../runtime/ports/journal.ts";

interface Store {
  write(task: string, seq: number, bytes: Uint8Array): boolean | Promise<boolean>;
  append(shard: string, records: readonly Uint8Array[]): void | Promise<void>;
  tail(task: string, after: number): number | Promise<number>;
  close(): void | Promise<void>;
}

interface Plan {
  readonly store: string;
  readonly directory: string;
  readonly modules: string;
  readonly entryBytes: number;
  readonly appendBytes: number;
  readonly appends: number;
  readonly seconds: number;
  readonly worker: number;
}

interface Outcome {
  readonly turns: number;
  readonly ms: number;
  readonly latencies: readonly number[];
}

const ringSize = 128;
/** Records kept per shard, as trimming leaves them. */
const kept = 200;

/** Both SQLite bindings have the calls that are used here. */
interface SqliteDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): { run(...values: unknown[]): unknown; get(...values: unknown[]): any; all(...values: unknown[]): any[] };
  close(): void;
}

const sqliteVariants: Readonly<Record<string, readonly string[]>> = {
  off: ["synchronous=OFF"],
  normal: ["synchronous=NORMAL"],
  "normal,wal64": ["synchronous=NORMAL", "wal_autocheckpoint=16000"],
  "normal,8k,wal32": ["page_size=8192", "synchronous=NORMAL", "wal_autocheckpoint=4000"],
  "normal,16k,wal64": ["page_size=16384", "synchronous=NORMAL", "wal_autocheckpoint=4000"],
  full: ["synchronous=FULL"],
  "full,8k,wal32": ["page_size=8192", "synchronous=FULL", "wal_autocheckpoint=4000"],
};

function openSqlite(database: SqliteDatabase, variant: string): Store {
  database.exec("PRAGMA busy_timeout=20000");
  const pragmas = sqliteVariants[variant]!;
  for (const pragma of pragmas) database.exec(`PRAGMA ${pragma}`);
  database.exec("PRAGMA journal_mode=WAL");
  database.exec(
    "CREATE TABLE IF NOT EXISTS entries (task TEXT, slot INTEGER, seq INTEGER, bytes BLOB, PRIMARY KEY (task, slot))",
  );
  database.exec("CREATE TABLE IF NOT EXISTS records (shard TEXT, position INTEGER, bytes BLOB, PRIMARY KEY (shard, position))");
  const held = database.prepare("SELECT seq FROM entries WHERE task = ? AND slot = ?");
  const put = database.prepare(
    "INSERT INTO entries VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq, bytes = excluded.bytes",
  );
  const last = database.prepare("SELECT max(position) AS position FROM records WHERE shard = ?");
  const insert = database.prepare("INSERT INTO records VALUES (?, ?, ?)");
  const trim = database.prepare("DELETE FROM records WHERE shard = ? AND position <= ?");
  const tail = database.prepare("SELECT seq, bytes FROM entries WHERE task = ? AND seq > ? ORDER BY seq");
  const begin = database.prepare("BEGIN IMMEDIATE");
  const commit = database.prepare("COMMIT");
  return {
    write(task, seq, bytes) {
      begin.run();
      const slot = held.get(task, seq % ringSize);
      const free = slot === undefined ? seq <= ringSize : slot.seq === seq - ringSize;
      if (free) put.run(task, seq % ringSize, seq, bytes);
      commit.run();
      return free;
    },
    append(shard, records) {
      begin.run();
      let position = last.get(shard).position ?? 0;
      for (const bytes of records) insert.run(shard, ++position, bytes);
      trim.run(shard, position - kept);
      commit.run();
    },
    tail: (task, after) => tail.all(task, after).length,
    close: () => database.close(),
  };
}

function openLmdb(modules: string, directory: string, variant: string): Store {
  const { open } = createRequire(join(modules, "index.js"))("lmdb");
  const environment = open({
    path: join(directory, "lmdb"),
    noSync: variant === "off",
    overlappingSync: false,
    mapSize: 2 ** 33,
  });
  const entries = environment.openDB({ name: "entries", encoding: "binary" });
  const seqs = environment.openDB({ name: "seqs" });
  const records = environment.openDB({ name: "records", encoding: "binary" });
  const ends = environment.openDB({ name: "ends" });
  return {
    write: (task, seq, bytes) =>
      environment.transaction(() => {
        const slot = [task, seq % ringSize];
        const held = seqs.get(slot);
        if (held === undefined ? seq > ringSize : held !== seq - ringSize) return false;
        seqs.put(slot, seq);
        entries.put(slot, bytes);
        return true;
      }),
    append: (shard, added) =>
      environment.transaction(() => {
        let position = ends.get(shard) ?? 0;
        for (const bytes of added) {
          records.put([shard, ++position], bytes);
          records.remove([shard, position - kept]);
        }
        ends.put(shard, position);
      }),
    tail(task, after) {
      let found = 0;
      for (const { key, value } of seqs.getRange({ start: [task, 0], end: [task, ringSize] })) {
        if (value > after && entries.getBinary(key) !== undefined) found += 1;
      }
      return found;
    },
    close: () => environment.close(),
  };
}

/** The same work through the ports. Each worker has a stream of its own with one shard. */
async function openPorts(
  ports: { journal: Journal; log: ProvisionedLog; close(): Promise<void> },
  worker: number,
): Promise<Store> {
  const stream = `inbox ${worker}`;
  await ports.log.createStream(stream, 1);
  const shard = (await ports.log.shards(stream))[0]!.id;
  let position = 0;
  return {
    async write(task, seq, bytes) {
      const entry = { seq, attempt: id<AttemptId>(`${worker}/${seq}`), bytes };
      return (await ports.journal.write(id<TaskId>(task), entry)).outcome === "written";
    },
    async append(_, records) {
      await ports.log.append(
        stream,
        records.map((bytes) => ({ hashKey: 0n, bytes })),
      );
      position += records.length;
      if (position > kept) await ports.log.trim(stream, shard, id<Position>(String(position - kept)));
    },
    tail: async (task, after) => (await ports.journal.tail(id<TaskId>(task), after)).entries.length,
    close: () => ports.close(),
  };
}

function openStore(plan: Plan): Store | Promise<Store> {
  const [name, variant = "normal"] = plan.store.split("/") as [string, string?];
  if (name === "memory")
    return openPorts({ journal: new MemoryJournal(), log: new MemoryLog(), close: async () => {} }, plan.worker);
  if (name === "local") return openLocalPorts(plan, variant as "process" | "power");
  const file = join(plan.directory, "store.sqlite");
  const load = createRequire(join(plan.modules, "index.js"));
  if (name === "node:sqlite") return openSqlite(new (load("node:sqlite").DatabaseSync)(file), variant);
  if (name === "better-sqlite3") return openSqlite(new (load("better-sqlite3"))(file), variant);
  return openLmdb(plan.modules, plan.directory, variant);
}

async function openLocalPorts(plan: Plan, durability: "process" | "power"): Promise<Store> {
  return openPorts(await openLocal(plan.directory, { job: "bench", durability }), plan.worker);
}

async function work(plan: Plan): Promise<Outcome> {
  const store = await openStore(plan);
  const entry = new Uint8Array(plan.entryBytes).fill(7);
  const batch = Array.from({ length: plan.appends }, () => new Uint8Array(plan.appendBytes).fill(9));
  const latencies: number[] = [];
  const from = performance.now();
  const until = from + plan.seconds * 1000;
  let seq = 0;
  for (let now = from; now < until;) {
    seq += 1;
    if (!(await store.write(`task ${plan.worker}`, seq, entry))) throw new Error(`lost entry ${seq}`);
    await store.append(`shard ${plan.worker}`, batch);
    if (seq % 10 === 0) await store.tail(`task ${plan.worker}`, seq - 10);
    const after = performance.now();
    latencies.push(after - now);
    now = after;
  }
  const ms = performance.now() - from;
  await store.close();
  return { turns: seq, ms, latencies };
}

function inChild(plan: Plan): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = fork(import.meta.filename, ["--plan", JSON.stringify(plan)]);
    child.once("message", (outcome) => resolve(outcome as Outcome));
    child.once("exit", (code) => code !== 0 && reject(new Error(`worker ended with ${code}: ${plan.store}`)));
  });
}

async function measure(plan: Omit<Plan, "directory" | "worker">, processes: number): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "embedded-store-"));
  try {
    const outcomes = await Promise.all(Array.from({ length: processes }, (_, worker) => inChild({ ...plan, directory, worker })));
    const turnsPerSecond = outcomes.reduce((sum, { turns, ms }) => sum + (turns * 1000) / ms, 0);
    const latencies = outcomes.flatMap((outcome) => outcome.latencies).sort((a, b) => a - b);
    const at = (share: number) => latencies[Math.ceil((latencies.length - 1) * share)]!.toFixed(2).padStart(7);
    const mb = (turnsPerSecond * (plan.entryBytes + plan.appends * plan.appendBytes)) / 1e6;
    const onDisk = readdirSync(directory, { recursive: true, encoding: "utf8" }).reduce(
      (sum, name) => sum + statSync(join(directory, name)).size / 1e6,
      0,
    );
    const figures = [
      turnsPerSecond.toFixed(0).padStart(7),
      mb.toFixed(0).padStart(6),
      at(0.5),
      at(0.99),
      at(1),
      onDisk.toFixed(0).padStart(6),
    ];
    return `${plan.store.padEnd(30)} ${String(processes).padStart(5)} ${figures.join(" ")}`;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      plan: { type: "string" },
      modules: { type: "string" },
      seconds: { type: "string", default: "3" },
      processes: { type: "string", default: "1,2,4" },
      stores: { type: "string" },
    },
  });
  if (values.plan !== undefined) {
    process.send!(await work(JSON.parse(values.plan) as Plan), () => process.disconnect());
    return;
  }
  const adapters = ["memory", "local/process", "local/power"];
  const own = Object.keys(sqliteVariants).map((variant) => `node:sqlite/${variant}`);
  const others = ["better-sqlite3/normal", "better-sqlite3/full", "lmdb/off", "lmdb/normal"];
  const stores =
    values.stores?.split(";") ?? (values.modules === undefined ? [...adapters, ...own] : [...adapters, ...own, ...others]);
  for (const [entryBytes, appends, appendBytes] of [
    [5_000, 1, 10_000],
    [50_000, 3, 50_000],
    [100_000, 2, 50_000],
    [300_000, 4, 200_000],
  ] as const) {
    console.log(`\nentry ${entryBytes / 1000} kB, ${appends} x ${appendBytes / 1000} kB appended`);
    console.log(`${"store".padEnd(30)} procs turns/s   MB/s  p50 ms  p99 ms  max ms    MB`);
    for (const store of stores) {
      for (const processes of store === "memory" ? [1] : values.processes.split(",").map(Number)) {
        const plan = { store, modules: values.modules ?? import.meta.dirname, entryBytes, appends, appendBytes };
        console.log(await measure({ ...plan, seconds: Number(values.seconds) }, processes));
      }
    }
  }
}

await main();
