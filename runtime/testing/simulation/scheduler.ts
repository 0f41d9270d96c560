/**
 * Owns all concurrency of a simulation: whatever waits, waits here, and one at a time goes on, chosen at random.
 *
 * S1 Nothing runs but what was chosen; between two choices everything that follows from the first has run.
 * S2 What belongs to a dead process never goes on.
 */
import type { SeededRandom } from "../../base/seeded-random.ts";

/** A process: an environment or a coordinator, until it dies. */
export class SimProcess {
  readonly name: string;
  alive = true;
  /** Until this step it stands still: the world has given it up, but it will go on. */
  frozenUntil = 0;
  /** Virtual time at which its turn must be over. */
  deadline = Infinity;
  /** How wrong its clock is, virtual ms. */
  skewMs = 0;
  /** The step at which its turn began. */
  rungAt = 0;
  /** A frame of its turn has landed in a shard of nobody: it is to say so. */
  astray = false;

  constructor(name: string) {
    this.name = name;
  }
}

interface Waiting {
  readonly process: SimProcess;
  readonly run: () => void;
}

export class SimScheduler {
  steps = 0;
  /** Epoch ms, virtual. */
  now = 1_000_000;
  /** How often a step takes a while. */
  pace = 1;
  private readonly random: SeededRandom;
  /** Whose code runs, since the last choice. */
  running: SimProcess | undefined;
  private ready: Waiting[] = [];
  private frozen: Waiting[] = [];

  constructor(random: SeededRandom) {
    this.random = random;
  }

  wait(process: SimProcess, run: () => void): void {
    this.ready.push({ process, run });
  }

  /** Lets it wait for so many steps, whatever the others do. */
  freeze(process: SimProcess, steps: number, run: () => void): void {
    process.frozenUntil = this.steps + steps;
    this.frozen.push({ process, run });
  }

  isFrozen(process: SimProcess): boolean {
    return process.alive && process.frozenUntil > this.steps;
  }

  /** Whether anything can go on now. */
  get idle(): boolean {
    return this.ready.length === 0;
  }

  get sleepers(): number {
    return this.frozen.length;
  }

  /** Wakes zombies whose time has come, or all. */
  thaw(all: boolean): void {
    if (this.frozen.length === 0) return;
    if (all) for (const { process } of this.frozen) process.frozenUntil = 0;
    const due = this.frozen.filter(({ process }) => !this.isFrozen(process));
    if (due.length === 0) return;
    this.frozen = this.frozen.filter(({ process }) => this.isFrozen(process));
    this.ready.push(...due);
  }

  /** Lets one go on; false when none can. */
  step(): boolean {
    this.steps++;
    if (this.random.chance(this.pace)) this.now += this.random.int(3);
    this.thaw(false);
    while (this.ready.length > 0) {
      const at = this.random.int(this.ready.length);
      const chosen = this.ready[at] as Waiting;
      const last = this.ready.pop() as Waiting;
      if (at < this.ready.length) this.ready[at] = last;
      if (!chosen.process.alive) continue;
      if (this.isFrozen(chosen.process)) {
        this.frozen.push(chosen);
        continue;
      }
      this.running = chosen.process;
      chosen.run();
      return true;
    }
    return false;
  }

  /** Nothing goes on for a while: zombies' time passes too. */
  pass(ms: number, pace = this.pace): void {
    if (!this.random.chance(Math.max(pace, this.pace))) return;
    this.now += ms;
    this.steps += ms;
    this.thaw(false);
  }

  /** Everything that follows from what has run, has run: the ports are in memory, so all of it is promises that are kept. */
  settle(): Promise<void> {
    return new Promise<void>((resolve) => process.nextTick(resolve));
  }

  /** The same where what has run is not ours alone, and may wait for the event loop. */
  settleOutside(): Promise<void> {
    return new Promise<void>((resolve) => setImmediate(resolve));
  }
}
