/** What one seed runs: a topology, its size and limits, all small, so that everything that is rare elsewhere is common here. */
import type { JobOptions } from "../../api/graph.ts";
import { millis } from "../../api/duration.ts";
import type { PayloadOptions } from "../../driver/journal-entry.ts";
import { defaultLimits, type TaskLimits } from "../../task/task-plan.ts";
import type { SeededRandom } from "../../base/seeded-random.ts";
import { drawTopology, windows } from "./topologies.ts";
import type { Topology } from "./topology.ts";

/** How large a world is, and what limits it has, whatever it runs. */
export interface Sizes {
  /** In batch mode there are no checkpoints, and so nothing that is restored. */
  readonly mode: NonNullable<JobOptions["mode"]>;
  /** Of a topology that is generated: more are left out. */
  readonly stagesMax: number;
  /** Records of all sources, where they are made up. */
  readonly records: number;
  readonly parallelism: number;
  readonly keyGroups: number;
  readonly statePlacement: NonNullable<JobOptions["statePlacement"]>;
  readonly watermarkIntervalMs: number;
  readonly checkpointIntervalMs: number;
  readonly checkpointTimeoutMs: number;
  readonly retained: number;
  readonly ringSize: number;
  readonly cacheBytesMax: number;
  readonly journalBytesMax: number;
  readonly recordsPerTurn: number;
  /** Virtual ms that a turn may take. Not drawn: where time is short, everything takes longer. */
  readonly turnMs: number;
  readonly batchMax: number;
  readonly payload: PayloadOptions;
  readonly limits: TaskLimits;
  readonly environments: number;
  /**
   * Processes die often between a commit and its effects, and mappings alone bring the data, little at once of the much that waits, all
   * of it to one task. Elsewhere processes live long enough to be wrong about the job.
   */
  readonly frail: boolean;
  /** How often tasks are poked for no reason; where that is rare, mappings alone bring the data. */
  readonly sweeps: number;
  readonly reshardings: number;
  /** How often new code of the same plan is deployed, while the old goes on for a time. */
  readonly redeployments: number;
  readonly restores: number;
  /** The sources stay open until a checkpoint has completed without faults. */
  readonly staysOpen: boolean;
}

/** The sizes of a world that runs a topology. */
export interface Settings extends Sizes {
  readonly topology: Topology;
}

/** How many worlds are frail. */
export const frailShare = 0.15;

/** What makes a world frail, beside its faults. */
export function frailSizes() {
  return {
    mode: "streaming" as const,
    parallelism: 1,
    batchMax: 3,
    environments: 3,
    sweeps: 0.1,
    checkpointIntervalMs: 800,
    restores: 0,
  };
}

export function drawSettings(random: SeededRandom, topology: string | undefined): Settings {
  const frail = random.chance(frailShare);
  const drawn = drawTopology(random, topology);
  const mode = random.chance(0.15) && drawn.asTheyCome !== true ? "batch" : "streaming";
  const single = mode === "batch" && drawn.keyedSource === true;
  const sizes = { ...drawSizes(random, { frail, mode, single }), ...drawn.draw?.(random) };
  return frail
    ? { ...sizes, ...frailSizes(), topology: topology === undefined ? windows : drawn }
    : { ...sizes, topology: drawn };
}

/** `single`: only one task of a stage. */
export function drawSizes(
  random: SeededRandom,
  { frail, mode, single }: Pick<Sizes, "frail" | "mode"> & { readonly single: boolean },
): Sizes {
  return {
    mode,
    stagesMax: Infinity,
    records: random.between(30, 110),
    parallelism: single ? 1 : random.between(1, 3),
    keyGroups: random.pick([4, 8, 16, 32]),
    statePlacement: random.pick(["cooling", "cooling", "cooling", "table", "table", "segments"] as const),
    watermarkIntervalMs: random.pick([0, 30, 300]),
    checkpointIntervalMs: random.pick([40, 100, 250, 800]),
    checkpointTimeoutMs: random.pick([120, 400, 2_000]),
    retained: random.between(1, 3),
    ringSize: random.pick([12, 14, 18, 40]),
    cacheBytesMax: random.pick([0, 0, 0, 600, 8_000]),
    journalBytesMax: random.pick([3_000, 1 << 20, 1 << 20]),
    recordsPerTurn: random.between(4, 20),
    turnMs: Infinity,
    batchMax: random.between(2, 20),
    payload: {
      inlineBytesMax: random.pick([300, 1_500, Infinity]),
      compressFromBytes: random.chance(0.15) ? 200 : Infinity,
    },
    limits: {
      ...defaultLimits,
      // Above what a padded row takes, which would be refused.
      frameBytesMax: random.pick([1_000, 1_000_000]),
      heldBytesMax: random.pick([1_500, 64 << 20, 64 << 20]),
      outputBytesMax: random.pick([500, 8 << 20]),
      timerDelayMs: random.pick([0, 1]),
    },
    environments: random.between(1, 3),
    frail,
    sweeps: random.pick([0.1, 1.5, 1.5]),
    reshardings: random.between(0, 4),
    redeployments: random.pick([0, 1, 2]),
    restores: mode === "batch" ? 0 : random.between(0, 3),
    staysOpen: mode === "streaming" && random.chance(0.5),
  };
}

export function jobOptions(settings: Sizes, parallelism: number): JobOptions {
  return {
    parallelism,
    keyGroups: settings.keyGroups,
    mode: settings.mode,
    onUserError: "deadLetter",
    watermarkStep: millis(20),
    watermarkInterval: millis(settings.watermarkIntervalMs),
    statePlacement: settings.statePlacement,
    checkpoints: {
      interval: millis(settings.checkpointIntervalMs),
      timeout: millis(settings.checkpointTimeoutMs),
      retained: settings.retained,
    },
  };
}
