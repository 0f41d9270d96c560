/**
 * The environments of one function: makes them, hands a free one at random to each invocation, and ends them.
 *
 * P1 An environment has one invocation at a time.
 * P2 No more invocations run at once than the reserved concurrency; a zombie is none, since its invocation is over.
 * P3 At its deadline an invocation has failed, whatever its environment does. The environment gets no other invocation and goes on as a
 *    zombie for a while, with effects that come after the failure was reported.
 * P4 With one seed, one clock and one order of invocations the same environments are chosen.
 *
 * Lambda promises no affinity: which warm environment gets an invocation, when one is added and when one is ended is its own affair.
 * Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html, …/lambda-concurrency.html
 */
import { MillraceError, messageOf } from "../../runtime/base/errors.ts";
import type { Clock } from "../clock.ts";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { randomUuid } from "../random-uuid.ts";
import type {
  ExecutionEnvironment,
  ExecutionEnvironmentFactory,
  FunctionInvoker,
  InvocationResult,
} from "./execution-environment.ts";

export interface EnvironmentPoolOptions {
  readonly factory: ExecutionEnvironmentFactory;
  readonly clock: Clock;
  /** The function's time-out, 1 s to 900 s. */
  readonly timeoutMs: number;
  /** Default 1,000: an account's. */
  readonly reservedConcurrency?: number;
  /** Default 1. */
  readonly seed?: number;
  /** That a new environment is made although one is free; default 0. */
  readonly coldStartChance?: number;
  /** That an environment is ended after an invocation, as Lambda does in its own time; default 0. */
  readonly recycleChance?: number;
  /** How long a zombie goes on at most after its deadline; each draws its time. Default 0: it is stopped at once. */
  readonly zombieMsMax?: number;
}

/** What a pool has done so far. */
export interface PoolCounts {
  invocations: number;
  coldStarts: number;
  throttles: number;
  failures: number;
  timeouts: number;
  /** That still run. */
  zombies: number;
  recycled: number;
}

export class EnvironmentPool implements FunctionInvoker {
  readonly #options: Required<EnvironmentPoolOptions>;
  readonly #random: SeededRandom;
  readonly #counts: PoolCounts = {
    invocations: 0,
    coldStarts: 0,
    throttles: 0,
    failures: 0,
    timeouts: 0,
    zombies: 0,
    recycled: 0,
  };
  readonly #free: ExecutionEnvironment[] = [];
  readonly #zombies = new Set<ExecutionEnvironment>();
  readonly #busy = new Set<ExecutionEnvironment>();
  readonly #stopping = new AbortController();
  #isRetired = false;
  #running = 0;

  constructor(options: EnvironmentPoolOptions) {
    if (options.timeoutMs < 1 || options.timeoutMs > 900_000) {
      throw new MillraceError("invalid", `a function's time-out is at most 900 s: ${options.timeoutMs} ms`);
    }
    this.#options = { reservedConcurrency: 1_000, seed: 1, coldStartChance: 0, recycleChance: 0, zombieMsMax: 0, ...options };
    this.#random = new SeededRandom(this.#options.seed);
  }

  get counts(): Readonly<PoolCounts> {
    return { ...this.#counts, zombies: this.#zombies.size };
  }

  async invoke(payload: Uint8Array): Promise<InvocationResult | { readonly outcome: "throttled" }> {
    if (this.#stopping.signal.aborted) throw new MillraceError("internal", "the pool of environments is stopped");
    if (this.#running >= this.#options.reservedConcurrency) {
      this.#counts.throttles++;
      return { outcome: "throttled" };
    }
    this.#running++;
    this.#counts.invocations++;
    try {
      const result = await this.#invoke(randomUuid(this.#random), payload);
      if (result.outcome === "failed") this.#counts.failures++;
      return result;
    } finally {
      this.#running--;
    }
  }

  /** Ends free environments now and busy ones after their invocation: other code has taken over. */
  async retire(): Promise<void> {
    this.#isRetired = true;
    await Promise.all(this.#free.splice(0).map((environment) => environment.stop()));
  }

  /** Ends all environments, zombies too. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const all = [...this.#free.splice(0), ...this.#busy, ...this.#zombies];
    await Promise.all(all.map((environment) => environment.stop()));
  }

  async #invoke(requestId: string, payload: Uint8Array): Promise<InvocationResult> {
    let environment: ExecutionEnvironment;
    try {
      environment = this.#takeFree() ?? (await this.#start());
    } catch (error) {
      return failed("exit", "Runtime.ExitError", `RequestId: ${requestId} Error: ${messageOf(error)}`);
    }
    this.#busy.add(environment);
    // The time of an invocation begins when its environment is ready: starting one has time of its own.
    const { clock, timeoutMs } = this.#options;
    const running = environment.invoke({ requestId, payload, deadline: clock.now() + timeoutMs });
    const result = await this.#byDeadline(environment, running);
    if (result !== "late") {
      if (result.outcome === "failed" && result.cause === "timeout") this.#counts.timeouts++;
      await this.#giveBack(environment);
      return result;
    }
    this.#counts.timeouts++;
    void this.#leaveAsZombie(environment, running);
    return failed(
      "timeout",
      "Sandbox.Timedout",
      `RequestId: ${requestId} Error: Task timed out after ${seconds(timeoutMs)} seconds`,
    );
  }

  async #byDeadline(environment: ExecutionEnvironment, running: Promise<InvocationResult>): Promise<InvocationResult | "late"> {
    const ended = new AbortController();
    const late = this.#options.clock.sleep(this.#options.timeoutMs, ended.signal).then(() => "late" as const);
    try {
      return await Promise.race([running, late]);
    } finally {
      ended.abort();
      this.#busy.delete(environment);
    }
  }

  #takeFree(): ExecutionEnvironment | undefined {
    if (this.#free.length === 0 || this.#random.chance(this.#options.coldStartChance)) return undefined;
    return this.#free.splice(this.#random.int(this.#free.length), 1)[0];
  }

  #start(): Promise<ExecutionEnvironment> {
    this.#counts.coldStarts++;
    return this.#options.factory();
  }

  async #giveBack(environment: ExecutionEnvironment): Promise<void> {
    const isRecycled = this.#random.chance(this.#options.recycleChance);
    if (environment.usable && !isRecycled && !this.#isRetired && !this.#stopping.signal.aborted) {
      this.#free.push(environment);
      return;
    }
    this.#counts.recycled++;
    await environment.stop();
  }

  /** P3. What it answers, and how it ends, nobody hears. */
  async #leaveAsZombie(environment: ExecutionEnvironment, running: Promise<unknown>): Promise<void> {
    this.#zombies.add(environment);
    const ended = new AbortController();
    const signal = AbortSignal.any([ended.signal, this.#stopping.signal]);
    const lives = this.#options.clock.sleep(this.#random.next() * this.#options.zombieMsMax, signal);
    await Promise.race([running.catch(() => undefined), lives]);
    ended.abort();
    this.#zombies.delete(environment);
    this.#counts.recycled++;
    await environment.stop().catch(() => undefined);
  }
}

function failed(cause: "timeout" | "exit", errorType: string, errorMessage: string): InvocationResult {
  return { outcome: "failed", cause, payload: new TextEncoder().encode(JSON.stringify({ errorType, errorMessage })) };
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(2);
}
