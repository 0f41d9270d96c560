/**
 * The simulated jobs, each small and with its oracle: what must come out, by plain recomputation from all records. It does not depend on
 * how records of different shards interleave, and no record is late.
 */
import { defineJob } from "../../api/define-job.ts";
import type { JobOptions } from "../../api/graph.ts";
import type { Job } from "../../api/job.ts";
import { SeededRandom } from "../../base/seeded-random.ts";
import { alarms } from "./alarm-topology.ts";
import { generateTopology } from "./generated-topology.ts";
import { overlapping, sessions, small, windows } from "./simple-windows.ts";
import { assigned, threeStages } from "./stage-topologies.ts";
import { collecting, keyedRolling, keyedSources, rolling } from "./state-topologies.ts";
import type { Outside } from "./sinks.ts";
import type { Topology } from "./topology.ts";
import { broadcasting, connected } from "./two-input-topologies.ts";
import { windowTopologies } from "./window-topologies.ts";
import type { Touch } from "./workload.ts";

export { windows };

export function jobOf(topology: Topology, options: JobOptions, touch: Touch, outside: Outside = new Map()): Job {
  return topology.define?.(options, touch) ?? defineJob("simulated", (job) => topology.build(job, touch, outside), options);
}

export const topologies: readonly Topology[] = [
  assigned,
  small,
  windows,
  sessions,
  rolling,
  collecting,
  threeStages,
  keyedSources,
  keyedRolling,
  connected,
  broadcasting,
  overlapping,
  ...windowTopologies,
  alarms,
];

const generated = "generated";
const generatedShare = 0.4;

/** What a simulation can be asked for by name. */
export const topologyNames: readonly string[] = [generated, ...topologies.map(({ name }) => name)];

/** The topology of that name, else any: one of those above, or one that is generated. */
export function drawTopology(random: SeededRandom, name: string | undefined): Topology {
  const named = topologies.find((topology) => topology.name === name);
  const own = new SeededRandom(random.int(2 ** 31));
  const isGenerated = random.chance(generatedShare);
  const picked = random.pick(topologies);
  if (named !== undefined) return named;
  return name === generated || isGenerated ? generateTopology(own) : picked;
}
