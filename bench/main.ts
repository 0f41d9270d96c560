/**
 * The benchmarks: `npm run bench`. Ratios within one run, never bare times: the machine's speed cancels out.
 *
 *   node bench/main.ts [--only tumbling,session,local,ndjson,memory] [--runs 7]
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { sessionCounts, tumblingCounts } from "./counts/baseline.ts";
import { type Kind, type Outcome, runCounts, sessionGapMs } from "./counts/engine.ts";
import { type Checksum, type Event, makeEvents } from "./counts/events.ts";
import { countLines, runLines, writeLines } from "./counts/lines.ts";

const { values } = parseArgs({ options: { only: { type: "string" }, runs: { type: "string" }, grow: { type: "string" } } });
const runs = Number(values.runs ?? 7);
const wanted = (name: string) => values.only === undefined || values.only.split(",").includes(name);

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
}

async function timed<T>(work: () => T | Promise<T>): Promise<{ readonly ms: number; readonly result: T }> {
  const begin = performance.now();
  const result = await work();
  return { ms: performance.now() - begin, result };
}

function sameRows(a: Checksum, b: Checksum): void {
  if (a.text !== b.text) throw new Error(`the results differ: ${a.text} and ${b.text}`);
}

function line(name: string, ratio: string, aim: string, detail: string): void {
  console.log(`${name.padEnd(34)} ${ratio.padStart(8)}   aim ${aim.padEnd(8)} ${detail}`);
}

async function inDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function benchCounts(kind: Kind, events: readonly Event[]): Promise<void> {
  const engine: number[] = [];
  const baseline: number[] = [];
  let last: Outcome | undefined;
  for (let run = 0; run < runs; run++) {
    const plain = await timed(() => (kind === "tumbling" ? tumblingCounts(events) : sessionCounts(events, sessionGapMs)));
    const ours = await timed(() => runCounts(kind, events));
    sameRows(plain.result, ours.result.checksum);
    baseline.push(plain.ms);
    engine.push(ours.ms);
    last = ours.result;
  }
  const perSecond = Math.round((events.length / median(engine)) * 1_000);
  const detail = `${perSecond.toLocaleString("en")} events/s, ${last?.checkpoints} checkpoints; ${last?.checksum.text}`;
  line(`${kind} count: engine / baseline`, (median(baseline) / median(engine)).toFixed(2), "≥ 0.30", detail);
}

async function benchLocal(events: readonly Event[]): Promise<void> {
  const memory: number[] = [];
  const local: number[] = [];
  for (let run = 0; run < Math.min(runs, 5); run++) {
    const inMemory = await timed(() => runCounts("tumbling", events));
    const onDisk = await inDirectory((directory) =>
      timed(() => runCounts("tumbling", events, { directory: join(directory, "state") })),
    );
    sameRows(inMemory.result.checksum, onDisk.result.checksum);
    memory.push(inMemory.ms);
    local.push(onDisk.ms);
  }
  const perSecond = Math.round((events.length / median(local)) * 1_000);
  line(
    "tumbling count: local / memory",
    (median(memory) / median(local)).toFixed(2),
    "≥ 0.50",
    `${perSecond.toLocaleString("en")} events/s`,
  );
}

async function benchLines(events: readonly Event[]): Promise<void> {
  await inDirectory(async (directory) => {
    const file = join(directory, "events.ndjson");
    writeLines(file, events);
    const plain: number[] = [];
    const engine: number[] = [];
    for (let run = 0; run < Math.min(runs, 5); run++) {
      plain.push((await timed(() => countLines(file))).ms);
      engine.push((await timed(() => runLines(file))).ms);
    }
    const ratio = (median(engine) / median(plain)).toFixed(2);
    line("NDJSON to result / read+split+parse", ratio, "≤ 2.20", `${events.length.toLocaleString("en")} lines`);
  });
}

/** In a process of its own, so that nothing else is counted. */
function benchMemory(): void {
  const child = spawnSync(process.execPath, [import.meta.filename, "--grow", "10"], { encoding: "utf8" });
  if (child.status !== 0) throw new Error(child.stderr);
  line(
    "peak RSS, 10,000,000 events",
    `${child.stdout.trim()} MB`,
    "< 512 MB",
    "tumbling count over 100,000 keys, memory adapter",
  );
}

/** A million events, held once, are read ten times, each round later: what is kept besides is the state. */
async function grow(repeat: number): Promise<void> {
  const { peakRssMb } = await runCounts("tumbling", makeEvents(1_000_000, 100_000), { repeat });
  console.log(Math.round(peakRssMb));
}

async function main(): Promise<void> {
  if (values.grow !== undefined) return grow(Number(values.grow));
  console.log(`1,000,000 events over 100,000 keys, turns of 10,000 records, each committed as bytes; median of ${runs}\n`);
  const events = makeEvents(1_000_000, 100_000);
  for (const kind of ["tumbling", "session"] as const) if (wanted(kind)) await benchCounts(kind, events);
  if (wanted("local")) await benchLocal(events);
  if (wanted("ndjson")) await benchLines(events);
  if (wanted("memory")) benchMemory();
  console.log("\nNot measured here: parallelism above 1, cold starts, state larger than memory, a disk flush per commit.");
}

await main();
