/**
 * One scenario from its first record to the last comparison: a job in the emulated cloud under kills, throttling, dropped answers and
 * repeated deliveries, stopped with a savepoint and resumed at other parallelisms on its way; then taken back to each checkpoint that it
 * keeps. After each of these its outputs are exactly those of the script.
 *
 * E1 It ends: by its deadline at the latest, and with it every process that it started.
 */
import type { CloudEvent } from "../../emulator/cloud/index.ts";
import type { JobRecord } from "../../runtime/snapshots/job-record.ts";
import type { Safeguard } from "../../runtime/task/safeguards.ts";
import { Figures } from "./figures.ts";
import { JobInCloud, Overdue } from "./job-in-cloud.ts";
import type { Act, Results, Scenario, ScenarioJobOptions } from "./scenario.ts";
import { inScratch, Trial, unrulyCloud } from "./trial.ts";
import { Trouble, type TroubleCounts } from "./trouble.ts";

export interface RunOptions {
  readonly seed: number;
  readonly records: number;
  /** Over which the records are put, ms. */
  readonly inputMs: number;
  readonly checkpointMs: number;
  /** Undefined: nothing is killed. */
  readonly killEvery: readonly [minMs: number, maxMs: number] | undefined;
  /** Whether all goes well again once everything is put, so that what is left is worked off soon; default false. */
  readonly endsCalmly?: boolean;
  /** That a call is refused or cut. */
  readonly faultChance: number;
  /** How many of the checkpoints that are retained are restored: the oldest, the newest and what lies between. */
  readonly restores: number;
  readonly timeoutMs: number;
  readonly without?: Safeguard | undefined;
  /** Ends it before its time: it throws then. */
  readonly signal?: AbortSignal;
  readonly print: (line: string) => void;
  /** What happens in the cloud. */
  readonly onEvent?: ((event: CloudEvent) => void) | undefined;
}

/** What was counted while the job ran at one parallelism. */
export interface Phase {
  readonly name: string;
  readonly figures: Figures;
  readonly lengthMs: number;
}

export interface RunReport {
  /** Empty: green. */
  readonly failures: readonly string[];
  readonly records: number;
  readonly lines: Readonly<Record<string, number>>;
  readonly trouble: TroubleCounts;
  readonly phases: readonly Phase[];
  readonly restored: readonly string[];
  readonly tookMs: number;
}

/** Of which docs/connectors.md says that after a restore they may come again. */
const repeatedByRestores: ReadonlySet<string> = new Set(["deadLetters"]);
const retainedForever = 10_000;
/** That a mapping delivers twice, or goes back. */
const unruliness = 0.05;

export function runScenario(scenario: Scenario, options: RunOptions): Promise<RunReport> {
  return inScratch("e2e", async (directory) => {
    const run = new ScenarioRun(scenario, options, directory);
    try {
      return await run.run();
    } finally {
      await run.stop();
    }
  });
}

class ScenarioRun {
  readonly #scenario: Scenario;
  readonly #options: RunOptions;
  readonly #directory: string;
  readonly #trial: Trial;
  readonly #phases: { readonly name: string; readonly figures: Figures; endedAt: number | undefined }[] = [];
  readonly #restored: string[] = [];
  #job: JobInCloud | undefined;
  #trouble: Trouble | undefined;

  constructor(scenario: Scenario, options: RunOptions, directory: string) {
    this.#scenario = scenario;
    this.#options = options;
    this.#directory = directory;
    this.#trial = new Trial(options.print);
  }

