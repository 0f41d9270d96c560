/** A failing seed is made smaller, and what is printed does the smaller run again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { commonFaults, mixOf } from "../../runtime/testing/simulation/fault-mix.ts";
import { minimise } from "../../runtime/testing/simulation/minimise.ts";
import { type SeedResult, simulateSeed } from "../../runtime/testing/simulation/simulate.ts";
import { deploymentMixOf } from "../../emulator/simulation/deployment-faults.ts";
import { simulateDeployment } from "../../emulator/simulation/simulate-deployment.ts";
import { type Command, optionsOf, parseCommand, replayOf } from "./command-line.ts";
import { deploymentOptionsOf, minimiseDeployment } from "./deployment-world.ts";

const names = ["small"];

async function firstFailure(): Promise<SeedResult> {
  for (let seed = 1; seed <= 40; seed++) {
    const result = await simulateSeed(seed, { topology: "small", without: "R3" });
    if (result.failure !== undefined) return result;
  }
  assert.fail("R3 can be left out without notice");
}

test("a rule that is switched off fails in a smaller run as well, which its command does again", async () => {
  const failed = await firstFailure();
  const { seed } = failed;
  const command = parseCommand(["--topology", "small", "--without", "R3"], names);
  let tries = 0;
  const small = await minimise(failed, {
    run: (reduction) => simulateSeed(seed, optionsOf(command, reduction)),
    events: Array.from({ length: failed.sizes.records }, (_, n) => n),
    // A clock of its own: the same tries on every machine.
    now: () => tries++,
    timeMs: 400,
  });
  assert.equal(small.result.failure?.message.slice(0, 3), failed.failure?.message.slice(0, 3));
  const { reduction } = small;
  assert.ok(small.result.happened.length < failed.happened.length / 4, `${small.result.happened.length} faults`);
  assert.ok(reduction.events !== undefined && reduction.events.length < failed.sizes.records, "no fewer records");
  const line = replayOf(command, seed, reduction);
  const words = line
    .split(" -- ")[1]!
    .split(" ")
    .map((word) => (word === "''" ? "" : word));
  const again = parseCommand(words, names);
  const { hash, failure } = await simulateSeed(again.from, optionsOf(again, again.reduction));
  assert.deepEqual([hash, failure?.message], [small.result.hash, small.result.failure?.message], line);
});

test("a run that takes no event and no fault is told so that a shell gives it back", () => {
  const reduction = { events: [], only: [] };
  const line = replayOf({ world: "engine", topology: undefined, without: "L1" }, 2, reduction);
  assert.equal(line, "npm run simulate -- --seeds 2..2 --without L1 --events '' --only ''");
  const words = ["--seeds", "2..2", "--without", "L1", "--events", "", "--only", ""];
  assert.deepEqual(parseCommand(words, names).reduction, reduction);
});

test("a command that cannot be meant is refused", () => {
  for (const [args, problem] of [
    [["--seeds", "a..b"], /--seeds must be A\.\.B: a\.\.b/],
    [["--topology", "large"], /no such topology: large: there are small/],
    [["--faults", "flood"], /no such fault: flood/],
    [["--without", "R99"], /no such rule: R99/],
    [["--events", "x"], /numbers are written as/],
    [["--nonsense"], /nonsense/],
  ] as const)
    assert.throws(() => parseCommand(args, names), problem);
  assert.deepEqual(mixOf(["crash"]), {
    ...mixOf([]),
    crashBefore: commonFaults.crashBefore,
    crashAfter: commonFaults.crashAfter,
    commitOnly: commonFaults.commitOnly,
  });
});

test("so is a deployment's, and its command does the smaller one again", async () => {
  const command = parseCommand(["--topology", "small", "--without", "R4"], names, { world: "deployment" });
  const failed = await firstDeploymentFailure(command);
  let tries = 0;
  const small = await minimiseDeployment(failed, command, { now: () => tries++, timeMs: 48 });
  assert.ok(small.reduction.events!.length < failed.sizes.records, "no fewer records");
  assert.ok(small.result.happened.length < failed.happened.length / 2, `${small.result.happened.length} faults`);
  const line = replayOf(command, failed.seed, small.reduction);
  assert.match(line, /^npm run simulate -- --world deployment --seeds \d/);
  const words = line.split("--world deployment ")[1]!.split(" ");
  const again = parseCommand(
    words.map((word) => (word === "''" ? "" : word)),
    names,
    { world: "deployment", checkFaults: deploymentMixOf },
  );
  const { hash, failure } = await simulateDeployment(again.from, deploymentOptionsOf(again, again.reduction));
  assert.deepEqual([hash, failure?.message], [small.result.hash, small.result.failure?.message], line);
});

test("of a deployment's faults those alone happen that are named", async () => {
  const only = [1, 3, 4, 8];
  const { happened, failure } = await simulateDeployment(2, { topology: "small", only });
  assert.deepEqual([happened, failure], [only, undefined]);
});

async function firstDeploymentFailure(command: Command) {
  for (let seed = 1; seed <= 8; seed++) {
    const failed = await simulateDeployment(seed, deploymentOptionsOf(command, {}));
    if (failed.failure !== undefined) return failed;
  }
  return assert.fail("R4 can be left out without notice");
}
