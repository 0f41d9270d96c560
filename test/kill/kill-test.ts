/**
 * Runs the example again and again, kills it with -9 each time until it finishes, and holds what it leaves to what an undisturbed
 * run would have left: nothing lost, nothing twice, no published file touched, little read again.
 */
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type ChildOrder, checkpointPlaces, type Place, places, readEnough, type TraceLine } from "./orders.ts";

export interface KillTestOptions {
  /** Where everything is put; emptied first. */
  readonly directory: string;
  readonly seed: number;
  readonly events: number;
  /** Default: as many as can be. */
  readonly eventsPerSecond?: number;
  readonly parallelism: number;
  readonly recordsPerRead: number;
  /** How often a child reads before it is killed. */
  readonly life: readonly [least: number, most: number];
  readonly killsMin: number;
  /** As `ChildOrder.replay`. */
  readonly replay?: boolean;
  readonly print?: (line: string) => void;
}

export interface KillReport {
  /** What went wrong; empty: the test is green. */
  readonly failures: readonly string[];
  readonly kills: number;
  readonly killsAt: Readonly<Partial<Record<Place, number>>>;
  readonly readAgain: number;
  readonly readAgainMax: number;
  readonly recordsPerTurnMax: number;
  readonly filesChecked: number;
  readonly tookMs: number;
}

const runsMax = 400;
/** So long after it has read enough a child is killed, at most: anywhere in what it then does. */
const waitMsMax = 50;
const example = join(import.meta.dirname, "child.ts");
const oracle = join(import.meta.dirname, "oracle.mjs");

/** A file of events, out of order by less than a minute. Returns the offsets at which lines end. */
export async function writeInput(path: string, events: number, seed: number): Promise<number[]> {
  const random = randomOf(seed);
  const lines: string[] = [];
  const ends: number[] = [];
  for (let n = 0, end = 0; n < events; n++) {
    const at = Date.UTC(2025, 0, 1) + n * 100 - Math.floor(random() * 59_000);
    const page = `/page-${Math.floor(random() ** 2 * 50)}`;
    const line = `${JSON.stringify({ user: `user-${Math.floor(random() * 200)}`, page, at })}\n`;
    lines.push(line);
    ends.push((end += Buffer.byteLength(line)));
  }
  await writeFile(path, lines.join(""));
  return ends;
}

export async function runKillTest(options: KillTestOptions): Promise<KillReport> {
  const { directory, seed, print = () => undefined } = options;
  const startedAt = performance.now();
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const input = join(directory, "events.ndjson");
  const output = join(directory, "results");
  const trace = join(directory, "trace.ndjson");
  const ends = await writeInput(input, options.events, seed);
  const random = randomOf(seed + 1);
  const failures: string[] = [];
  const killsAt: Partial<Record<Place, number>> = {};
  let kills = 0;
  let readAgain = 0;
  let recordsPerTurnMax = 0;
  let readBefore = 0;
  let published = new Map<string, string>();

  for (let run = 1; run <= runsMax; run++) {
    const place = run % 2 === 0 ? places[Math.floor(random() * places.length)]! : "anywhere";
    const [least, most] = options.life;
    const afterReads = least + Math.floor(random() * (most - least + 1));
    await writeFile(trace, "");
    const order = { trace, place, afterReads, recordsPerRead: options.recordsPerRead, replay: options.replay ?? true };
    const ended = await runChild(argumentsOf(options, input, output), order, random() * waitMsMax);
    const lines = (await readFile(trace, "utf8"))
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as TraceLine);
    const reads = lines.flatMap((line) => ("read" in line ? [line] : []));
    // One that was killed when all was done has nothing to say, and reads nothing.
    const again = reads.length === 0 ? 0 : recordsBetween(ends, ended.position, readBefore);
    readAgain += again;
    recordsPerTurnMax = Math.max(recordsPerTurnMax, ...reads.map(({ records }) => records));
    readBefore = Math.max(readBefore, ...reads.map(({ read }) => read));
    const now = await hashPublished(output);
    failures.push(...changesOf(published, now).map((change) => `after run ${run}: ${change}`));
    published = now;
    if (ended.outcome === "failed") failures.push(`run ${run} failed: ${ended.said}`);
    if (ended.outcome !== "killed") break;
    kills++;
    const died = lines.find((line): line is { died: Place } => "died" in line)?.died ?? "anywhere";
    killsAt[died] = (killsAt[died] ?? 0) + 1;
    print(`kill ${kills} at ${died}: ${ended.said}; read again ${again}, published ${published.size}`);
    if (run === runsMax) failures.push(`not finished after ${runsMax} runs`);
  }
  if (kills < options.killsMin) failures.push(`too few kills: ${kills} of ${options.killsMin}`);
  const readAgainMax = kills * recordsPerTurnMax;
  if (readAgain > readAgainMax) failures.push(`${readAgain} records were read again, of ${readAgainMax} allowed`);
  failures.push(...(await compareRows(input, output)));
  const filesChecked = published.size;
  const tookMs = performance.now() - startedAt;
  return { failures, kills, killsAt, readAgain, readAgainMax, recordsPerTurnMax, filesChecked, tookMs };
}

