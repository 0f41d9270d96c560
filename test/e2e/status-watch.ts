/** How a job comes along, as `millrace status` would say it: looked at again and again, so that what is committed shows within a fraction of a second. */
import { setTimeout as sleep } from "node:timers/promises";
import { type JobStatus, readStatus } from "../../cli/job-status.ts";
import type { Target } from "../../cli/target/target.ts";

const everyMs = 400;

export interface Look {
  /** Epoch ms, behind the look. */
  readonly at: number;
  readonly status: JobStatus;
}

export class StatusWatch {
  readonly #target: Pick<Target, "job" | "place" | "ports">;
  readonly #onLook: (look: Look) => void;
  #isOver = false;
  #looking: Promise<void> = Promise.resolve();

  constructor(target: Pick<Target, "job" | "place" | "ports">, onLook: (look: Look) => void) {
    this.#target = target;
    this.#onLook = onLook;
  }

  start(): void {
    this.#looking = this.#look();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#looking;
  }

  async #look(): Promise<void> {
    const target = { ...this.#target, runner: async () => undefined } as unknown as Target;
    while (!this.#isOver) {
      // What is refused or cut, as calls of everybody are, is seen at the next look.
      const status = await readStatus(target).catch(() => undefined);
      if (status !== undefined) this.#onLook({ at: Date.now(), status });
      await sleep(everyMs);
    }
  }
}
