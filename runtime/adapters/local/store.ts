/**
 * The embedded store: one SQLite file in a directory, used by any number of processes of one machine at once.
 *
 * Owns: the connection, transactions, waiting for other processes. Does not own: what the tables mean.
 *
 * S1 A write is acknowledged after its transaction is committed: it survives the death of the process at any moment. With
 *    durability "power" it survives that of the machine too; with "process" a power loss may take back the last writes, all
 *    together and in their order, so that what is left is a consistent earlier moment.
 * S2 There is no await between BEGIN and COMMIT, so transactions of one process never mix.
 * S3 Writes that are asked for in the same round of the event loop share one transaction, hence one flush to the disk. When it
 *    fails, each is tried alone, so that only the one to blame fails. A write may therefore run more than once: it changes nothing
 *    but the store.
 */
import { setTimeout as wait } from "node:timers/promises";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { messageOf, MillraceError } from "../../base/errors.ts";
import { loadSqlite } from "./load-sqlite.ts";
import { isBusy, storeError } from "./store-error.ts";
import { checkFormat, createTables, type Identity, prepareNew, readIdentity, readPageSize } from "./store-schema.ts";

/** What an acknowledged write survives: the death of the process, or that of the machine too. */
export type Durability = "process" | "power";

export interface StoreOptions {
  readonly durability: Durability;
  /** How long a call waits for other processes before it throws `unavailable`. */
  readonly busyTimeoutMs: number;
  /** The size that the file may reach; `unavailable` beyond it. */
  readonly maxBytes?: number | undefined;
}

interface PendingWrite {
  readonly run: () => unknown;
  readonly resolve: (value: any) => void;
  readonly reject: (error: MillraceError) => void;
}

/** How long SQLite itself waits for a lock, with the event loop standing still; beyond it we wait without. */
const blockingWaitMs = 20;
const retryWaitMs = 2;
/** The write-ahead log goes into the file when it has reached about 32 MB: by measurement, docs/decisions/embedded-store.md. */
const checkpointPages = 4000;

export class Store {
  readonly path: string;
  readonly #database: DatabaseSync;
  readonly #busyTimeoutMs: number;
  readonly #begin: StatementSync;
  readonly #beginWrite: StatementSync;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;
  #pending: PendingWrite[] = [];
  #flushing: Promise<void> | undefined;
  #closed = false;

  private constructor(database: DatabaseSync, path: string, busyTimeoutMs: number) {
    this.#database = database;
    this.path = path;
    this.#busyTimeoutMs = busyTimeoutMs;
    this.#begin = database.prepare("BEGIN");
    this.#beginWrite = database.prepare("BEGIN IMMEDIATE");
    this.#commit = database.prepare("COMMIT");
    this.#rollback = database.prepare("ROLLBACK");
  }

  /**
   * Opens the file at `path`, creating it with `identity` if there is none. Throws `invalid` for a file that is not ours, newer,
   * or not to be written; `corrupt` for a damaged one; `unavailable` for a full disk or a lock that is not given up.
   */
  static async open(path: string, identity: Identity, options: StoreOptions): Promise<Store> {
    let database: DatabaseSync | undefined;
    try {
      database = new (loadSqlite().DatabaseSync)(path);
      const opened = database;
      opened.exec(`PRAGMA busy_timeout = ${blockingWaitMs}`);
      await untilFree(() => configure(opened, path, options), options.busyTimeoutMs);
      const store = new Store(opened, path, options.busyTimeoutMs);
      await store.write(() => {
        if (checkFormat(opened, path) === "new") createTables(opened, identity);
      });
      return store;
    } catch (error) {
      closeQuietly(database);
      throw storeError(error, path);
    }
  }

  /** Throws `corrupt`. */
  identity(): Promise<Identity> {
    return this.read(() => readIdentity(this.#database, this.path));
  }

  /** To be called once per statement, not per call. */
  prepare(sql: string): StatementSync {
    return this.#database.prepare(sql);
  }

  /** Runs `run` on one consistent view of the store. */
  async read<T>(run: () => T): Promise<T> {
    this.#checkOpen();
    try {
      return await untilFree(() => this.#inTransaction(this.#begin, run), this.#busyTimeoutMs);
    } catch (error) {
      throw storeError(error, this.path);
    }
  }

  /** Runs `run` in a transaction that no other writer overlaps. `run` reads and writes the store and nothing else (S3). */
  async write<T>(run: () => T): Promise<T> {
    this.#checkOpen();
    return new Promise<T>((resolve, reject) => {
      this.#pending.push({ run, resolve, reject });
      this.#flushing ??= new Promise<void>((flushed) => setImmediate(() => void this.#flush().then(flushed)));
    });
  }

  /** Finishes what was asked for, then closes. Calls after it throw `invalid`. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#flushing;
    this.#database.close();
  }

  async #flush(): Promise<void> {
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      await this.#commitTogether(batch);
      // Who was just answered asks for its next write now, before the next transaction begins.
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#flushing = undefined;
  }

  async #commitTogether(batch: readonly PendingWrite[]): Promise<void> {
    try {
      const runAll = () => batch.map(({ run }) => run());
      const values = await untilFree(() => this.#inTransaction(this.#beginWrite, runAll), this.#busyTimeoutMs);
      for (const [n, write] of batch.entries()) write.resolve(values[n]);
    } catch (error) {
      const othersMayFit = batch.length > 1 && !isBusy(error);
      for (const write of batch) {
        if (othersMayFit) await this.#commitTogether([write]);
        else write.reject(storeError(error, this.path));
      }
    }
  }

  #inTransaction<T>(begin: StatementSync, run: () => T): T {
    begin.run();
    try {
      const value = run();
      this.#commit.run();
      return value;
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  #rollBack(): void {
    try {
      this.#rollback.run();
    } catch (error) {
      // SQLite has rolled back by itself after errors such as a full disk; there is nothing left to do then.
      if (!/no transaction is active/.test(messageOf(error))) throw error;
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new MillraceError("invalid", `the store has been closed: ${this.path}`);
  }
}

function configure(database: DatabaseSync, path: string, options: StoreOptions): void {
  if (checkFormat(database, path) === "new") prepareNew(database);
  database.exec("PRAGMA journal_mode = WAL");
  database.exec(`PRAGMA synchronous = ${options.durability === "power" ? "FULL" : "NORMAL"}`);
  // On macOS a plain fsync leaves the bytes in the drive's cache.
  database.exec(`PRAGMA fullfsync = ${options.durability === "power" ? 1 : 0}`);
  database.exec(`PRAGMA wal_autocheckpoint = ${checkpointPages}`);
  if (options.maxBytes !== undefined) {
    database.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(options.maxBytes / readPageSize(database)))}`);
  }
}

/** Runs `run` again while another process holds the lock, up to a time. */
async function untilFree<T>(run: () => T, timeoutMs: number): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return run();
    } catch (error) {
      if (!isBusy(error) || performance.now() >= deadline) throw error;
    }
    await wait(retryWaitMs);
  }
}

function closeQuietly(database: DatabaseSync | undefined): void {
  try {
    database?.close();
  } catch {
    // The error that led here says more.
  }
}
