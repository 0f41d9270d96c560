/**
 * `npm run e2e:resharding`: a stream is split twice and merged once under load, in each shape of a job.
 *
 *   … --shape oneTask --seconds 60 --rate 2000 --seed 3
 *   … --log events.txt   what functions print and what fails
 */
import { createWriteStream } from "node:fs";
import { parseArgs } from "node:util";
import { describeEvent } from "../../../cli/cloud-display.ts";
import type { CloudEvent } from "../../../emulator/cloud/index.ts";
import type { Shape } from "./job.ts";
import { runResharding } from "./run.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seconds: { type: "string", default: "60" },
    /** Events per second. */
    rate: { type: "string", default: "2000" },
    shape: { type: "string" },
    log: { type: "string" },
    undisturbed: { type: "boolean", default: false },
  },
});

const log = values.log === undefined ? undefined : createWriteStream(values.log);
const onEvent = (event: CloudEvent) => {
  const line = describeEvent(event);
  if (line !== undefined) log?.write(`${new Date().toISOString()} ${line}\n`);
};
let red = false;

for (const shape of ["oneTask", "exchange", "taskPerShard"] as const satisfies readonly Shape[]) {
  if (values.shape !== undefined && values.shape !== shape) continue;
  console.log(`shape ${shape}, seed ${values.seed}`);
  const { failures, events, putMs, drainMs, trouble, standstills } = await runResharding({
    shape,
    seed: Number(values.seed),
    eventsPerSecond: Number(values.rate),
    inputMs: Number(values.seconds) * 1_000,
    killEvery: values.undisturbed ? undefined : [2_000, 5_000],
    faultChance: values.undisturbed ? 0 : 0.003,
    timeoutMs: Number(values.seconds) * 1_000 + 240_000,
    onEvent,
    print: (line) => console.log(`  ${line}`),
  });
  console.log(
    `  ${events} events, ${Math.round((events / putMs) * 1_000)} a second; worked off ${drainMs} ms after the last; ${trouble.kills} kills`,
  );
  for (const { change, shard, waitedMs, pauseMs, refused, throttled } of standstills)
    console.log(
      `  ${change} ${shard}: waited ${waitedMs} ms, paused ${pauseMs} ms, ${refused} deliveries refused, ${throttled} throttled`,
    );
  for (const failure of failures) console.log(`  RED ${failure}`);
  if (failures.length === 0) console.log("  green: every output is that of the input");
  red ||= failures.length > 0;
}
process.exitCode = red ? 1 : 0;
