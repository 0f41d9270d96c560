/** A function of a simulated deployment: its environments, and the code that new ones run. Deployed anew, old environments end after what they do. */
import type { Clock } from "../clock.ts";
import { EnvironmentPool, type PoolCounts } from "../lambda/environment-pool.ts";
import type { ExecutionEnvironmentFactory, FunctionInvoker, InvocationResult } from "../lambda/execution-environment.ts";

export interface SimulatedFunctionOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly zombieMsMax: number;
  readonly coldStartChance: number;
  readonly recycleChance: number;
  readonly newSeed: () => number;
}

export class SimulatedFunction implements FunctionInvoker {
  readonly name: string;
  readonly #options: SimulatedFunctionOptions;
  readonly #former: EnvironmentPool[] = [];
  #pool: EnvironmentPool;

  constructor(options: SimulatedFunctionOptions, factory: ExecutionEnvironmentFactory) {
    this.name = options.name;
    this.#options = options;
    this.#pool = this.#poolOf(factory);
  }

  /** Invocations from now on run other code. */
  async deploy(factory: ExecutionEnvironmentFactory): Promise<void> {
    const former = this.#pool;
    this.#former.push(former);
    this.#pool = this.#poolOf(factory);
    await former.retire();
  }

  invoke(payload: Uint8Array): Promise<InvocationResult | { readonly outcome: "throttled" }> {
    return this.#pool.invoke(payload);
  }

  count(of: keyof PoolCounts): number {
    return [this.#pool, ...this.#former].reduce((sum, { counts }) => sum + counts[of], 0);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#pool, ...this.#former].map((pool) => pool.stop()));
  }

  #poolOf(factory: ExecutionEnvironmentFactory): EnvironmentPool {
    const { clock, timeoutMs, zombieMsMax, coldStartChance, recycleChance, newSeed } = this.#options;
    return new EnvironmentPool({ factory, clock, timeoutMs, zombieMsMax, coldStartChance, recycleChance, seed: newSeed() });
  }
}
