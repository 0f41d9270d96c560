/**
 * `npm run simulate -- --seeds A..B`: runs the seeds; of one that fails prints the smallest run that was found to fail as well, what
 * happened there, and the command that shows it again. Then how often each fault happened, and last how many seeds passed.
 */
import { messageOf } from "../../runtime/base/errors.ts";
import { faultNames, noCounts } from "../../runtime/testing/simulation/fault-mix.ts";
import { minimise } from "../../runtime/testing/simulation/minimise.ts";
import { type SeedResult, simulateSeed } from "../../runtime/testing/simulation/simulate.ts";
import { topologyNames } from "../../runtime/testing/simulation/topologies.ts";
import { exampleNames } from "./example-topologies.ts";
import { type Command, optionsOf, parseCommand, replayOf, usage } from "./command-line.ts";

/** Records of any topology have lower numbers. */
const eventsMax = 200;
/** Seeds that fail are made smaller, but for those after so many. */
const minimisedMax = 5;
const shownEvents = 40;

function readCommand(): Command {
  try {
    return parseCommand(process.argv.slice(2), [...topologyNames, ...exampleNames]);
  } catch (error) {
    console.error(`${messageOf(error)}\n${usage}`);
    process.exit(2);
  }
}

const command = readCommand();
const counts = noCounts();
const sums = { passed: 0, failed: 0, steps: 0, checkpoints: 0, generations: 0, payloads: 0, pages: 0 };
let slowest: SeedResult | undefined;
const startedAt = performance.now();
const cpuAtStart = process.cpuUsage();
for (let seed = command.from; seed <= command.to; seed++) {
  const result = await simulateSeed(seed, optionsOf(command, command.reduction));
  for (const fault of faultNames) counts[fault] += result.faults[fault];
  sums.steps += result.steps;
  if (result.livenessSteps >= (slowest?.livenessSteps ?? 0)) slowest = result;
  sums.checkpoints += result.checkpoints;
  sums.generations += result.generations;
  sums.payloads += result.stored.payloads;
  sums.pages += result.stored.pages;
  if (result.failure === undefined) sums.passed++;
  else await report(result);
}

async function report(result: SeedResult): Promise<void> {
  const { seed } = result;
  sums.failed++;
  console.log(`seed ${seed} (${result.topology}) failed: ${result.failure?.message}`);
  console.log(`  replay: ${replayOf(command, seed, command.reduction)}`);
  if (command.trace) return show(result);
  if (sums.failed > minimisedMax || command.minimiseMs === 0) return;
  const { reduction: given } = command;
  const small = await minimise(result, {
    run: (reduction) =>
      simulateSeed(seed, optionsOf(command, { ...given, ...reduction, settings: { ...given.settings, ...reduction.settings } })),
    faults: given.faults,
    events: given.events ?? Array.from({ length: Math.min(eventsMax, result.sizes.records) }, (_, n) => n),
    timeMs: command.minimiseMs,
    now: () => performance.now(),
  });
  const reduction = { ...given, ...small.reduction, settings: { ...given.settings, ...small.reduction.settings } };
  console.log(`  smaller, of ${small.tries} tries: ${small.result.failure?.message}`);
  show(small.result);
  console.log(`  replay it: ${replayOf(command, seed, reduction)}`);
}

function show({ faultTrace, trace, failure }: SeedResult): void {
  console.log("  faults:");
  for (const fault of faultTrace) console.log(`    ${fault}`);
  console.log("  what happened last:");
  for (const event of command.trace ? trace : trace.slice(-shownEvents)) console.log(`    ${event}`);
  if (failure?.cause !== undefined) console.log(failure.cause);
}

const seconds = (performance.now() - startedAt) / 1_000;
const cpu = process.cpuUsage(cpuAtStart);
const cpuSeconds = (cpu.user + cpu.system) / 1e6;
const seeds = command.to - command.from + 1;
const stored = `${sums.payloads} payloads as objects, ${sums.pages} pages`;
console.log(`${sums.steps} steps, ${sums.checkpoints} checkpoints, ${sums.generations} generations, ${stored}`);
console.log(`slowest without faults: seed ${slowest?.seed} (${slowest?.topology}) in ${slowest?.livenessSteps} steps`);
console.log(`faults: ${faultNames.map((fault) => `${fault} ${counts[fault]}`).join(", ")}`);
const rate = `${(seeds / seconds).toFixed(1)} seeds/s, ${(seeds / cpuSeconds).toFixed(1)} seeds per CPU second`;
console.log(`${rate} (${seconds.toFixed(1)} s, of the processors ${cpuSeconds.toFixed(1)} s)`);
console.log(`${sums.passed} passed, ${sums.failed} failed`);
process.exitCode = sums.failed > 0 ? 1 : 0;
