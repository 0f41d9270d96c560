/**
 * Leases: advisory ownership among the processes that use one store, so that they share out a job's tasks and a second process
 * that runs the same job by accident is told so. Correctness never depends on them: the journal's condition decides.
 *
 * E1 A lease ends at its time, by the clock that was passed in; it is free at once when its holder's process on this machine is gone.
 */
import { hostname } from "node:os";
import type { StatementSync } from "node:sqlite";
import { MillraceError } from "../../base/errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Store } from "./store.ts";

/** Who holds a lease, and until when (epoch ms). */
export interface LeaseHolder {
  readonly holder: string;
  readonly pid: number;
  readonly host: string;
  readonly until: number;
}

export interface Leases {
  /** Takes the lease, or makes it last longer if `holder` has it already. */
  acquire(name: string, holder: string, ttlMs: number): Promise<"acquired" | { readonly heldBy: LeaseHolder }>;
  /** Makes the lease last longer; `heldBy` undefined: it has ended and nobody holds it. */
  renew(name: string, holder: string, ttlMs: number): Promise<"renewed" | { readonly heldBy: LeaseHolder | undefined }>;
  /** Gives the lease up; nothing happens when `holder` does not have it. */
  release(name: string, holder: string): Promise<void>;
  /** All leases that are held, by name. */
  held(): Promise<ReadonlyMap<string, LeaseHolder>>;
}

/** The process that this one is, and how it learns whether another still lives. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  isAlive(pid: number): boolean;
}

/** This process, on this machine. */
export const thisProcess: ProcessIdentity = { pid: process.pid, host: hostname(), isAlive };

export class LocalLeases implements Leases {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #process: ProcessIdentity;
  readonly #get: StatementSync;
  readonly #all: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;

  constructor(store: Store, clock: Clock, self: ProcessIdentity = thisProcess) {
    this.#store = store;
    this.#clock = clock;
    this.#process = self;
    this.#get = store.prepare("SELECT holder, pid, host, until FROM leases WHERE name = ?");
    this.#all = store.prepare("SELECT name, holder, pid, host, until FROM leases ORDER BY name");
    this.#put = store.prepare("INSERT OR REPLACE INTO leases (name, holder, pid, host, until) VALUES (?, ?, ?, ?, ?)");
    this.#delete = store.prepare("DELETE FROM leases WHERE name = ? AND holder = ?");
  }

  acquire(name: string, holder: string, ttlMs: number): Promise<"acquired" | { readonly heldBy: LeaseHolder }> {
    return this.#store.write(() => {
      const current = this.#holder(name);
      if (current !== undefined && current.holder !== holder) return { heldBy: current };
      this.#put.run(name, holder, this.#process.pid, this.#process.host, this.#clock.now() + ttlMs);
      return "acquired";
    });
  }

  renew(name: string, holder: string, ttlMs: number): Promise<"renewed" | { readonly heldBy: LeaseHolder | undefined }> {
    return this.#store.write(() => {
      const current = this.#holder(name);
      if (current?.holder !== holder) return { heldBy: current };
      this.#put.run(name, holder, this.#process.pid, this.#process.host, this.#clock.now() + ttlMs);
      return "renewed";
    });
  }

  release(name: string, holder: string): Promise<void> {
    return this.#store.write(() => void this.#delete.run(name, holder));
  }

  held(): Promise<ReadonlyMap<string, LeaseHolder>> {
    return this.#store.read(() => {
      const rows = this.#all.all() as unknown as (LeaseHolder & { name: string })[];
      return new Map(rows.filter((row) => this.#isHeld(row)).map((row) => [row.name, holderOf(row)]));
    });
  }

  #holder(name: string): LeaseHolder | undefined {
    const row = this.#get.get(name) as unknown as LeaseHolder | undefined;
    return row !== undefined && this.#isHeld(row) ? holderOf(row) : undefined;
  }

  #isHeld(lease: LeaseHolder): boolean {
    if (lease.until <= this.#clock.now()) return false;
    return lease.host !== this.#process.host || lease.pid === this.#process.pid || this.#process.isAlive(lease.pid);
  }
}

/** The error for whoever starts a job that another process runs already on the same directory. */
export function alreadyRunning(job: string, directory: string, heldBy: LeaseHolder): MillraceError {
  const who = `process ${heldBy.pid} on ${heldBy.host}`;
  return new MillraceError(
    "fenced",
    `another process runs this job on this directory, stop it or choose another directory: ${job}, ${directory}, ${who}`,
  );
}

function holderOf({ holder, pid, host, until }: LeaseHolder): LeaseHolder {
  return { holder, pid, host, until };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of another user may not be signalled, but it lives.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
