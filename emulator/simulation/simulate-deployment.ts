/** Runs one seed of a simulated deployment: a world, its phases, its checks. A function of its arguments alone. */
import { checkObjects } from "../../runtime/testing/simulation/checkers.ts";
import { DeploymentAgenda } from "./deployment-agenda.ts";
import { commonDeploymentFaults, type DeploymentFaultCounts, type DeploymentFaults } from "./deployment-faults.ts";
import type { DeploymentSettings } from "./deployment-settings.ts";
import { checkLeftOvers } from "./left-overs.ts";
import { type Act, type DeploymentOptions, DeploymentWorld } from "./deployment-world.ts";

export interface SimulateDeploymentOptions extends Omit<DeploymentOptions, "seed" | "faults"> {
  /** Default: the common mix. */
  readonly faults?: DeploymentFaults | undefined;
}

export interface DeploymentResult {
  readonly seed: number;
  readonly topology: string;
  /** What was found wrong; undefined: the seed has passed. */
  readonly failure: Error | undefined;
  /** The last events. */
  readonly trace: readonly string[];
  /** The first faults, as events. */
  readonly faultTrace: readonly string[];
  /** The faults that happened, by number: those of requests and the like. */
  readonly happened: readonly number[];
  /** How large its world was. */
  readonly sizes: DeploymentSettings;
  readonly faults: DeploymentFaultCounts;
  readonly acts: Readonly<Record<Act, number>>;
  /** What came of them, and else. */
  readonly seen: ReadonlyMap<string, number>;
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
  const world = new DeploymentWorld({ ...options, seed, faults: options.faults ?? commonDeploymentFaults });
  const startedAt = world.clock.now();
  const agenda = new DeploymentAgenda(world);
  try {
    await agenda.run();
    for (const job of world.jobs) {
      if (world.failure === undefined) job.checkOutputs("at the end");
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
  await checkLeft(world);
  return {
    seed,
    topology: world.settings.topology.name,
    failure: world.failure,
    trace: world.trace.last,
    faultTrace: world.trace.faults,
    happened: world.calls.happened,
    sizes: world.settings,
    faults: world.calls.counts,
    acts: world.acts,
    seen: world.calls.seen,
    requests: world.calls.requests,
    timeouts,
    checkpoints: world.jobs.reduce((sum, job) => sum + job.completedCheckpoints, 0),
    generations: world.jobs.reduce((sum, job) => sum + (job.record?.generation ?? 0), 0),
    virtualMs: world.clock.now() - startedAt,
    hash: world.trace.hash,
  };
}

async function checkLeft(world: DeploymentWorld): Promise<void> {
  // Names stand in bytes that are compressed as well, and cannot be seen there.
  if (world.settings.payload.compressFromBytes < Infinity) return;
  for (const job of world.jobs) if (world.failure === undefined) await checkLeftOvers(world, job);
}

/** C6 A retained checkpoint, restored without faults, leads to the same outputs. */
async function checkRestore(world: DeploymentWorld, agenda: DeploymentAgenda): Promise<void> {
  const job = world.random.pick(world.jobs);
  const retained = job.record?.retained ?? [];
  // What was taken from a queue since is gone from it.
  if (retained.length === 0 || world.settings.sources === "queues") return;
  const { manifest } = world.random.pick(retained);
  await agenda.restoreAndDrain(job, manifest, world.random.chance(0.5) ? world.random.between(1, 3) : undefined);
  for (const one of world.jobs)
    if (world.failure === undefined) one.checkOutputs(`after ${manifest} of ${job.name} was restored`);
}

/** Smaller worlds, each to be tried on top of those that failed before. */
export const smallerDeployments: readonly Partial<DeploymentSettings>[] = [
  { stagesMax: 2 },
  { stagesMax: 1 },
  { operations: 0 },
  { operations: 1 },
  { reshardings: 0 },
  { parallelism: 1 },
  { tasksPerCell: 8 },
  { skewMsMax: 0 },
  { batchingWindowSeconds: 0 },
  { staysOpen: false },
  { statePlacement: "segments" },
];
