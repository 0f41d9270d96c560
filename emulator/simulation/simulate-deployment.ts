/** Runs one seed of a simulated deployment: a world, its phases, its checks. A function of its arguments alone. */
import { checkObjects, checkOutputs } from "../../runtime/testing/simulation/checkers.ts";
import type { Rule } from "../../runtime/testing/simulation/rules.ts";
import { DeploymentAgenda } from "./deployment-agenda.ts";
import { commonDeploymentFaults, type DeploymentFaultCounts, type DeploymentFaults } from "./deployment-faults.ts";
import type { DeploymentSettings } from "./deployment-settings.ts";
import { type Act, DeploymentWorld } from "./deployment-world.ts";

export interface SimulateDeploymentOptions {
  /** Name of a topology; default: any. */
  readonly topology?: string | undefined;
  readonly faults?: DeploymentFaults;
  /** Settings to take instead of the seed's. */
  readonly settings?: Partial<DeploymentSettings>;
  /** How many of the last events are kept; default 80. */
  readonly keptEvents?: number;
  /** The rule to switch off: the run ought to fail. */
  readonly without?: Rule | undefined;
}

export interface DeploymentResult {
  readonly seed: number;
  readonly topology: string;
  /** What was found wrong; undefined: the seed has passed. */
  readonly failure: Error | undefined;
  /** The last events. */
  readonly trace: readonly string[];
  readonly faults: DeploymentFaultCounts;
  readonly acts: Readonly<Record<Act, number>>;
  readonly requests: number;
  /** Time-outs that left a zombie. */
  readonly timeouts: number;
  readonly checkpoints: number;
  readonly generations: number;
  readonly virtualMs: number;
  /** Of everything that happened. */
  readonly hash: string;
}

export async function simulateDeployment(seed: number, options: SimulateDeploymentOptions = {}): Promise<DeploymentResult> {
  const { topology, faults = commonDeploymentFaults, settings, without, keptEvents } = options;
  const world = new DeploymentWorld({ seed, topology, faults, settings, without, keptEvents });
  const startedAt = world.clock.now();
  const agenda = new DeploymentAgenda(world);
  try {
    await agenda.run();
    if (world.failure === undefined) checkOutputs(world, "at the end");
    if (world.failure === undefined) await checkObjects(world);
    if (world.failure === undefined) await checkRestore(world, agenda);
  } catch (error) {
    world.fail(`the simulation itself failed: ${String(error)}`, error);
  }
  const functions = [...world.functions.values()];
  world.calls.counts.coldStart = functions.reduce((sum, one) => sum + one.count("coldStarts"), 0);
  world.calls.counts.recycled = functions.reduce((sum, one) => sum + one.count("recycled"), 0);
  const timeouts = functions.reduce((sum, one) => sum + one.count("timeouts"), 0);
  await world.stop();
  return {
    seed,
    topology: world.settings.topology.name,
    failure: world.failure,
    trace: world.trace.last,
    faults: world.calls.counts,
    acts: world.acts,
    requests: world.calls.requests,
    timeouts,
    checkpoints: world.completedCheckpoints,
    generations: world.record?.generation ?? 0,
    virtualMs: world.clock.now() - startedAt,
    hash: world.trace.hash,
  };
}

/** C6 A retained checkpoint, restored without faults, leads to the same outputs. */
async function checkRestore(world: DeploymentWorld, agenda: DeploymentAgenda): Promise<void> {
  const retained = world.record?.retained ?? [];
  if (retained.length === 0) return;
  const { manifest } = world.random.pick(retained);
  await agenda.restoreAndDrain(manifest, world.random.chance(0.5) ? world.random.between(1, 3) : undefined);
  if (world.failure === undefined) checkOutputs(world, `after ${manifest} was restored`);
}
