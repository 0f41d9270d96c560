/**
 * Carries out requests of simulated processes to simulated services in virtual time, with the faults of a mix: before and after the
 * effect of every request.
 *
 * F1 An effect is one moment: nothing happens in the midst of it, but of reads that are torn.
 * F2 A process that is dead gets no answer; what it had sent may still have its effect.
 * F3 How long a request and its answer take is drawn, and with it who comes first of those that are under way.
 */
import type { SeededRandom } from "../../runtime/base/seeded-random.ts";
import type { Trace } from "../../runtime/testing/simulation/trace.ts";
import type { Clock } from "../clock.ts";
import {
  type DeploymentFault,
  type DeploymentFaultCounts,
  type DeploymentFaults,
  noDeploymentFaultCounts,
} from "./deployment-faults.ts";
import { never, type SimulatedProcess } from "./simulated-process.ts";

/** In the order in which a number in [0, 1) picks one. */
const requestFaults = [
  "crashBefore",
  "crashAfter",
  "throttled",
  "lostRequest",
  "lostResponse",
  "lateEffect",
  "frozenBefore",
  "frozenAfter",
  "slow",
] as const satisfies readonly DeploymentFault[];

/** After so long the SDK gives a request up. */
const answerMsMax = 15_000;
/** How late an effect comes at most, and how long a process stands still. */
const lateMsMax = 120_000;
const frozenMsMax = 240_000;

/** A request as it came back: its answer, or what kept it from having one. */
export type Answer<T> = { readonly answer: Promise<T> } | { readonly failed: "throttled" | "unanswered" };

export class ServiceCalls {
  mix: DeploymentFaults;
  readonly counts: DeploymentFaultCounts = noDeploymentFaultCounts();
  requests = 0;
  /** What came of faults and of all else, by name: to show that it happens. */
  readonly seen = new Map<string, number>();
  /** Those that happened, by the number at which each came up. */
  readonly happened: number[] = [];
  /** Virtual time from which on nothing is late any more. */
  latestAt = 0;
  /** How many have come up, those included that were left out. */
  #occurrences = 0;
  readonly #only: ReadonlySet<number> | undefined;
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  readonly #trace: Trace;

  /** `only`: the only faults that may happen, by number; the others are drawn, and left out. */
  constructor(clock: Clock, random: SeededRandom, trace: Trace, mix: DeploymentFaults, only?: readonly number[]) {
    this.#only = only && new Set(only);
    this.#clock = clock;
    this.#random = random;
    this.#trace = trace;
    this.mix = mix;
  }

  /** Whether a fault that is not of a single request happens now. */
  happens(fault: DeploymentFault): boolean {
    if (this.mix[fault] === 0 || !this.#random.chance(this.mix[fault]) || !this.#takesPlace(fault)) return false;
    this.#trace.add(this.#clock.now(), "world", "has a fault", fault);
    return true;
  }

  saw(what: string, times = 1): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + times);
  }

  note(process: SimulatedProcess, what: string): void {
    this.#trace.add(this.#clock.now(), process.name, what);
  }

  /** One request. `ms`: how long it takes, there and back, normally. */
  async request<T>(process: SimulatedProcess, what: string, ms: number, effect: () => Promise<T>): Promise<Answer<T>> {
    if (!process.alive) return never();
    this.requests++;
    const fault = this.#draw();
    if (fault !== undefined) this.#sawFault(fault, process, what);
    if (process.busyMs > 0) await this.sleep(process, 0);
    if (fault === "frozenBefore") await this.#freeze(process);
    if (fault === "lateEffect") return this.#giveUp(process, what, effect);
    // What a process has sent does not die with it.
    const isOnItsWay = this.#random.chance(0.5);
    await this.#clock.sleep(this.#part(ms));
    if (!process.alive && !isOnItsWay) return never();
    this.#trace.add(this.#clock.now(), process.name, what, fault);
    if (fault === "crashBefore") process.die();
    if (fault === "crashBefore") return never();
    if (fault === "throttled") return { failed: "throttled" };
    if (fault === "lostRequest") return this.#unanswered(process);
    const answer = effect();
    answer.catch(() => undefined);
    await answer.catch(() => undefined);
    if (fault === "crashAfter") process.die();
    if (fault === "lostResponse") return this.#unanswered(process);
    if (fault === "frozenAfter") await this.#freeze(process);
    await this.sleep(process, fault === "slow" ? this.#random.between(100, 4_000) : this.#part(ms));
    return { answer };
  }

  /** Waits as a process does: longer while it stands still, and for ever when it is dead. */
  async sleep(process: SimulatedProcess, ms: number, signal?: AbortSignal): Promise<void> {
    const waitMs = ms + process.busyMs;
    process.busyMs = 0;
    await this.#clock.sleep(waitMs, signal);
    while (process.alive && process.frozenUntil > this.#clock.now())
      await this.#clock.sleep(process.frozenUntil - this.#clock.now());
    if (!process.alive) return never();
  }

  /** What has had its effect has it again some time: nobody waits for it. */
  echo(effect: () => Promise<unknown>): void {
    if (this.happens("echo")) this.later(effect);
  }

  /** Some time in the next minutes. */
  later(effect: () => Promise<unknown>): void {
    const after = this.#random.int(lateMsMax);
    this.latestAt = Math.max(this.latestAt, this.#clock.now() + after);
    void this.#clock
      .sleep(after)
      .then(effect, () => undefined)
      .catch(() => undefined);
  }

  #draw(): (typeof requestFaults)[number] | undefined {
    let left = this.#random.next();
    for (const fault of requestFaults) {
      left -= this.mix[fault];
      if (left >= 0) continue;
      return this.#takesPlace(fault) ? fault : undefined;
    }
    return undefined;
  }

  #sawFault(fault: (typeof requestFaults)[number], { name }: SimulatedProcess, what: string): void {
    const dies = fault === "crashBefore" || fault === "crashAfter";
    if (dies && name.includes("-coordinator#")) this.saw("coordinatorsDied");
    if (dies && name.startsWith("operator#")) this.saw("commandsDied");
    const isLate = fault === "lostResponse" || fault === "lateEffect";
    if (isLate && what.startsWith("PutObject")) this.saw("putsTimedOut");
  }

  #takesPlace(fault: DeploymentFault): boolean {
    const occurrence = this.#occurrences++;
    if (this.#only?.has(occurrence) === false) return false;
    this.happened.push(occurrence);
    this.counts[fault]++;
    return true;
  }

  #part(ms: number): number {
    return 1 + this.#random.int(ms);
  }

  async #freeze(process: SimulatedProcess): Promise<void> {
    const longest = this.#random.chance(0.5) ? frozenMsMax : 20_000;
    process.frozenUntil = this.#clock.now() + this.#random.between(500, longest);
    this.latestAt = Math.max(this.latestAt, process.frozenUntil);
    this.note(process, `stands still until ${process.frozenUntil}`);
    await this.sleep(process, 0);
  }

  async #giveUp<T>(process: SimulatedProcess, what: string, effect: () => Promise<T>): Promise<Answer<T>> {
    this.later(async () => {
      this.note(process, `${what} (lateEffect)`);
      await effect();
    });
    return this.#unanswered(process);
  }

  async #unanswered(process: SimulatedProcess): Promise<{ readonly failed: "unanswered" }> {
    await this.sleep(process, this.#random.chance(0.7) ? this.#random.between(5, 200) : answerMsMax);
    return { failed: "unanswered" };
  }
}
