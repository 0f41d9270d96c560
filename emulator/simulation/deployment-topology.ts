/** Jobs that a deployment alone runs: what they show needs a queue that repeats, a command that gives dead letters back, or an order to stop. */
import type { Outcome } from "../../runtime/testing/simulation/checkers.ts";
import type { Topology } from "../../runtime/testing/simulation/topology.ts";
import type { SimRecord } from "../../runtime/testing/simulation/workload.ts";
import type { DeploymentSettings } from "./deployment-settings.ts";

/** Records that were put aside, and to what each is given back: to its source, or to the operator behind an exchange that it was sent to. */
export type Letters = ReadonlyMap<number, "source" | "operator">;

export interface DeploymentTopology extends Topology {
  /** Settings of its own, in the place of those that were drawn. */
  readonly settings: Partial<DeploymentSettings>;
  /** How many of its records kill, where any may; default: as the mix has it. */
  readonly poison?: number;
  /** What its sources are brought of a record, with all that the record has; default: the record. */
  eventOf?(record: SimRecord): SimRecord;
  /** Its code may be mended, and what was put aside given back. */
  readonly isMendable?: boolean;
  /** What must hold of what has come out, beside `expect`. `letters`: the records that were put aside. */
  checkFurther?(outcome: Outcome, when: string, letters: Letters): void;
}

/** Undefined: the topology is one that the engine's simulation has as well. */
export function ofDeployment(topology: Topology): DeploymentTopology | undefined {
  return "checkFurther" in topology ? (topology as DeploymentTopology) : undefined;
}
