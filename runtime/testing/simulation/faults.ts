/**
 * Carries out port calls of simulated processes, with the faults of a mix: before and after the effect of every call.
 *
 * F1 A call of a dead process has no effect and no answer.
 */
import { MillraceError } from "../../base/errors.ts";
import { type Fault, type FaultCounts, type FaultMix, noCounts } from "./fault-mix.ts";
import type { SeededRandom } from "../../base/seeded-random.ts";
import { SimProcess, type SimScheduler } from "./scheduler.ts";
import type { Trace } from "./trace.ts";

/** In the order in which a number in [0, 1) picks one. */
const callFaults = [
  "crashBefore",
  "crashAfter",
  "refused",
  "lostResponse",
  "zombieBefore",
  "zombieAfter",
  "slow",
] as const satisfies readonly Fault[];

/** How long a zombie sleeps, in steps. */
const zombieStepsMax = 900;

function ignore(): void {
  // The answer goes to nobody.
}

export class Faults {
  mix: FaultMix;
  readonly counts: FaultCounts = noCounts();
  /** How many have come up, those included that were left out. */
  occurrences = 0;
  /** Those that happened, by number, as they came up. */
  readonly happened: number[] = [];
  /** The only ones that may happen, by number; undefined: all. The others are drawn, and left out. */
  private readonly only: ReadonlySet<number> | undefined;
  private readonly scheduler: SimScheduler;
  private readonly random: SeededRandom;
  private readonly trace: Trace;

  constructor(
    scheduler: SimScheduler,
    random: SeededRandom,
    trace: Trace,
    mix: FaultMix,
    only: readonly number[] | undefined = undefined,
  ) {
    this.only = only && new Set(only);
    this.scheduler = scheduler;
    this.random = random;
    this.trace = trace;
    this.mix = mix;
  }

  /** Whether a fault that is not of a single call happens now. */
  happens(fault: Fault): boolean {
    const { mix } = this;
    if (mix[fault] === 0 || !this.random.chance(mix[fault]) || !this.takesPlace(fault)) return false;
    this.trace.add(this.scheduler.steps, "world", "has a fault", fault);
    return true;
  }

  private takesPlace(fault: Fault): boolean {
    const occurrence = this.occurrences++;
    if (this.only !== undefined && !this.only.has(occurrence)) return false;
    this.happened.push(occurrence);
    this.counts[fault]++;
    return true;
  }

  /** One port call: waits for its turn, then has its effect and its answer, or what the mix makes of them. */
  call<T>(process: SimProcess, what: string, effect: () => Promise<T>): Promise<T> {
    if (!process.alive) return new Promise<T>(ignore);
    return new Promise<T>((resolve, reject) => {
      this.scheduler.wait(process, () => {
        const fault = this.draw();
        this.trace.add(this.scheduler.steps, process.name, what, fault);
        this.carryOut(process, fault, effect, resolve, reject);
      });
    });
  }

  private draw(): (typeof callFaults)[number] | undefined {
    let left = this.random.next();
    for (const fault of callFaults) {
      left -= this.mix[fault];
      if (left >= 0) continue;
      return this.takesPlace(fault) ? fault : undefined;
    }
    return undefined;
  }

  private carryOut<T>(
    process: SimProcess,
    fault: (typeof callFaults)[number] | undefined,
    effect: () => Promise<T>,
    resolve: (result: Promise<T>) => void,
    reject: (error: unknown) => void,
  ): void {
    const { scheduler } = this;
    const done = () => {
      const result = effect();
      result.catch(ignore);
      return result;
    };
    const unavailable = (why: string) => reject(new MillraceError("unavailable", `simulated: ${why}`));
    switch (fault) {
      case undefined:
        return resolve(effect());
      case "crashBefore":
        process.alive = false;
        return;
      case "crashAfter":
        done();
        process.alive = false;
        return;
      case "refused":
        return unavailable("refused");
      case "lostResponse":
        done();
        return unavailable("response lost");
      case "zombieBefore":
        return scheduler.freeze(process, this.zombieSteps(), () => resolve(effect()));
      case "zombieAfter": {
        const result = done();
        return scheduler.freeze(process, this.zombieSteps(), () => resolve(result));
      }
      case "slow": {
        const result = done();
        return scheduler.wait(process, () => resolve(result));
      }
    }
  }

  /** What has had its effect has it again some time: nobody waits for it. */
  echo(effect: () => Promise<void>): void {
    if (!this.happens("echo")) return;
    this.scheduler.freeze(new SimProcess("echo"), this.zombieSteps(), () => effect().catch(ignore));
  }

  private zombieSteps(): number {
    return this.random.between(20, this.random.chance(0.5) ? zombieStepsMax : 120);
  }
}
