/**
 * `npm run simulate -- --seeds A..B`: runs the seeds, prints what failed, its last events and the command that shows it again.
 *
 * `--topology NAME` one job instead of any; `--without RULE` with a rule switched off; `--calm` without faults; `--turn-ms N` with so little time for a turn; `--trace` more events.
 */
import { parseArgs } from "node:util";
import { commonFaults, faultNames, noCounts, noFaults } from "./fault-mix.ts";
import { type Rule, rules } from "./rules.ts";
import { type SeedResult, simulateSeed, type SimulateOptions } from "./simulate.ts";
import { topologies } from "./topologies.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1..100" },
    topology: { type: "string" },
    without: { type: "string" },
    trace: { type: "boolean", default: false },
    "turn-ms": { type: "string" },
    calm: { type: "boolean", default: false },
  },
});

function usage(problem: string): never {
  console.error(`${problem}
usage: npm run simulate -- --seeds A..B [--topology ${topologies.map(({ name }) => name).join("|")}] [--without ${rules.join("|")}]`);
  process.exit(2);
}

const range = /^(\d+)(?:\.\.(\d+))?$/.exec(values.seeds) ?? usage(`--seeds must be A..B: ${values.seeds}`);
const from = Number(range[1]);
const to = Number(range[2] ?? range[1]);
const { topology } = values;
if (topology !== undefined && !topologies.some(({ name }) => name === topology)) usage(`no such topology: ${topology}`);
const without = values.without as Rule | undefined;
if (without !== undefined && !rules.includes(without)) usage(`no such rule: ${without}`);
const turnMs = values["turn-ms"];
const settings = turnMs === undefined ? {} : { turnMs: Number(turnMs) };
const options: SimulateOptions = { topology, without, settings, faults: values.calm ? noFaults : commonFaults };

const failed: SeedResult[] = [];
const counts = noCounts();
const sums = { passed: 0, steps: 0, checkpoints: 0, generations: 0 };
let slowest: SeedResult | undefined;
const startedAt = performance.now();
for (let seed = from; seed <= to; seed++) {
  const result = await simulateSeed(seed, options);
  for (const fault of faultNames) counts[fault] += result.faults[fault];
  sums.steps += result.steps;
  if (result.livenessSteps >= (slowest?.livenessSteps ?? 0)) slowest = result;
  sums.checkpoints += result.checkpoints;
  sums.generations += result.generations;
  if (result.failure === undefined) sums.passed++;
  else report(result);
}

function report(result: SeedResult): void {
  failed.push(result);
  const replay = ["npm run simulate --", `--seeds ${result.seed}..${result.seed}`];
  if (topology !== undefined) replay.push(`--topology ${topology}`);
  if (without !== undefined) replay.push(`--without ${without}`);
  if (turnMs !== undefined) replay.push(`--turn-ms ${turnMs}`);
  if (values.calm) replay.push("--calm");
  const shown = values.trace || from === to ? result.trace : result.trace.slice(-12);
  console.log(`seed ${result.seed} (${result.topology}) failed: ${result.failure?.message}`);
  for (const event of shown) console.log(`    ${event}`);
  if (from === to && result.failure?.cause !== undefined) console.log(result.failure.cause);
  console.log(`  replay: ${replay.join(" ")}`);
}

const seconds = (performance.now() - startedAt) / 1_000;
console.log(`${sums.steps} steps, ${sums.checkpoints} checkpoints, ${sums.generations} generations in ${seconds.toFixed(1)} s`);
console.log(`slowest without faults: seed ${slowest?.seed} (${slowest?.topology}) in ${slowest?.livenessSteps} steps`);
console.log(`faults: ${faultNames.map((fault) => `${fault} ${counts[fault]}`).join(", ")}`);
console.log(`${sums.passed} passed, ${failed.length} failed`);
process.exitCode = failed.length > 0 ? 1 : 0;
