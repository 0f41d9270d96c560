/**
 * How fast the engine counts, beside programs without an engine that compute the same from the same events; and what the parts around
 * it take and cost.
 *
 * Every comparison runs its sides in turns, in one process, after one round that does not count, and says the median of each. Fails
 * when the results differ. Nothing is asserted about time: figures depend on the machine and on what else it does.
 *
 *     npm run bench -- [--only <section>] [--runs 7]
 *
 * Sections are in docs/benchmarks.md.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { sessionCounts, slidingCounts, sortedSessionCounts, tumblingCounts } from "./counts/baseline.ts";
import { inputOf, type Outcome, recordsPerTurn, runCounts, sessionGapMs, turnsPerCheckpoint } from "./counts/engine.ts";
import { measureTurns, median as medianOf } from "./turn/measure.ts";
import { type Event, makeEvents, scatterEvents } from "./counts/events.ts";
import { ndjsonInput, parseNdjson, writeNdjson } from "./counts/ndjson.ts";

const eventCount = 1_000_000;
const keyCount = 100_000;
/** Over fewer keys: with so many, nearly every record would have sixty results of its own. */
const slidingKeyCounts = [100, 1_000];
/** A third of the neighbours are further apart than a session's gap; out of order by an hour, a key has some hundred sessions open. */
const scattered = { count: 100_000, keys: 10, apartMs: 12_000, withinMs: 3_600_000 };
const memoryEventCount = 10_000_000;
const aims = { counts: 0.3, linear: 1, sliding: 4, lateness: 1, local: 0.5, ndjson: 2.2, memoryMb: 512, turn: 2.2 };

const { values } = parseArgs({ options: { only: { type: "string" }, runs: { type: "string", default: "7" } } });
const runs = Number(values.runs);
const sections = {
  ...{ tumbling: () => counts("tumbling"), session: () => counts("session") },
  ...{ "sessions-linear": sessionsLinear, sliding: slidingOverTumbling, lateness, local, ndjson, memory },
  ...{
    turn,
    heap: program("heap/main.ts"),
    kinesis: program("kinesis.ts"),
    producer: program("producer.ts"),
    "cold-start": program("cold-start.ts"),
  },
  ...{ cost: program("cost/main.ts") },
};

interface Timed<T> {
  readonly ms: number;
  readonly result: T;
}

/** The median time of each side, and its last result. */
async function inTurns<A, B>(
  a: () => A | Promise<A>,
  b: () => B | Promise<B>,
): Promise<{ readonly a: Timed<A>; readonly b: Timed<B> }> {
  const [timedA, timedB] = await allInTurns([a, b]);
  return { a: timedA, b: timedB };
}

async function allInTurns<const S extends readonly (() => unknown)[]>(
  sides: S,
): Promise<{ readonly [I in keyof S]: Timed<Awaited<ReturnType<S[I]>>> }> {
  const times = sides.map((): Timed<any>[] => []);
  for (let run = -1; run < runs; run++)
    for (const [i, side] of sides.entries()) {
      const result = await timed(side);
      if (run >= 0) times[i]!.push(result);
    }
  return times.map(median) as never;
}

async function timed<T>(work: () => T | Promise<T>): Promise<Timed<T>> {
  const from = performance.now();
  const result = await work();
  return { ms: performance.now() - from, result };
}

function median<T>(times: Timed<T>[]): Timed<T> {
  return times.sort((x, y) => x.ms - y.ms)[times.length >> 1]!;
}

function report(name: string, figures: readonly string[]): void {
  console.log(`${name.padEnd(17)}${figures.map((figure) => figure.padEnd(36)).join("")}`.trimEnd());
}

function rate(name: string, ms: number, of = eventCount): string {
  return `${name} ${Math.round(ms)} ms, ${Math.round(of / ms)}k/s`;
}

function ratio(name: string, value: number, aim: string): string {
  return `${name} ${value.toFixed(2)} (aim ${aim})`;
}

function same(what: string, actual: string, expected: string): string {
  if (actual !== expected) throw new Error(`${what}: the results differ: ${actual}, expected ${expected}`);
  return actual;
}

