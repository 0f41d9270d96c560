/**
 * Keeps this process's leases on a local job alive: the whole job's, or, when several processes share it, those of the tasks that
 * it rings. Advice only: the journal's condition decides (leases.ts).
 *
 * H1 Whoever runs the whole job excludes those who share it, and the other way round.
 * H2 Of n processes that share a job, none keeps more than its share of the tasks for longer than a look takes.
 */
import { alreadyRunning, type LeaseHolder, type Leases } from "../runtime/adapters/local/leases.ts";
import type { TaskId } from "../runtime/base/ids.ts";

const ttlMs = 10_000;
const lookEveryMs = 1_000;
const wholeJob = "job";
const memberPrefix = "member/";
const taskPrefix = "task/";

export interface LeaseKeeperOptions {
  readonly leases: Leases;
  readonly job: string;
  readonly directory: string;
  /** Tells processes apart. */
  readonly holder: string;
  readonly share: boolean;
}

export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #owned = new Set<TaskId>();
  #members = 1;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #lost: Error | undefined;

  private constructor(options: LeaseKeeperOptions) {
    this.#options = options;
  }

  /** Throws `fenced` when another process runs the job on this directory and does not share it. */
  static async take(options: LeaseKeeperOptions): Promise<LeaseKeeper> {
    const keeper = new LeaseKeeper(options);
    await keeper.#takeFirst();
    keeper.#timer = setInterval(() => (keeper.#looking = keeper.#looking.then(() => keeper.#renew())), lookEveryMs);
    keeper.#timer.unref();
    return keeper;
  }

  /** Whether this process may ring the task now. Throws `fenced` once another has taken over the job. */
  async owns(task: TaskId, tasks: number): Promise<boolean> {
    if (this.#lost !== undefined) throw this.#lost;
    if (!this.#options.share || this.#owned.has(task)) return true;
    if (this.#owned.size >= Math.ceil(tasks / this.#members)) return false;
    const taken = await this.#acquire(taskPrefix + task);
    if (taken === "acquired") this.#owned.add(task);
    return taken === "acquired";
  }

  /** Gives up what is above this process's share; to be called between turns. */
  async level(tasks: number): Promise<void> {
    const share = Math.ceil(tasks / this.#members);
    for (const task of [...this.#owned].slice(share)) await this.#give(task);
  }

  async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
    const { leases, holder, share } = this.#options;
    for (const task of this.#owned) await this.#give(task);
    await leases.release(share ? memberPrefix + holder : wholeJob, holder);
  }

  async #takeFirst(): Promise<void> {
    const { leases, job, directory, share, holder } = this.#options;
    const taken = await this.#acquire(share ? memberPrefix + holder : wholeJob);
    if (taken !== "acquired") throw alreadyRunning(job, directory, taken.heldBy);
    const others = [...(await leases.held())].filter(([name, lease]) => lease.holder !== holder && this.#excludes(name));
    if (others.length === 0) return;
    await this.release();
    throw alreadyRunning(job, directory, others[0]![1]);
  }

  #excludes(lease: string): boolean {
    return this.#options.share ? lease === wholeJob : lease.startsWith(memberPrefix);
  }

  #acquire(name: string): Promise<"acquired" | { readonly heldBy: LeaseHolder }> {
    return this.#options.leases.acquire(name, this.#options.holder, ttlMs);
  }

  async #give(task: TaskId): Promise<void> {
    this.#owned.delete(task);
    await this.#options.leases.release(taskPrefix + task, this.#options.holder);
  }

  /** A look at the leases: an error waits for the next ringing, which then knows that another has taken over. */
  async #renew(): Promise<void> {
    try {
      const { share, holder, leases, job, directory } = this.#options;
      const taken = await this.#acquire(share ? memberPrefix + holder : wholeJob);
      if (taken !== "acquired") this.#lost = alreadyRunning(job, directory, taken.heldBy);
      for (const task of this.#owned) if ((await this.#acquire(taskPrefix + task)) !== "acquired") this.#owned.delete(task);
      if (share) this.#members = [...(await leases.held()).keys()].filter((name) => name.startsWith(memberPrefix)).length || 1;
    } catch {
      // A store that does not answer shows in the turns as well, which say so.
    }
  }
}
