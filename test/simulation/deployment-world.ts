/**
 * `npm run simulate -- --world deployment --seeds A..B`: runs the seeds; of one that fails prints the smallest run that was found to fail as
 * well, what happened there, and the command that shows it again. Then how often each fault happened, and last how many seeds passed.
 */
import { deploymentFaultNames, deploymentMixOf, noDeploymentFaultCounts } from "../../emulator/simulation/deployment-faults.ts";
import { deploymentTopologyNames } from "../../emulator/simulation/deployment-topologies.ts";
import type { DeploymentSettings } from "../../emulator/simulation/deployment-settings.ts";
import {
  type DeploymentResult,
  simulateDeployment,
  type SimulateDeploymentOptions,
  smallerDeployments,
} from "../../emulator/simulation/simulate-deployment.ts";
import { messageOf } from "../../runtime/base/errors.ts";
import { minimise, type Reduction } from "../../runtime/testing/simulation/minimise.ts";
import { deployedExampleNames, deployedTopology } from "./deployed-examples.ts";
import { type Command, parseCommand, replayOf, usage } from "./command-line.ts";

type DeploymentReduction = Reduction<DeploymentSettings>;

/** Seeds that fail are made smaller, but for those after so many. */
const minimisedMax = 3;
const shownEvents = 40;
const tracedEvents = 100_000;

/** What runs a seed. */
export function deploymentOptionsOf(
  { topology, without, trace }: Pick<Command, "topology" | "without" | "trace">,
  { faults, ...rest }: DeploymentReduction,
): SimulateDeploymentOptions {
  const mix = faults && deploymentMixOf(faults);
  return { ...rest, topology: deployedTopology(topology), without, faults: mix, ...(trace && { keptEvents: tracedEvents }) };
}

/** A failing run, made smaller. */
export function minimiseDeployment(
  failed: DeploymentResult,
  command: Command,
  { timeMs, now }: { readonly timeMs: number; readonly now: () => number },
) {
  const given = command.reduction as DeploymentReduction;
  return minimise<DeploymentResult>(failed, {
    run: (reduction) => simulateDeployment(failed.seed, deploymentOptionsOf(command, together(given, reduction))),
    faultNames: given.faults ?? deploymentFaultNames,
    smaller: smallerDeployments,
    events: given.events ?? Array.from({ length: failed.sizes.records }, (_, n) => n),
    timeMs,
    now,
  });
}

export function together(given: DeploymentReduction, reduction: DeploymentReduction): DeploymentReduction {
  return { ...given, ...reduction, settings: { ...given.settings, ...reduction.settings } };
}

/** The exit code. */
export async function simulateDeployments(args: readonly string[]): Promise<number> {
  const command = readCommand(args);
  const counts = noDeploymentFaultCounts();
  const acts = new Map<string, number>();
  const seen = new Map<string, number>();
  const sums = { passed: 0, failed: 0, requests: 0, timeouts: 0, checkpoints: 0, generations: 0, virtualMs: 0 };
  const startedAt = performance.now();
  for (let seed = command.from; seed <= command.to; seed++) {
    const result = await simulateDeployment(seed, deploymentOptionsOf(command, command.reduction as DeploymentReduction));
    for (const fault of deploymentFaultNames) counts[fault] += result.faults[fault];
    for (const sum of ["requests", "timeouts", "checkpoints", "generations", "virtualMs"] as const) sums[sum] += result[sum];
    for (const [act, n] of Object.entries(result.acts)) acts.set(act, (acts.get(act) ?? 0) + n);
    for (const [what, n] of result.seen) seen.set(what, (seen.get(what) ?? 0) + n);
    if (result.failure === undefined) sums.passed++;
    else if (++sums.failed > 0) await report(result, command, sums.failed <= minimisedMax);
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  const { requests, timeouts, checkpoints, generations } = sums;
  const hours = (sums.virtualMs / 3_600_000).toFixed(1);
  console.log(`${requests} requests, ${timeouts} time-outs, ${checkpoints} checkpoints, ${generations} generations`);
  console.log(`${hours} hours of the clock in ${seconds.toFixed(1)} s`);
  console.log(`acts: ${[...acts].map(([act, n]) => `${act} ${n}`).join(", ")}`);
  console.log(`seen: ${[...seen].map(([what, n]) => `${what} ${n}`).join(", ")}`);
  console.log(`faults: ${deploymentFaultNames.map((fault) => `${fault} ${counts[fault]}`).join(", ")}`);
  console.log(`${sums.passed} passed, ${sums.failed} failed`);
  return sums.failed > 0 ? 1 : 0;
}

function readCommand(args: readonly string[]): Command {
  try {
    return parseCommand(args, [...deploymentTopologyNames, ...deployedExampleNames], {
      world: "deployment",
      checkFaults: deploymentMixOf,
    });
  } catch (error) {
    console.error(`${messageOf(error)}\n${usage}`);
    process.exit(2);
  }
}

async function report(result: DeploymentResult, command: Command, isMinimised: boolean): Promise<void> {
  const { seed } = result;
  console.log(`seed ${seed} (${result.topology}) failed: ${result.failure?.message}`);
  console.log(`  replay: ${replayOf(command, seed, command.reduction)}`);
  if (command.trace) return show(result, command);
  if (!isMinimised || command.minimiseMs === 0) return;
  const small = await minimiseDeployment(result, command, { timeMs: command.minimiseMs, now: () => performance.now() });
  console.log(`  smaller, of ${small.tries} tries: ${small.result.failure?.message}`);
  show(small.result, command);
  console.log(`  replay it: ${replayOf(command, seed, together(command.reduction as DeploymentReduction, small.reduction))}`);
}

function show({ faultTrace, trace, failure }: DeploymentResult, command: Command): void {
  console.log("  faults:");
  for (const fault of faultTrace) console.log(`    ${fault}`);
  console.log("  what happened last:");
  for (const event of command.trace ? trace : trace.slice(-shownEvents)) console.log(`    ${event}`);
  if (failure?.cause !== undefined) console.log(failure.cause);
}
