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
    for (const job of world.jobs) {
      if (world.failure === undefined) checkOutputs(job.outcome, `of ${job.name} at the end`);
      if (world.failure === undefined) await checkObjects(job);
    }
    if (world.failure === undefined) await checkRestore(world, agenda);
  } catch (error) {
    world.fail(`the simulation itself failed: ${String(error)}`, error);
  }
  world.calls.counts.coldStart = world.count("coldStarts");
  world.calls.counts.recycled = world.count("recycled");
  const timeouts = world.count("timeouts");
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
    checkpoints: world.jobs.reduce((sum, job) => sum + job.completedCheckpoints, 0),
    generations: world.jobs.reduce((sum, job) => sum + (job.record?.generation ?? 0), 0),
    virtualMs: world.clock.now() - startedAt,
    hash: world.trace.hash,
  };
}

/** C6 A retained checkpoint, restored without faults, leads to the same outputs. */
async function checkRestore(world: DeploymentWorld, agenda: DeploymentAgenda): Promise<void> {
  const job = world.random.pick(world.jobs);
  const retained = job.record?.retained ?? [];
  if (retained.length === 0) return;
  const { manifest } = world.random.pick(retained);
  await agenda.restoreAndDrain(job, manifest, world.random.chance(0.5) ? world.random.between(1, 3) : undefined);
  for (const one of world.jobs)
    if (world.failure === undefined) checkOutputs(one.outcome, `of ${one.name} after ${manifest} of ${job.name} was restored`);
}