type Events = readonly Event[];
let made: Events | undefined;
function events(): Events {
  return (made ??= makeEvents(eventCount, keyCount));
}

function baseline(kind: "tumbling" | "session"): string {
  return (kind === "tumbling" ? tumblingCounts(events()) : sessionCounts(events(), sessionGapMs)).text;
}

async function counts(kind: "tumbling" | "session"): Promise<void> {
  const { a, b } = await inTurns(
    () => baseline(kind),
    () => runCounts(kind, inputOf(events())),
  );
  report(kind, [
    ratio("ratio", a.ms / b.ms, `≥ ${aims.counts}`),
    rate("engine", b.ms),
    rate("baseline", a.ms),
    written(b.result),
    same(kind, b.result.checksum.text, a.result),
  ]);
}

function written({ commits, checkpoints }: Outcome): string {
  return `${commits} commits, ${checkpoints} checkpoints`;
}

/**
 * Sessions of few keys whose events are far out of order: each opens one, extends one or makes one of two. The time of an event, as
 * there are twice and four times as many.
 */
async function sessionsLinear(): Promise<void> {
  const { count, keys, apartMs, withinMs } = scattered;
  const [n, twice, fourfold] = [1, 2, 4].map((times) => scatterEvents(times * count, keys, apartMs, withinMs)) as [
    Events,
    Events,
    Events,
  ];
  const run = (events: Events) => () => runCounts("scattered", inputOf(events));
  const [a, b, c] = await allInTurns([run(n), run(twice), run(fourfold)]);
  const perEvent = (timed: Timed<Outcome>, events: Events) => (timed.ms / events.length) * 1_000;
  for (const [{ result }, events] of [[a, n] as const, [b, twice] as const, [c, fourfold] as const])
    same("sessions-linear", result.checksum.text, sortedSessionCounts(events, sessionGapMs).text);
  report("sessions-linear", [
    ratio("4n over n", perEvent(c, fourfold) / perEvent(a, n), `about ${aims.linear}`),
    ratio("2n over n", perEvent(b, twice) / perEvent(a, n), `about ${aims.linear}`),
    `µs an event ${[perEvent(a, n), perEvent(b, twice), perEvent(c, fourfold)].map((us) => us.toFixed(2)).join(", ")}`,
    `n ${n.length.toLocaleString("en")} of ${keys} keys`,
    c.result.checksum.text,
  ]);
}

/** Windows of a minute every second beside windows of a minute. */
async function slidingOverTumbling(): Promise<void> {
  for (const keys of slidingKeyCounts) {
    const few = makeEvents(eventCount, keys);
    const { a, b } = await inTurns(
      () => runCounts("tumbling", inputOf(few)),
      () => runCounts("sliding", inputOf(few)),
    );
    report("sliding", [
      ratio("times tumbling", b.ms / a.ms, `≤ ${aims.sliding}`),
      rate("sliding", b.ms),
      rate("tumbling", a.ms),
      `${keys.toLocaleString("en")} keys`,
      same("sliding", b.result.checksum.text, slidingCounts(few, 60_000, 1_000).text),
    ]);
  }
}

/** Windows that wait five minutes for late records, of which there are none, beside windows that do not. */
async function lateness(): Promise<void> {
  const { a, b } = await inTurns(
    () => runCounts("tumbling", inputOf(events())),
    () => runCounts("lateness", inputOf(events())),
  );
  report("lateness", [
    ratio("times without", b.ms / a.ms, String(aims.lateness)),
    rate("with", b.ms),
    rate("without", a.ms),
    same("lateness", b.result.checksum.text, a.result.checksum.text),
  ]);
}

async function local(): Promise<void> {
  const { a, b } = await inTurns(
    () => runCounts("tumbling", inputOf(events())),
    () => inDirectory((directory) => runCounts("tumbling", inputOf(events()), directory)),
  );
  report("local", [
    ratio("of memory", a.ms / b.ms, `≥ ${aims.local}`),
    rate("local", b.ms),
    rate("memory", a.ms),
    written(b.result),
    same("local", b.result.checksum.text, a.result.checksum.text),
  ]);
}

