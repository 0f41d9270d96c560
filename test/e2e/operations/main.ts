/**
 * `npm run e2e:operations`: a job is operated by its commands under load: resharded, rescaled, rolled back, redriven, forked.
 *
 *   … --rate 2000 --rest 10 --seed 3
 *   … --short            resharded, rescaled and redriven alone, at a low rate, undisturbed: about a minute
 *   … --undisturbed      nothing is killed, refused or cut
 *   … --act "rescale to 4"   this alone, or several
 *   … --log events.txt   what functions print and what fails
 */
import { createWriteStream } from "node:fs";
import { parseArgs } from "node:util";
import { describeEvent } from "../../../cli/cloud-display.ts";
import type { CloudEvent } from "../../../emulator/cloud/index.ts";
import { allActs, runOperations } from "./run.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    /** Events per second. */
    rate: { type: "string", default: "2000" },
    /** Seconds between one operation and the next. */
    rest: { type: "string", default: "10" },
    /** Minutes that it may take. */
    patience: { type: "string", default: "15" },
    log: { type: "string" },
    undisturbed: { type: "boolean", default: false },
    short: { type: "boolean", default: false },
    /** Default: all. */
    act: { type: "string", multiple: true },
  },
});
const calm = values.undisturbed || values.short;
const eventsPerSecond = values.short ? 100 : Number(values.rate);

const log = values.log === undefined ? undefined : createWriteStream(values.log);
const onEvent = (event: CloudEvent) => {
  const line = describeEvent(event);
  if (line !== undefined) log?.write(`${new Date().toISOString()} ${line}\n`);
};
console.log(`seed ${values.seed}, ${eventsPerSecond} events a second${calm ? ", undisturbed" : ""}`);
const { failures, events, trouble, stoodStill, standstills, loadAverageMax } = await runOperations({
  seed: Number(values.seed),
  ...(values.short && { acts: ["reshard", "rescale to 2", "redrive"] as const }),
  ...(values.act !== undefined && { acts: allActs.filter((act) => values.act!.includes(act)) }),
  eventsPerSecond,
  restMs: values.short ? 300 : Number(values.rest) * 1_000,
  killEvery: calm ? undefined : [3_000, 8_000],
  faultChance: calm ? 0 : 0.003,
  timeoutMs: Number(values.patience) * 60_000,
  onEvent,
  print: (line) => console.log(`  ${line}`),
});
const { kills, coordinatorKills, throttles, drops } = trouble;
console.log(
  `  ${events} events; ${kills} kills, ${coordinatorKills} of the coordinator; ${throttles} calls refused, ${drops} cut`,
);
for (const { change, shard, waitedMs, pauseMs } of standstills)
  console.log(`  ${change} ${shard}: waited ${waitedMs} ms, paused ${pauseMs} ms`);
for (const { act, ms, parts } of stoodStill) console.log(`  ${act}: stood still for ${ms} ms; ${JSON.stringify(parts)}`);
console.log(`  load average of a minute, at most: ${loadAverageMax.toFixed(1)}`);
for (const failure of failures) console.log(`  RED ${failure}`);
if (failures.length === 0) console.log("  green: every output is that of the input");
process.exitCode = failures.length > 0 ? 1 : 0;
