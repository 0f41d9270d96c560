/** What one seed of a simulated deployment runs: the engine's simulation draws the job, this the times, which are a deployment's. */
import type { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { drawSettings, type Settings } from "../../runtime/testing/simulation/settings.ts";
import type { Topology } from "../../runtime/testing/simulation/topology.ts";
import type { DeploymentTopology } from "./deployment-topology.ts";
import { deploymentTopologies } from "./deployment-topologies.ts";

export interface DeploymentSettings extends Settings {
  /** Of a task's function. */
  readonly timeoutMs: number;
  readonly batchingWindowSeconds: number;
  /**
   * Where records come from: streams, changes of tables, queues, or objects that are there when the job begins, so that its input ends by
   * itself.
   */
  readonly sources: "streams" | "tables" | "queues" | "objects";
  /** Of queues: messages of a key come in their order. */
  readonly fifoSources: boolean;
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
  /** Where lists of rows go then: objects of S3, or what is pushed to, at least once. */
  readonly lists: "objects" | "stream" | "queue" | "fifoQueue";
  /** How long a record that is slow takes. */
  readonly slowRecordMs: number;
}

/** How many seeds run a job that a deployment alone has. */
const ownShare = 0.2;
/** How many others read objects, and how many changes of tables, where they can. */
const objectsShare = 0.15;
const tablesShare = 0.15;

/** `topology`: its name, or itself; undefined: any of those that have names here. */
export function drawDeployment(random: SeededRandom, topology: string | DeploymentTopology | undefined): DeploymentSettings {
  const given = typeof topology === "object" ? topology : undefined;
  const drawn = drawSettings(random, given?.name ?? (topology as string | undefined));
  const named = given ?? deploymentTopologies.find(({ name }) => name === topology);
  const isOwn = random.chance(ownShare);
  const picked = random.pick(deploymentTopologies);
  const own = named ?? (topology === undefined && isOwn ? picked : undefined);
  return {
    ...drawn,
    frail: false,
    parallelism: random.between(1, 4),
    watermarkIntervalMs: random.pick([0, 200, 2_000]),
    checkpointIntervalMs: random.pick([4_000, 10_000, 30_000]),
    checkpointTimeoutMs: random.pick([30_000, 120_000]),
    ringSize: random.pick([16, 24, 128]),
    batchMax: random.pick([3, 10, 100]),
    timeoutMs: random.pick([20_000, 60_000]),
    batchingWindowSeconds: random.pick([0, 0, 1, 5]),
    fifoSources: random.chance(0.5),
    tasksPerCell: random.pick([1, 2, 8]),
    skewMsMax: random.pick([0, 200, 2_000]),
    operations: random.between(own === undefined ? 0 : 2, 5),
    collectEvery: random.between(1, 3),
    realSinks: random.chance(0.5),
    slowRecordMs: random.pick([500, 4_000]),
    lists: random.pick(["objects", "objects", "stream", "queue", "fifoQueue"] as const),
    ...drawSources(random, own ?? drawn.topology, drawn.mode),
    ...(own !== undefined && { ...own.settings, topology: own }),
  };
}

function drawSources(
  random: SeededRandom,
  { keyedSource = false, asTheyCome = false }: Topology,
  mode: DeploymentSettings["mode"],
): Pick<DeploymentSettings, "sources" | "reshardings"> & Partial<DeploymentSettings> {
  // Objects and tables have no keys, objects no order among those of different shards; and streams no end.
  const mayBeObjects = !keyedSource && !asTheyCome;
  const share = random.next();
  if (mayBeObjects && (mode === "batch" || share < objectsShare)) return { sources: "objects", reshardings: 0, staysOpen: false };
  const sources = !keyedSource && share < objectsShare + tablesShare ? "tables" : "streams";
  return { sources, mode: "streaming", reshardings: random.between(0, 3) };
}
