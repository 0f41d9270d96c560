/**
 * The ports on an embedded store in a directory: a job on one machine, in one process or several, that survives being killed at
 * any moment.
 *
 * D1 A directory belongs to one job and remembers its name, the format's version and the size of its rings.
 * D2 The directory lies on a disk of this machine, not on a network file system: processes share memory through it.
 */
import { mkdir } from "node:fs/promises";
import { existsSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { MillraceError } from "../../base/errors.ts";
import type { Blobs } from "../../ports/blobs.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Journal } from "../../ports/journal.ts";
import type { Pages } from "../../ports/pages.ts";
import { defaultMaxRecordBytes, defaultRingSize } from "../limits.ts";
import type { EmbeddedLog } from "../log-provisioning.ts";
import { type Leases, LocalLeases } from "./leases.ts";
import { LocalBlobs } from "./local-blobs.ts";
import { LocalJournal } from "./local-journal.ts";
import { LocalLog } from "./local-log.ts";
import { LocalPages } from "./local-pages.ts";
import { type Durability, Store } from "./store.ts";
import { storeError } from "./store-error.ts";
import { SystemClock } from "./system-clock.ts";

/** In the directory. */
export const storeFile = "store.sqlite";

/** Where a job keeps its data unless told otherwise. */
export const defaultDirectory = ".millrace";

export interface LocalOptions {
  /** The job's name: a directory belongs to one job. Without it, the directory must be there, and whose it is stands in `LocalPorts.job`. */
  readonly job?: string;
  /**
   * What an acknowledged write survives. Default "process": the death of the process at any moment; a power loss may take back the
   * last writes, all together, to a consistent earlier moment. "power": a power loss too, at the price of a disk flush per write.
   */
  readonly durability?: Durability;
  /** Slots per task's ring, default 128. Fixed when the directory is created. */
  readonly ringSize?: number;
  /** Default 1 MiB, as in Kinesis. */
  readonly maxRecordBytes?: number;
  /** The size that the store may reach; writes beyond it throw `unavailable`. Without it, the disk's. */
  readonly maxBytes?: number;
  /** How long a call waits for other processes before it throws `unavailable`; default 10,000. */
  readonly busyTimeoutMs?: number;
  readonly clock?: Clock;
}

export interface LocalPorts {
  readonly job: string;
  readonly directory: string;
  readonly log: EmbeddedLog;
  readonly journal: Journal;
  readonly pages: Pages;
  readonly blobs: Blobs;
  readonly clock: Clock;
  readonly leases: Leases;
  /** Finishes what was asked for, then closes. Calls after it throw `invalid`. */
  close(): Promise<void>;
}

/**
 * Opens the directory, creating it if there is none. Throws `invalid` for a directory of another job, of a newer version, a path
 * that is a file or no permission; `corrupt` for a damaged store; `unavailable` for a full disk or a lock that is not given up.
 */
export async function openLocal(directory: string, options: LocalOptions = {}): Promise<LocalPorts> {
  const clock = options.clock ?? new SystemClock();
  const path = join(directory, storeFile);
  if (options.job === undefined && !existsSync(path))
    throw new MillraceError("invalid", `no job has kept its state in this directory: ${directory}`);
  await createDirectory(directory);
  const store = await Store.open(
    path,
    { job: options.job ?? "", ringSize: options.ringSize ?? defaultRingSize },
    { durability: options.durability ?? "process", busyTimeoutMs: options.busyTimeoutMs ?? 10_000, maxBytes: options.maxBytes },
  );
  try {
    const { job, ringSize } = await checkIdentity(store, directory, options);
    return {
      job,
      directory,
      log: new LocalLog(store, clock, options.maxRecordBytes ?? defaultMaxRecordBytes),
      journal: new LocalJournal(store, ringSize),
      pages: new LocalPages(store),
      blobs: new LocalBlobs(store, clock),
      clock,
      leases: new LocalLeases(store, clock),
      close: () => store.close(),
    };
  } catch (error) {
    await store.close();
    throw storeError(error, store.path);
  }
}

async function createDirectory(directory: string): Promise<void> {
  try {
    await makeDirectories(resolve(directory));
  } catch (error) {
    throw storeError(error, directory);
  }
}

/** Step by step: Node's own recursion never ends where a file system takes no new names, such as `/proc`. */
async function makeDirectories(directory: string): Promise<void> {
  const parent = dirname(directory);
  if (directory !== parent && !existsSync(parent)) await makeDirectories(parent);
  try {
    await mkdir(directory);
  } catch (error) {
    if (!(existsSync(directory) && statSync(directory).isDirectory())) throw error;
  }
}

async function checkIdentity(store: Store, directory: string, options: LocalOptions) {
  const { job, ringSize } = await store.identity();
  if (options.job !== undefined && job !== options.job) {
    const advice = "the directory belongs to another job, choose another or delete it to begin afresh";
    throw new MillraceError("invalid", `${advice}: ${directory}, of ${job}, opened for ${options.job}`);
  }
  if (options.ringSize !== undefined && options.ringSize !== ringSize) {
    const advice = "the ring size is fixed when the directory is created";
    throw new MillraceError("invalid", `${advice}: ${directory}, ${ringSize}, asked for ${options.ringSize}`);
  }
  return { job, ringSize };
}
