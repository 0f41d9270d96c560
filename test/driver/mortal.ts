/** Environments that die: what would kill a process (memory, time, an exit) ends one life, and no port answers it any more. */
import { Environment } from "../../runtime/driver/environment.ts";
import { defaultEnvironment, type EnvironmentOptions } from "../../runtime/driver/environment-options.ts";
import type { Doorbell, TurnOutcome } from "../../runtime/driver/doorbell.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import type { RunningHarness } from "../../runtime/testing/harness.ts";

/** One environment's life. */
class Life {
  ended = false;
  readonly end: Promise<"died">;
  #die!: (died: "died") => void;

  constructor() {
    this.end = new Promise((resolve) => (this.#die = resolve));
  }

  die(): void {
    this.ended = true;
    this.#die("died");
  }

  /** The ports as this life sees them: after it, no call has an effect or an answer. */
  around(ports: Ports): Ports {
    const mortal = (port: object): any =>
      new Proxy(port, {
        get: (target, name) => {
          const member = (target as any)[name];
          if (typeof member !== "function") return member;
          return (...args: unknown[]) => (this.ended ? new Promise(() => {}) : member.apply(target, args));
        },
      });
    const { log, journal, pages, blobs, sinks } = ports;
    return {
      ...ports,
      log: mortal(log),
      journal: mortal(journal),
      pages: mortal(pages),
      blobs: mortal(blobs),
      sinks: mortal(sinks),
      source: (uid) => mortal(ports.source(uid)),
    };
  }
}

/** Environments one after the other, each until it dies. */
export class Mortals {
  deaths = 0;
  readonly posts: string[] = [];
  private readonly options: Partial<EnvironmentOptions>;
  private life = new Life();
  private environment: Environment | undefined;

  constructor(options: Partial<EnvironmentOptions> = {}) {
    this.options = options;
  }

  /** Called by the job's own functions: the process that runs them is gone. */
  die(): never {
    this.life.die();
    throw new Error("seen by nobody");
  }

  /** The environment that lives. */
  current(run: RunningHarness): Environment {
    if (this.environment !== undefined) return this.environment;
    this.life = new Life();
    const ports = this.life.around(run.ports);
    const options = { ...defaultEnvironment, ...this.options, id: `life-${this.deaths}` };
    this.environment = new Environment(run.graph, ports, options);
    return this.environment;
  }

  /** The next turn is another environment's. */
  replace(): void {
    this.environment = undefined;
  }

  async turn(run: RunningHarness, bell: Doorbell): Promise<TurnOutcome | "died"> {
    const outcome = await Promise.race([this.current(run).turn(bell), this.life.end]);
    if (outcome === "died") {
      this.deaths++;
      this.replace();
    }
    return outcome;
  }

  /** Rings until a turn has nothing more to do, over as many lives as it takes. */
  async ring(run: RunningHarness, bell: Doorbell, deathsMax = 100): Promise<void> {
    while (this.deaths <= deathsMax) {
      const outcome = await this.turn(run, bell);
      if (outcome === "died") continue;
      if (outcome.outcome !== "done") throw new Error(`not done: ${outcome.outcome}`);
      if (outcome.commits === 0) return;
    }
    throw new Error(`died ${this.deaths} times`);
  }
}
