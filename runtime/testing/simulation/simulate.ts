/** Runs one seed: a world, its phases, its checks. A function of its arguments alone. */
import { Agenda } from "./agenda.ts";
import { checkObjects } from "./checkers.ts";
import { commonFaults, type FaultCounts, type FaultMix } from "./fault-mix.ts";
import type { Rule } from "./rules.ts";
import type { Sizes } from "./settings.ts";
import type { Scenario } from "./subject.ts";
import { World } from "./world.ts";

export interface SimulateOptions {
  /** What is run; default: a topology. */
  readonly scenario?: Scenario | undefined;
  /** Name of a topology; default: any. */
  readonly topology?: string | undefined;
  readonly faults?: FaultMix | undefined;
  /** The only faults that may happen, by the number at which each comes up; default: all. */
  readonly only?: readonly number[] | undefined;
  /** Other events in the same world; default 0. */
  readonly variant?: number | undefined;
  /** The only records that its sources bring, by number; default: all. */
  readonly events?: readonly number[] | undefined;
  /** Settings to take instead of the seed's. */
  readonly settings?: Partial<Sizes> | undefined;
  /** The rule to switch off: the run ought to fail. */
  readonly without?: Rule | undefined;
}

export interface SeedResult {
  readonly seed: number;
  readonly topology: string;
  /** What was found wrong; undefined: the seed has passed. */
  readonly failure: Error | undefined;
  /** The last events. */
  readonly trace: readonly string[];
  /** The first faults, as events. */
  readonly faultTrace: readonly string[];
  readonly faults: FaultCounts;
  /** The faults that happened, by number. */
  readonly happened: readonly number[];
  readonly steps: number;
  /** Steps of the longest way to a goal without faults. */
  readonly livenessSteps: number;
  readonly checkpoints: number;
  readonly generations: number;
  /** Payloads that were objects, pages that were put into the table. */
  readonly stored: { readonly payloads: number; readonly pages: number };
  /** How large its world was. */
  readonly sizes: Sizes;
  /** Of everything that happened. */
  readonly hash: string;
}

export async function simulateSeed(seed: number, options: SimulateOptions = {}): Promise<SeedResult> {
  const world = new World({ ...options, seed, faults: options.faults ?? commonFaults });
  const agenda = new Agenda(world);
  await agenda.run();
  if (world.failure === undefined) await world.subject.check("at the end");
  if (world.failure === undefined) await checkObjects(world);
  if (world.failure === undefined && world.subject.restorable !== false) await checkRestore(world, agenda);
  await world.subject.close?.();
  // Others of the process have waited for the whole of a seed.
  await world.scheduler.settleOutside();
  return {
    seed,
    topology: world.subject.name,
    failure: world.failure,
    trace: world.trace.last,
    faultTrace: world.trace.faults,
    faults: world.faults.counts,
    happened: world.faults.happened,
    steps: world.scheduler.steps,
    livenessSteps: agenda.livenessSteps,
    checkpoints: agenda.completedCheckpoints,
    generations: world.record?.generation ?? 0,
    stored: world.stored,
    sizes: world.settings,
    hash: world.trace.hash,
  };
}

/** C6 A retained checkpoint, restored without faults, leads to the same outputs; what it refers to are immutable objects alone. */
async function checkRestore(world: World, agenda: Agenda): Promise<void> {
  const retained = world.record?.retained ?? [];
  if (retained.length === 0) return;
  const { manifest } = world.random.pick(retained);
  world.shared.pages = world.createPages();
  await agenda.restoreAndDrain(manifest, world.random.chance(0.5) ? world.random.between(1, 3) : undefined);
  if (world.failure === undefined) await world.subject.check(`after ${manifest} was restored`);
}
