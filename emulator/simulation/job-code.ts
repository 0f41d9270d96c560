/** The code of a simulated job as it is deployed: the job as each deployment declares it, its plan, and what its functions and inboxes are called. */
import { defaultInbox } from "../../functions/contract.ts";
import { cellsOf } from "../../infra/cells.ts";
import type { Source } from "../../runtime/api/connector.ts";
import type { Job } from "../../runtime/api/job.ts";
import type { JobGraph, StagePlan } from "../../runtime/plan/job-graph.ts";
import { planJob } from "../../runtime/plan/plan-job.ts";
import { jobOptions } from "../../runtime/testing/simulation/settings.ts";
import type { Outside } from "../../runtime/testing/simulation/sinks.ts";
import { jobOf } from "../../runtime/testing/simulation/topologies.ts";
import type { Touch } from "../../runtime/testing/simulation/workload.ts";
import { deploySink } from "./deployed-sinks.ts";
import type { DeploymentSettings } from "./deployment-settings.ts";
import { objectSource } from "./object-sources.ts";
import { queueSource } from "./queue-sources.ts";
import { tableSource } from "./table-sources.ts";

/** Code that is deployed: what the functions' bundles hold. */
export interface Deployed {
  readonly deployment: number;
  readonly parallelism: number;
  /** It does not fit the state that is there: it must change nothing. */
  readonly isMisfit: boolean;
  /** It takes what killed the code before it. */
  readonly isMended: boolean;
}

export interface JobCodeOptions {
  readonly name: string;
  readonly settings: DeploymentSettings;
  /** What sinks of an author's kind write to. */
  readonly outside: Outside;
  /** Rows go out by the real adapters. */
  readonly hasRealSinks: boolean;
}

export class JobCode {
  readonly #options: JobCodeOptions;
  readonly #plans = new Map<Deployed, JobGraph>();

  constructor(options: JobCodeOptions) {
    this.#options = options;
  }

  plan(deployed: Deployed): JobGraph {
    let graph = this.#plans.get(deployed);
    if (graph === undefined) this.#plans.set(deployed, (graph = planJob(this.job(() => undefined, deployed))));
    return graph;
  }

  /** With sources and sinks of AWS in the place of those that are simulated themselves. */
  job(onTouch: Touch, { parallelism, isMisfit }: Deployed): Job {
    const { name, settings, outside, hasRealSinks } = this.#options;
    const options = jobOptions(settings, parallelism);
    const keyGroups = isMisfit ? settings.keyGroups * 2 : settings.keyGroups;
    const job = jobOf(settings.topology, { ...options, keyGroups }, onTouch, outside);
    const nodes = job.graph.nodes.map((node) => {
      if (node.spec.kind === "sink" && hasRealSinks)
        return { ...node, spec: { ...node.spec, sink: deploySink(name, node.uid, node.spec.sink, settings.lists) } };
      if (node.spec.kind !== "source") return node;
      return { ...node, spec: { ...node.spec, source: deploySource(node.spec.source, settings.sources) } };
    });
    return { ...job, name, graph: { ...job.graph, nodes } };
  }

  /** One per cell. */
  functionsOf(stage: StagePlan): readonly string[] {
    return inCells(`${this.#options.name}-${stage.id}`, this.#cellsOf(stage));
  }

  inboxesOf(stage: StagePlan): readonly string[] {
    return inCells(defaultInbox(this.#options.name, stage.id), this.#cellsOf(stage));
  }

  #cellsOf(stage: StagePlan): number {
    return stage.kind === "keyed" ? cellsOf(stage, this.#options.settings.tasksPerCell) : 1;
  }
}

/** In the place of a source that is simulated itself; others stay as they are. */
function deploySource(source: Source<any>, sources: DeploymentSettings["sources"]): Source<any> {
  if (!source.kind.startsWith("simulated")) return source;
  switch (sources) {
    case "objects":
      return objectSource(source.name);
    case "tables":
      return tableSource(source.name);
    case "queues":
      return queueSource(source.name);
    case "streams":
      return { ...source, kind: "kinesis", options: { stream: source.name, startFrom: "horizon", whenLost: "fail" } };
  }
}

function inCells(name: string, cells: number): readonly string[] {
  return Array.from({ length: cells }, (_, cell) => (cell === 0 ? name : `${name}-${cell}`));
}