  async run(): Promise<RunReport> {
    const failures: string[] = [];
    const acts = this.#scenario.acts(this.#options.seed, this.#options.records);
    try {
      await this.#start();
      const boundary = await this.#runActs(acts);
      await this.#restoreAll(acts, boundary);
    } catch (error) {
      if (!(error instanceof Overdue)) throw error;
      failures.push(...error.message.split("\n"), ...(await this.#trial.explain(this.#job!)));
    }
    this.#trouble?.stop();
    return {
      failures,
      records: acts.flat().length,
      lines: Object.fromEntries(Object.entries(this.#scenario.expected(acts)).map(([name, lines]) => [name, lines.length])),
      trouble: this.#trouble!.counts,
      phases: this.#phases.map(({ name, figures, endedAt = Date.now() }) => {
        return { name, figures, lengthMs: endedAt - figures.startedAt };
      }),
      restored: this.#restored,
      tookMs: Date.now() - this.#trial.startedAt,
    };
  }

  async stop(): Promise<void> {
    this.#trouble?.stop();
    await this.#job?.stop();
  }

  // ---- the run ----

  async #start(): Promise<void> {
    const { seed, timeoutMs, without, killEvery, faultChance, signal } = this.#options;
    const { outside, parallelisms } = this.#scenario;
    this.#beginPhase(`parallelism ${parallelisms[0]}`);
    this.#job = await JobInCloud.start(this.#scenario, this.#jobAt(0), {
      directory: this.#directory,
      deadline: this.#trial.startedAt + timeoutMs,
      without,
      signal,
      cloud: unrulyCloud(seed, unruliness, (event) => this.#onEvent(event)),
    });
    this.#say("the job is deployed");
    this.#trouble = new Trouble(this.#job.cloud, {
      seed,
      killEvery,
      throttleChance: faultChance,
      dropChance: faultChance,
      spared: new Set(Object.keys(outside.streams ?? {})),
      coordinator: this.#job.coordinator,
    });
    this.#trouble.start();
  }

  /** The number of the last checkpoint before what was put first was worked off: earlier ones know nothing of what is late later. */
  async #runActs([first, second, closing]: readonly [Act, Act, Act]): Promise<number> {
    const job = this.#job!;
    const { inputMs } = this.#options;
    const { parallelisms, expected } = this.#scenario;
    await job.put(first, inputMs * (first.length / (first.length + second.length)));
    await this.#drain("the first act", expected([first]));
    const { lastCheckpoint: boundary } = (await job.record())!;
    this.#say("the first act is worked off");

    const lengthMs = (inputMs * second.length) / (first.length + second.length) / parallelisms.length;
    for (const [n, part] of split(second, parallelisms.length).entries()) {
      if (n === 0) await job.put(part, lengthMs);
      // What comes while the job is stopped waits for it.
      else await Promise.all([job.put(part, lengthMs), this.#rescale(n)]);
    }
    await job.put(closing, 0);
    if (this.#options.endsCalmly) await this.#trouble!.stopInTime(job);
    const all = expected([first, second, closing]);
    await this.#drain("everything", all);
    await this.#nextCheckpoint();
    await this.#check("everything, a checkpoint later", all);
    this.#say("all is worked off, and right");
    return boundary;
  }

  /** Stops with a savepoint, and goes on at the next parallelism. */
  async #rescale(n: number): Promise<void> {
    const job = this.#job!;
    const { generation } = await job.order("stop", ({ phase }) => phase === "stopped");
    this.#say("the job has stopped with a savepoint");
    await job.deploy(this.#jobAt(n));
    this.#beginPhase(`parallelism ${this.#scenario.parallelisms[n]}`);
    await job.order("resume", (record) => record.phase === "running" && record.generation > generation);
    this.#say(`the job goes on at parallelism ${this.#scenario.parallelisms[n]}`);
  }

  /** From each checkpoint that is retained to the same end. */
  async #restoreAll(acts: readonly Act[], boundary: number): Promise<void> {
    const job = this.#job!;
    const all = this.#scenario.expected(acts);
    const { retained } = (await job.record())!;
    const eligible = retained.filter(({ manifest }) => Number(/\d+$/.exec(manifest)![0]) > boundary);
    const chosen = spread(eligible, this.#options.restores);
    if (chosen.length === 0) return;
    // Those that are still to be restored are kept meanwhile.
    await job.deploy({ ...this.#jobAt(this.#scenario.parallelisms.length - 1), retained: retainedForever });
    this.#beginPhase("restores");
    // The newest first: a restore gives up those beyond.
    for (const { manifest, savepoint } of chosen.toReversed())
      await this.#restore(`${savepoint ? "savepoint" : "checkpoint"} ${manifest}`, manifest, all);
    // Whoever goes back to an older one may go on to a newer one afterwards, if that has the older one in its past, and to no other.
    const newest = chosen.at(-1)!.manifest;
    if (newest !== chosen[0]!.manifest) {
      await job.refused("restore", newest);
      await this.#check(`${newest}, refused`, all, repeatedByRestores);
    }
    const { completed } = (await job.record())!;
    await this.#restore(`checkpoint ${completed}, taken since`, completed!, all);
  }

  async #restore(name: string, manifest: string, all: Results): Promise<void> {
    const job = this.#job!;
    const { generation } = (await job.record())!;
    const isRunning = (record: JobRecord) => record.phase === "running" && record.generation > generation;
    const { manifest: from } = await job.order("restore", isRunning, manifest);
    if (from !== manifest) throw new Error(`restored from another checkpoint: ${from}, not ${manifest}`);
    await this.#drain(`from ${manifest}`, all, repeatedByRestores);
    await this.#nextCheckpoint();
    await this.#check(`from ${manifest}`, all, repeatedByRestores);
    this.#restored.push(name);
    this.#say(`from ${name} to the same end`);
  }

  #drain(what: string, expected: Results, repeatable?: ReadonlySet<string>): Promise<void> {
    return this.#trial.drain(this.#job!, what, expected, undefined, repeatable);
  }

  /** What a task still held back would have been put out by then. */
  async #nextCheckpoint(): Promise<void> {
    const job = this.#job!;
    const { lastCheckpoint } = (await job.record())!;
    await job.until("the next checkpoint", async () => {
      const { completed } = (await job.record())!;
      return completed !== undefined && Number(/\d+$/.exec(completed)![0]) > lastCheckpoint ? true : undefined;
    });
  }

  async #check(what: string, expected: Results, repeatable?: ReadonlySet<string>): Promise<void> {
    this.#trial.check(what, await this.#job!.results(), expected, repeatable);
  }

  // ---- what is told ----

  #jobAt(n: number): ScenarioJobOptions {
    return { parallelism: this.#scenario.parallelisms[n]!, checkpointInterval: this.#options.checkpointMs, retained: 3 };
  }

  #beginPhase(name: string): void {
    const last = this.#phases.at(-1);
    if (last !== undefined) last.endedAt = Date.now();
    this.#phases.push({ name, figures: new Figures(), endedAt: undefined });
  }

  #onEvent(event: CloudEvent): void {
    this.#phases.at(-1)!.figures.take(event);
    this.#options.onEvent?.(event);
    this.#trouble?.take(event);
    this.#trial.take(event);
  }

  #say(line: string): void {
    this.#trial.say(line);
  }
}

function split<T>(items: readonly T[], parts: number): readonly (readonly T[])[] {
  return Array.from({ length: parts }, (_, n) =>
    items.slice(Math.floor((n * items.length) / parts), Math.floor(((n + 1) * items.length) / parts)),
  );
}

/** So many of them, evenly, first and last among them. */
function spread<T>(items: readonly T[], count: number): readonly T[] {
  if (items.length <= count) return items;
  if (count < 2) return items.slice(0, count);
  return Array.from({ length: count }, (_, n) => items[Math.round((n * (items.length - 1)) / (count - 1))]!);
}
