/**
 * `npm run e2e`: both scenarios, or one, in the emulated cloud.
 *
 *   npm run e2e -- --seed 7 --minutes 3 --scenario a
 *   npm run e2e -- --without R5       the rule is broken: the run must be red
 *   npm run e2e -- --log events.txt   what functions print and what fails
 */
import { createWriteStream } from "node:fs";
import { parseArgs } from "node:util";
import { describeEvent } from "../../cli/cloud-display.ts";
import type { CloudEvent } from "../../emulator/cloud/index.ts";
import type { Safeguard } from "../../runtime/task/safeguards.ts";
import { describeRun } from "./describe-run.ts";
import { ordersScenario } from "./orders-scenario.ts";
import { pageviewsScenario } from "./pageviews-scenario.ts";
import { runScenario } from "./run-scenario.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    /** Of input, for each scenario. */
    minutes: { type: "string", default: "2" },
    /** How many minutes beyond its input a scenario may take. */
    patience: { type: "string", default: "8" },
    scenario: { type: "string" },
    "records-per-second": { type: "string", default: "100" },
    without: { type: "string" },
    /** Of the checkpoints that are retained at the end, how many are restored. */
    restores: { type: "string" },
    log: { type: "string" },
    /** Nothing is killed, refused or cut. */
    undisturbed: { type: "boolean", default: false },
  },
});

const inputMs = Number(values.minutes) * 60_000;
const records = Math.max(800, Math.round((inputMs / 1_000) * Number(values["records-per-second"])));
const log = values.log === undefined ? undefined : createWriteStream(values.log);
const onEvent = (event: CloudEvent) => {
  const line = describeEvent(event);
  if (line !== undefined) log?.write(`${new Date().toISOString()} ${line}\n`);
};
const ended = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => ended.abort(new Error(`ended by ${signal}`)));
let red = false;

for (const scenario of [pageviewsScenario, ordersScenario]) {
  if (values.scenario !== undefined && values.scenario !== scenario.name) continue;
  console.log(`scenario ${scenario.name}, seed ${values.seed}`);
  const report = await runScenario(scenario, {
    seed: Number(values.seed),
    records,
    inputMs,
    checkpointMs: 5_000,
    killEvery: values.undisturbed ? undefined : [1_000, 4_000],
    faultChance: values.undisturbed ? 0 : 0.01,
    restores: Number(values.restores ?? Infinity),
    timeoutMs: inputMs + Number(values.patience) * 60_000,
    without: values.without as Safeguard | undefined,
    onEvent,
    signal: ended.signal,
    print: (line) => console.log(`  ${line}`),
  });
  for (const line of describeRun(report)) console.log(`  ${line}`);
  red ||= report.failures.length > 0;
}
process.exitCode = red ? 1 : 0;