async function inDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function ndjson(): Promise<void> {
  await inDirectory(async (directory) => {
    const path = join(directory, "views.ndjson");
    writeNdjson(path, eventCount, keyCount);
    const { a, b } = await inTurns(
      () => parseNdjson(path),
      () => runCounts("tumbling", ndjsonInput(path)),
    );
    report("ndjson", [
      ratio("times plain", b.ms / a.ms, `≤ ${aims.ndjson}`),
      rate("file to result", b.ms),
      rate("read, split, parse", a.ms),
      written(b.result),
      same("ndjson", b.result.checksum.text, baseline("tumbling")),
    ]);
  });
}

async function memory(): Promise<void> {
  const program = join(import.meta.dirname, "counts/peak-memory.ts");
  const child = await timed(() => promisify(execFile)(process.execPath, [program, String(memoryEventCount), String(keyCount)]));
  const { peakRssMb, checkpoints, checksum, expected } = JSON.parse(child.result.stdout);
  report("memory", [
    `peak ${Math.round(peakRssMb)} MB (aim < ${aims.memoryMb})`,
    `${memoryEventCount / 1e6} million events`,
    "tumbling, `memory`",
    `${checkpoints} checkpoints`,
    same("memory", checksum, expected),
  ]);
}

/** By CPU time of the thread, since others may work on the machine. */
async function turn(): Promise<void> {
  for (const input of ["records", "event"] as const) {
    const { rounds, commitKb, results } = await measureTurns(input, runs, keyCount);
    const lowest = rounds.toSorted((a, b) => a.ratio - b.ratio)[0]!;
    const middle = (of: "ratio" | "engine" | "plain" | "withResults") => medianOf(rounds.map((round) => round[of]));
    report(`turn, ${input}`, [
      ratio("times plain", middle("ratio"), `≤ ${aims.turn}`),
      `lowest ${lowest.ratio.toFixed(2)}`,
      `CPU ms a turn: engine ${middle("engine").toFixed(1)}, plain ${middle("plain").toFixed(1)}`,
      `with closing windows ${middle("withResults").toFixed(2)}`,
      `${commitKb.toFixed(0)} KB a commit, ${results}, load ${loadavg()[0]!.toFixed(1)}`,
    ]);
  }
}

/** A section that is a program of its own, in a process of its own. */
function program(path: string): () => Promise<void> {
  return async () => {
    const child = spawn(process.execPath, [join(import.meta.dirname, path)], { stdio: "inherit" });
    const [code] = (await once(child, "exit")) as [number | null];
    if (code !== 0) throw new Error(`bench/${path} failed: ${code}`);
  };
}

const selected = Object.entries(sections).filter(([name]) => values.only === undefined || values.only === name);
if (selected.length === 0 || !(runs >= 1)) {
  console.error(`no such section, or no runs: --only is one of ${Object.keys(sections).join(", ")}, --runs at least 1`);
  process.exit(1);
}
console.log(
  [
    `${eventCount.toLocaleString("en")} events over ${keyCount.toLocaleString("en")} keys, median of ${runs}, sides in turns`,
    `turns of ${recordsPerTurn.toLocaleString("en")} records, each committed as bytes; a checkpoint every ${turnsPerCheckpoint} turns`,
    `Node ${process.versions.node}, ${availableParallelism()} × ${cpus()[0]?.model ?? "unknown"}`,
    "",
  ].join("\n"),
);
for (const [, run] of selected) await run();
console.log(
  [
    "",
    "tumbling: windows of a minute; session: a gap of 15 s; sessions-linear: the same, up to an hour out of order; sliding: a minute every second; lateness: a minute, and five for late ones.",
    "Ratio: throughput of the engine / of the baseline (bench/counts/baseline.ts).",
    "turn: 10,000 records of a Kinesis stream, 200 bytes of JSON each, to the commit's bytes; plain: decode and JSON.parse of the same bytes; event: both from the mapping's event.",
    "ndjson: files() and json() into the tumbling count, 190 bytes a line; plain: readFileSync, split, JSON.parse of the same file.",
    "Not measured: exchanges (one task), the network, restoring, timers of authors, sinks that do more than take bytes, reading the rows back.",
  ].join("\n"),
);
