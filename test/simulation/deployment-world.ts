/**
 * `npm run simulate -- --world deployment --seeds A..B`: prints what failed, its last events and the command that shows it again.
 *
 * `--topology NAME` one job instead of any; `--without RULE` with a rule switched off; `--calm` without faults; `--trace` all events.
 */
import { parseArgs } from "node:util";
import { type Rule, rules } from "../../runtime/testing/simulation/rules.ts";
import { topologies } from "../../runtime/testing/simulation/topologies.ts";
import {
  commonDeploymentFaults,
  deploymentFaultNames,
  noDeploymentFaultCounts,
  noDeploymentFaults,
} from "../../emulator/simulation/deployment-faults.ts";
import {
  type DeploymentResult,
  simulateDeployment,
  type SimulateDeploymentOptions,
} from "../../emulator/simulation/simulate-deployment.ts";

process.exitCode = await simulateDeployments();

function usage(problem: string): never {
  const jobs = topologies.map(({ name }) => name).join("|");
  console.error(`${problem}
usage: npm run simulate -- --world deployment --seeds A..B [--topology ${jobs}] [--without ${rules.join("|")}]`);
  process.exit(2);
}

/** The exit code. */
async function simulateDeployments(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "1..20" },
      topology: { type: "string" },
      without: { type: "string" },
      trace: { type: "boolean", default: false },
      calm: { type: "boolean", default: false },
    },
  });
  const [, from = "", last = from] = /^(\d+)(?:\.\.(\d+))?$/.exec(values.seeds) ?? usage(`--seeds must be A..B: ${values.seeds}`);
  const { topology, calm } = values;
  if (topology !== undefined && !topologies.some(({ name }) => name === topology)) usage(`no such topology: ${topology}`);
  const without = values.without as Rule | undefined;
  if (without !== undefined && !rules.includes(without)) usage(`no such rule: ${without}`);
  const faults = calm ? noDeploymentFaults : commonDeploymentFaults;
  const options: SimulateDeploymentOptions = { topology, without, faults, ...(values.trace && { keptEvents: 100_000 }) };
  const replayed = [
    ...(topology === undefined ? [] : [`--topology ${topology}`]),
    ...(without === undefined ? [] : [`--without ${without}`]),
    ...(calm ? ["--calm"] : []),
  ];

  const counts = noDeploymentFaultCounts();
  const acts = new Map<string, number>();
  const sums = { passed: 0, failed: 0, requests: 0, timeouts: 0, checkpoints: 0, generations: 0, virtualMs: 0 };
  const startedAt = performance.now();
  for (let seed = Number(from); seed <= Number(last); seed++) {
    const result = await simulateDeployment(seed, options);
    for (const fault of deploymentFaultNames) counts[fault] += result.faults[fault];
    for (const sum of ["requests", "timeouts", "checkpoints", "generations", "virtualMs"] as const) sums[sum] += result[sum];
    for (const [act, n] of Object.entries(result.acts)) acts.set(act, (acts.get(act) ?? 0) + n);
    if (result.failure === undefined) sums.passed++;
    else sums.failed++;
    if (result.failure !== undefined) report(result, values.trace || from === last, replayed);
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  const { requests, timeouts, checkpoints, generations } = sums;
  const hours = (sums.virtualMs / 3_600_000).toFixed(1);
  console.log(`${requests} requests, ${timeouts} time-outs, ${checkpoints} checkpoints, ${generations} generations`);
  console.log(`${hours} hours of the clock in ${seconds.toFixed(1)} s`);
  console.log(`acts: ${[...acts].map(([act, n]) => `${act} ${n}`).join(", ")}`);
  console.log(`faults: ${deploymentFaultNames.map((fault) => `${fault} ${counts[fault]}`).join(", ")}`);
  console.log(`${sums.passed} passed, ${sums.failed} failed`);
  return sums.failed > 0 ? 1 : 0;
}

function report({ seed, topology, failure, trace }: DeploymentResult, isWhole: boolean, replayed: readonly string[]): void {
  console.log(`seed ${seed} (${topology}) failed: ${failure?.message}`);
  for (const event of isWhole ? trace : trace.slice(-12)) console.log(`    ${event}`);
  if (isWhole && failure?.cause !== undefined) console.log(failure.cause);
  console.log(`  replay: npm run simulate -- --world deployment --seeds ${[seed, ...replayed].join(" ")}`);
}
