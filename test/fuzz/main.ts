/**
 * `npm run fuzz`: bytes of all kinds for everything that decodes, for as long as there is time.
 *
 *   npm run fuzz -- --seconds 600                    all decoders in turn
 *   npm run fuzz -- --seconds 60 --decoder frame     one
 *   npm run fuzz -- --seed 7                         what a run before found
 *
 * Prints the runs of each decoder and, of a failure, the smallest bytes that show it. Ends with 1 when there was one.
 */
import { parseArgs } from "node:util";
import { decoders } from "./decoders.ts";
import { fuzz, type Fuzzed } from "./fuzz.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    decoder: { type: "string" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
  },
});

const names = decoders.map(({ name }) => name).filter((name) => values.decoder === undefined || name === values.decoder);
if (names.length === 0) {
  console.error(`no such decoder: ${values.decoder}\nusage: npm run fuzz -- [--seconds N] [--seed N] [--decoder NAME], of:`);
  for (const { name } of decoders) console.error(`  ${name}`);
  process.exit(2);
}

const seed = Number(values.seed);
const ms = (Number(values.seconds) * 1_000) / names.length;
let failed = 0;
console.log(`seed ${seed}`);
for (const decoder of names) {
  const [{ runs, failure }] = (await fuzz({ names: [decoder], seed, runs: Number.MAX_SAFE_INTEGER, ms })) as [Fuzzed];
  console.log(`${failure === undefined ? "passed" : "FAILED"} ${decoder}: ${runs} runs`);
  if (failure === undefined) continue;
  failed++;
  console.log(`  bytes: ${failure.bytes}\n  ${failure.error.split("\n").slice(0, 12).join("\n  ")}`);
  console.log(`  replay: npm run fuzz -- --seed ${seed} --decoder "${decoder}"`);
}
console.log(`${names.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
