/**
 * `npm run kill-test`: an undisturbed run of half a minute, and the same run killed with -9 every few dozen reads, at parallelism 1 and 2.
 *
 *   npm run kill-test -- --seed 7
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { coverage, type KillTestOptions, runKillTest, runUndisturbed } from "./kill-test.ts";

const { values } = parseArgs({ options: { seed: { type: "string", default: "1" } } });
const directory = await mkdtemp(join(tmpdir(), "millrace-kill-"));
let red = false;

for (const parallelism of [1, 2]) {
  const options: KillTestOptions = {
    directory: join(directory, `parallelism-${parallelism}`),
    seed: Number(values.seed),
    events: 96_000,
    eventsPerSecond: 2_000,
    parallelism,
    recordsPerRead: 100,
    life: [10, 50],
    killsMin: 20,
    print: (line) => console.log(`  ${line}`),
  };
  console.log(`parallelism ${parallelism}, seed ${values.seed}`);
  const undisturbed = await runUndisturbed(options);
  console.log(`  undisturbed: ${seconds(undisturbed.tookMs)}`);
  const report = await runKillTest(options);
  const { checkpoint, effects } = coverage(report);
  const failures = [...undisturbed.failures, ...report.failures];
  if (undisturbed.tookMs < 30_000) failures.push(`the undisturbed run took ${seconds(undisturbed.tookMs)}, less than 30 s`);
  if (checkpoint === 0 || effects === 0) failures.push("no kill during a checkpoint, or none between a commit and its effects");
  console.log(
    `  ${report.kills} kills in ${seconds(report.tookMs)}, ${checkpoint} during a checkpoint, ${effects} between a commit and the end of its effects`,
  );
  console.log(
    `  records read again: ${report.readAgain}, allowed ${report.readAgainMax} (${report.kills} × ${report.recordsPerTurnMax}); published files checked: ${report.filesChecked}`,
  );
  for (const failure of failures) console.log(`  RED ${failure}`);
  if (failures.length === 0) console.log("  green: every row equals the oracle's");
  red ||= failures.length > 0;
}

if (red) console.log(`what the runs left is in ${directory}`);
else await rm(directory, { recursive: true, force: true });
process.exitCode = red ? 1 : 0;

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