/** How many of the kills came by a place of a checkpoint, and how many between a commit and its effects. */
export function coverage({ killsAt }: KillReport): { readonly checkpoint: number; readonly effects: number } {
  const sum = (among: readonly Place[]) => among.reduce((n, place) => n + (killsAt[place] ?? 0), 0);
  return { checkpoint: sum(checkpointPlaces), effects: sum(["beforeEffects", "amongEffects"]) };
}

/** An undisturbed run: how long it takes, and what is wrong with its rows. */
export async function runUndisturbed(options: KillTestOptions): Promise<{ failures: readonly string[]; tookMs: number }> {
  const { directory, seed, events } = options;
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const input = join(directory, "events.ndjson");
  const output = join(directory, "results");
  await writeInput(input, events, seed);
  const startedAt = performance.now();
  const all = { afterReads: Number.MAX_SAFE_INTEGER, recordsPerRead: options.recordsPerRead, replay: true };
  const order = { trace: join(directory, "trace.ndjson"), place: "anywhere", ...all } as const;
  const ended = await runChild(argumentsOf(options, input, output), order, 0);
  const tookMs = performance.now() - startedAt;
  if (ended.outcome !== "finished") return { failures: [`the undisturbed run did not finish: ${ended.said}`], tookMs };
  return { failures: await compareRows(input, output), tookMs };
}

function argumentsOf({ eventsPerSecond, parallelism }: KillTestOptions, input: string, output: string): readonly string[] {
  const rate = eventsPerSecond === undefined ? {} : { rate: eventsPerSecond };
  const options = { input, output, ...rate, parallelism, "checkpoint-interval": 0.3 };
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
}

interface Ended {
  readonly outcome: "finished" | "killed" | "failed";
  /** The position it said that it goes on from. */
  readonly position: number;
  readonly said: string;
}

/** Runs the example until it ends, or kills it so long after it has read enough. */
function runChild(args: readonly string[], order: ChildOrder, waitMs: number): Promise<Ended> {
  const env = { ...process.env, MILLRACE_KILL_ORDER: JSON.stringify(order) };
  const child = spawn(process.execPath, [example, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  let head = "it said nothing";
  let position = 0;
  let errors = "";
  let timer: NodeJS.Timeout | undefined;
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (/^(begins|goes on from)/.test(line)) head = line;
    if (line === readEnough) timer = setTimeout(() => child.kill("SIGKILL"), waitMs);
    const at = /^ {2}views .* at (?:position (\d+)|its (start|end))$/.exec(line);
    if (at === null) return;
    position = at[2] === "end" ? Infinity : Number(at[1] ?? 0);
  });
  child.stderr.on("data", (bytes: Buffer) => (errors += bytes.toString("utf8")));
  return new Promise((resolve) => {
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const said = `${head} at ${position}`;
      if (signal === "SIGKILL") resolve({ outcome: "killed", position, said });
      else if (code === 0) resolve({ outcome: "finished", position, said });
      else resolve({ outcome: "failed", position, said: `${said}; ${errors.trim()}` });
    });
  });
}

/** How many records end after `from`, and not after `to`. */
function recordsBetween(ends: readonly number[], from: number, to: number): number {
  return ends.filter((end) => end > from && end <= to).length;
}

const folders = ["views", "sessions", "late", "dead-letters"] as const;

/** Every finished file with its checksum. Files that are being written have names that begin with a dot. */
async function hashPublished(output: string): Promise<Map<string, string>> {
  const hashes = new Map<string, string>();
  for (const folder of folders) {
    for (const name of await readdir(join(output, folder)).catch(() => [])) {
      if (name.startsWith(".")) continue;
      const bytes = await readFile(join(output, folder, name));
      hashes.set(`${folder}/${name}`, createHash("sha256").update(bytes).digest("hex"));
    }
  }
  return hashes;
}

function changesOf(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): readonly string[] {
  return [...before].flatMap(([name, hash]) => {
    if (!now.has(name)) return [`${name} has disappeared`];
    return now.get(name) === hash ? [] : [`${name} has changed`];
  });
}

/** The rows against those that the oracle makes of the input. */
async function compareRows(input: string, output: string): Promise<readonly string[]> {
  const failures: string[] = [];
  for (const what of ["views", "sessions"]) {
    const expected = execFileSync(process.execPath, [oracle, what, input], { encoding: "utf8", maxBuffer: 1 << 30 })
      .trim()
      .split("\n");
    const found = await rowsOf(join(output, what));
    if (expected.length === found.length && expected.every((row, n) => row === found[n])) continue;
    const different = expected.find((row, n) => row !== found[n]);
    failures.push(`${what}: ${found.length} rows, expected ${expected.length}, the first that differs: ${different}`);
  }
  return failures;
}

async function rowsOf(directory: string): Promise<readonly string[]> {
  const rows: string[] = [];
  for (const name of await readdir(directory).catch(() => []))
    if (name.endsWith(".ndjson") && !name.startsWith("."))
      rows.push(...(await readFile(join(directory, name), "utf8")).split("\n").filter(Boolean));
  return rows.sort();
}

/** Numbers in [0, 1) from a seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
