/** Jobs that a deployment alone runs, beside those of the engine's simulation. */
import { topologyNames } from "../../runtime/testing/simulation/topologies.ts";
import { delayedRows } from "./delayed-topology.ts";
import type { DeploymentTopology } from "./deployment-topology.ts";
import { queued } from "./queued-topology.ts";
import { redriven } from "./redriven-topology.ts";

export const deploymentTopologies: readonly DeploymentTopology[] = [queued, redriven, delayedRows];

/** What a simulation of a deployment can be asked for by name. */
export const deploymentTopologyNames: readonly string[] = [...topologyNames, ...deploymentTopologies.map(({ name }) => name)];
