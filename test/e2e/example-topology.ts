/** What examples/pageviews/topology.json must be: the topology of the job beside it. `node test/e2e/example-topology.ts` writes it. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { format } from "prettier";
import pageviews from "../../examples/pageviews/on-aws.ts";
import { planJob } from "../../runtime/plan/plan-job.ts";
import { topologyOf } from "./deployment.ts";
import { pageviewsScenario } from "./pageviews-scenario.ts";

export const exampleTopologyPath = join(import.meta.dirname, "../../examples/pageviews/topology.json");

export function exampleTopology() {
  return topologyOf({
    graph: planJob(pageviews),
    module: "./on-aws.ts",
    directory: ".",
    functions: "../../functions",
    deployment: 1,
    outside: pageviewsScenario.outside,
    timeouts: { task: 60, coordinator: 120 },
    memorySize: 512,
    concurrency: 1,
  });
}

if (import.meta.main) {
  writeFileSync(exampleTopologyPath, await format(JSON.stringify(exampleTopology()), { parser: "json", printWidth: 130 }));
}
