/** What one seed of a simulated deployment runs: the engine's simulation draws the job, this the times, which are a deployment's. */
import type { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { drawSettings, type Settings } from "../../runtime/testing/simulation/settings.ts";

export interface DeploymentSettings extends Settings {
  /** Of a task's function. */
  readonly timeoutMs: number;
  readonly batchingWindowSeconds: number;
  /** Where records come from: streams, or objects that are there when the job begins, so that its input ends by itself. */
  readonly sources: "streams" | "objects";
  /** How many of a stage's tasks a function serves at most. */
  readonly tasksPerCell: number;
  /** By how much a function's clock may be wrong, either way. */
  readonly skewMsMax: number;
  /** How often new code is deployed, or an order is given. */
  readonly operations: number;
  /** The garbage is collected at every so-many-th checkpoint. */
  readonly collectEvery: number;
  /** Rows go to S3 and DynamoDB by the real adapters; else to sinks that know the whole history. */
  readonly realSinks: boolean;
  /** How long a record that is slow takes. */
  readonly slowRecordMs: number;
}

export function drawDeployment(random: SeededRandom, topology: string | undefined): DeploymentSettings {
  const drawn = drawSettings(random, topology);
  // Objects have no keys, nor an order among those of different shards; and streams no end.
  const { keyedSource = false, asTheyCome = false } = drawn.topology;
  const mayBeObjects = !keyedSource && !asTheyCome;
  const sources = mayBeObjects && (drawn.mode === "batch" || random.chance(0.15)) ? ("objects" as const) : ("streams" as const);
  const ofSources =
    sources === "objects"
      ? { sources, reshardings: 0, staysOpen: false }
      : { sources, mode: "streaming" as const, reshardings: random.between(0, 3) };
  return {
    ...drawn,
    frail: false,
    parallelism: random.between(1, 3),
    watermarkIntervalMs: random.pick([0, 200, 2_000]),
    checkpointIntervalMs: random.pick([4_000, 10_000, 30_000]),
    checkpointTimeoutMs: random.pick([30_000, 120_000]),
    ringSize: random.pick([16, 24, 128]),
    batchMax: random.pick([3, 10, 100]),
    timeoutMs: random.pick([20_000, 60_000]),
    batchingWindowSeconds: random.pick([0, 0, 1, 5]),
    tasksPerCell: random.pick([1, 2, 8]),
    skewMsMax: random.pick([0, 200, 2_000]),
    operations: random.between(0, 5),
    collectEvery: random.between(1, 3),
    realSinks: random.chance(0.5),
    slowRecordMs: random.pick([500, 4_000]),
    ...ofSources,
  };
}
