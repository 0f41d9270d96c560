/**
 * Whether a function's heap stays as it is: the heap after 100, 500 and 1,000 turns of 1,000 records with a checkpoint every 10, measured
 * after a collection, in a process of its own.
 *
 *     npm run bench -- --only heap
 *     node --expose-gc bench/heap/main.ts [--turns 1000]
 *
 * What is stored lies in the same process: it is trimmed as a deployment would be, and what is left of it is said beside the heap.
 */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { countJob } from "../cost/count-job.ts";
import { Producer } from "../cost/producer.ts";
import { VirtualFunctions } from "../cost/virtual-functions.ts";

const { values } = parseArgs({ options: { turns: { type: "string", default: "1000" } } });
const recordsPerTurn = 1_000;
/** Event time of a turn: a window closes every sixth. */
const turnSeconds = 10;

if (globalThis.gc === undefined) {
  const again = spawnSync(process.execPath, ["--expose-gc", ...process.argv.slice(1)], { stdio: "inherit" });
  process.exit(again.status ?? 1);
}

const functions = new VirtualFunctions(countJob(true));
const producer = new Producer(recordsPerTurn / turnSeconds, functions.services);
const turns = Number(values.turns);
const marks = [0.1, 0.5, 1].map((share) => Math.round(turns * share));
const heaps: number[] = [];
console.log(`task and coordinator, ${recordsPerTurn} records a turn, 100,000 keys, a checkpoint a minute; MB`);
for (let turn = 1; turn <= turns; turn++) {
  for (let second = 0; second < turnSeconds; second++) {
    producer.produce(functions.world.now());
    if (second === turnSeconds - 1) functions.deliver();
    if (functions.world.now() % 60_000 === 0) functions.look();
    await functions.run(functions.world.now() + 1_000);
  }
  if (functions.failures.length > 0) throw functions.failures[0];
  if (!marks.includes(turn)) continue;
  functions.services.empty("counts");
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  const stored = functions.services.objectBytes + functions.services.tableBytes;
  const mb = (bytes: number) => (bytes / 1e6).toFixed(1).padStart(6);
  console.log(
    `turn ${String(turn).padStart(5)}  heap ${mb(heapUsed)}  outside it ${mb(external)}  of both, stored by the simulated services ${mb(stored)}`,
  );
  heaps.push(heapUsed);
}
console.log(`last over first ${(heaps.at(-1)! / heaps[0]!).toFixed(3)} (aim about 1)`);
