/**
 * A job in a faulty world, for its author: the real plan, tasks, driver and coordinator, the author's functions and sinks, under crashes,
 * zombies, repeated deliveries, lost answers, restores and rescaling, all from one seed at a time. The same seed is the same run.
 *
 * M1 Nothing but the seed decides what happens. An author's function that asks a clock or chance for something breaks that.
 * M2 A failing run is made smaller before it is shown, and shown with what replays it.
 */
import { MillraceError } from "../base/errors.ts";
import { encodeValue } from "../base/message-pack.ts";
import type { Source } from "../api/connector.ts";
import type { Job } from "../api/job.ts";
import { show } from "./operator-steps.ts";
import { assumedKeys, sinksOf, sourcesOf } from "./simulation/author-job.ts";
import {
  type AuthorEvent,
  authorScenario,
  type JobAndContents,
  type SimulatedLetter,
  type SimulatedOutcome,
} from "./simulation/author-scenario.ts";
import { isCustom } from "./simulation/author-sinks.ts";
import { canonicalText } from "./simulation/canonical-text.ts";
import { commonFaults, faultNames, mixOf, noCounts, noFaults } from "./simulation/fault-mix.ts";
import { minimise, type Reduction } from "./simulation/minimise.ts";
import { type SeedResult, simulateSeed, type SimulateOptions } from "./simulation/simulate.ts";
import { differenceOf } from "./compare-output.ts";

export type { SimulatedLetter } from "./simulation/author-scenario.ts";

/** The type of a source's events. */
export type EventOf<S extends Source<any>> = S extends Source<infer T> ? T : never;

/** A job with sinks of its author's own, made anew for every run: none sees what another wrote. */
export interface SimulatedJob {
  readonly job: Job;
  /** What each `customSink` holds by now, by the uid of the sink: what a reader outside would find. */
  readonly contents: Readonly<Record<string, () => Iterable<unknown>>>;
}

/** What the author may know of a run that is checked. */
export interface SimulatedRun {
  /** Undefined: the run without faults, which is the first. */
  readonly seed: number | undefined;
  readonly deadLetters: readonly SimulatedLetter[];
}

/** The smaller form of a failing run: what `SimulationError` has, and `replay` takes. */
export interface Replay extends Reduction {
  readonly seed: number;
}

/** `Events` and `Outputs`: the types of events by source, of rows by sink. */
export interface JobSimulationOptions<Events extends object, Outputs extends object> {
  /** Of every source, by uid: what its decoder would have made, in the order of its stream. */
  readonly events: { readonly [S in keyof Events]: readonly Events[S][] };
  /** First and last; default 1 to 100. */
  readonly seeds?: readonly [from: number, to: number];
  /** Names of faults; default all. */
  readonly faults?: readonly string[];
  /**
   * Throws when what came out is wrong: `outputs` has what every sink holds, by uid. Called for the run without faults too, at the end of
   * every run, and once more after a restore. Default: every sink holds the same rows, in any order, and the same was put aside, as
   * without faults.
   */
  check?(outputs: { readonly [S in keyof Outputs]: readonly Outputs[S][] }, run: SimulatedRun): Promise<void> | void;
  /**
   * The partition key of events, by source: the stream has up to three shards then, which split and merge. Without it it has one, whose
   * order is that of `events`. A source under `assumeKeyed` has its key.
   */
  readonly partitionKey?: { readonly [S in keyof Events]?: (event: Events[S]) => string };
  /** Tasks per stage; default 1 to 3, another after a restore. */
  readonly parallelism?: number;
  /** False: the job never goes back to a checkpoint, for sinks that repeat rows then. Default true. */
  readonly restores?: boolean;
  /** How long a failing run may be made smaller, ms of the process's work; default 10,000. */
  readonly minimiseMs?: number;
  /** Does this run alone. */
  readonly replay?: Replay;
}

export interface SimulationReport {
  /** Runs that passed, beside the one without faults. */
  readonly runs: number;
  /** How often each fault happened. */
  readonly faults: Readonly<Record<string, number>>;
  readonly checkpoints: number;
  /** Restores, by themselves and at another parallelism. */
  readonly restores: number;
}

/** A run has failed: the smallest that was found. */
export class SimulationError extends Error {
  /** Passed as `replay`, it does this run again. */
  readonly replay: Replay;
  /** What was wrong. */
  readonly problem: string;
  /** The events that it takes, by source. */
  readonly events: Readonly<Record<string, readonly unknown[]>>;
  /** The last of what happened. */
  readonly trace: readonly string[];
  /** The faults that happened. */
  readonly faults: readonly string[];
  /** What has passed until then. */
  readonly report: SimulationReport;

  constructor(
    parts: Pick<SimulationError, "replay" | "problem" | "events" | "trace" | "faults" | "report"> & { cause: unknown },
  ) {
    super(textOf(parts), { cause: parts.cause });
    this.name = "SimulationError";
    this.replay = parts.replay;
    this.problem = parts.problem;
    this.events = parts.events;
    this.trace = parts.trace;
    this.faults = parts.faults;
    this.report = parts.report;
  }
}

/**
 * Runs a job over seeds in a faulty world in memory. Answers what happened; throws `SimulationError` for the first seed that fails, made
 * smaller, and `invalid` for events, sinks or faults that do not fit the job. A job with a `customSink` is given as a function that makes
 * the job and what its sinks write to, for every run.
 */
export async function simulate<Events extends object = Record<string, any>, Outputs extends object = Record<string, any>>(
  job: Job | (() => SimulatedJob),
  options: JobSimulationOptions<Events, Outputs>,
): Promise<SimulationReport> {
  return new JobSimulation(job, options as JobSimulationOptions<Record<string, any>, Record<string, any>>).run();
}

type Untyped = JobSimulationOptions<Record<string, any>, Record<string, any>>;

/** Steps shown in the error's message. */
const shownEvents = 40;

class JobSimulation {
  readonly #create: () => JobAndContents;
  readonly #options: Untyped;
  readonly #events: ReadonlyMap<string, readonly AuthorEvent[]>;
  readonly #sharded: ReadonlySet<string>;
  #expected: SimulatedOutcome | undefined;
  /** By the numbers of events. */
  readonly #expectedOf = new Map<string, SimulatedOutcome>();

  constructor(job: Job | (() => SimulatedJob), options: Untyped) {
    this.#create = typeof job === "function" ? job : () => ({ job, contents: {} });
    this.#options = options;
    const made = this.#create();
    checkFits(made, options);
    const keys = new Map([...Object.entries(options.partitionKey ?? {}), ...assumedKeys(made.job)]);
    this.#sharded = new Set(keys.keys());
    this.#events = encodeEvents(sourcesOf(made.job), options, keys);
  }

  async run(): Promise<SimulationReport> {
    const { seeds: [from, to] = [1, 100], replay } = this.#options;
    await this.#runWithoutFaults();
    const faults = noCounts();
    const sums = { runs: 0, checkpoints: 0, restores: 0 };
    for (let seed = replay?.seed ?? from; seed <= (replay?.seed ?? to); seed++) {
      const result = await this.#try(seed, replay ?? {});
      for (const fault of faultNames) faults[fault] += result.faults[fault];
      sums.checkpoints += result.checkpoints;
      sums.restores += Math.max(0, result.generations - 1);
      if (result.failure !== undefined) throw await this.#failed(result, { ...sums, faults });
      sums.runs++;
    }
    return { ...sums, faults };
  }

  /** What comes out here must come out everywhere, unless the author says otherwise. */
  async #runWithoutFaults(): Promise<void> {
    const { failure } = await this.#calmly((outcome) => {
      this.#expected ??= outcome;
      return this.#options.check?.(outcome.outputs, { seed: undefined, deadLetters: outcome.deadLetters });
    });
    if (failure !== undefined)
      throw new MillraceError("invalid", `the job fails without faults: ${failure.message}`, { cause: failure.cause ?? failure });
  }

  /** Without faults, and in one environment. */
  #calmly(judge: (outcome: SimulatedOutcome) => Promise<void> | void, events?: readonly number[]): Promise<SeedResult> {
    const { parallelism = 1 } = this.#options;
    const settings = { parallelism, environments: 1, reshardings: 0, redeployments: 0, restores: 0 };
    return simulateSeed(0, { faults: noFaults, settings, scenario: this.#scenario(judge, false), events });
  }

  #scenario(judge: (outcome: SimulatedOutcome) => Promise<void> | void, restores = this.#options.restores ?? true) {
    const { parallelism } = this.#options;
    return authorScenario({ create: this.#create, events: this.#events, sharded: this.#sharded, parallelism, restores, judge });
  }

  #try(seed: number, reduction: Reduction): Promise<SeedResult> {
    const { faults = faultNames, check } = this.#options;
    const mix = mixOf(reduction.faults ?? faults, { ...commonFaults, poison: 0 });
    const reduced = reduction.events !== undefined && reduction.events.length < this.#count;
    const scenario = this.#scenario(async (outcome) => {
      if (check !== undefined) return check(outcome.outputs, { seed, deadLetters: outcome.deadLetters });
      compare(outcome, reduced ? await this.#without(reduction.events) : this.#expected!);
    });
    return simulateSeed(seed, { ...reduction, faults: mix, scenario } satisfies SimulateOptions);
  }

  get #count(): number {
    return [...this.#events.values()].reduce((sum, list) => sum + list.length, 0);
  }

  /** What comes out of some of the events, without faults. */
  async #without(events: readonly number[] | undefined): Promise<SimulatedOutcome> {
    const name = String(events);
    const known = this.#expectedOf.get(name);
    if (known !== undefined) return known;
    let expected: SimulatedOutcome | undefined;
    const { failure } = await this.#calmly((outcome) => void (expected = outcome), events);
    if (expected === undefined) throw failure ?? new MillraceError("internal", "a run without faults has no end");
    this.#expectedOf.set(name, expected);
    return expected;
  }

  async #failed(failed: SeedResult, report: SimulationReport): Promise<SimulationError> {
    const { minimiseMs = 10_000, replay } = this.#options;
    const { seed } = failed;
    const events = [...this.#events.values()].flatMap((list) => list.map(({ number }) => number));
    const run = (reduction: Reduction) => this.#try(seed, reduction);
    const search = { run, faults: this.#options.faults, events, timeMs: minimiseMs, now: workedMs };
    const { reduction, result } = replay === undefined ? await minimise(failed, search) : { reduction: replay, result: failed };
    return new SimulationError({
      replay: { ...reduction, seed },
      problem: result.failure!.message,
      events: this.#chosen(reduction.events),
      trace: result.trace,
      faults: result.faultTrace,
      report,
      cause: result.failure!.cause ?? result.failure,
    });
  }

  #chosen(numbers: readonly number[] | undefined): Readonly<Record<string, readonly unknown[]>> {
    const wanted = numbers && new Set(numbers);
    return Object.fromEntries(
      [...this.#events].map(([source, list]) => [
        source,
        list.flatMap(({ number }, n) => ((wanted?.has(number) ?? true) ? [this.#options.events[source]![n]] : [])),
      ]),
    );
  }
}

/** Throws `invalid` unless every source has events and every sink of the author's has contents. */
function checkFits({ job, contents }: JobAndContents, { events, partitionKey = {} }: Untyped): void {
  const sources = sourcesOf(job);
  const lacking = sources.find((source) => events[source] === undefined);
  if (lacking !== undefined) throw new MillraceError("invalid", `give \`events\` for every source, if only []: ${lacking}`);
  for (const source of [...Object.keys(events), ...Object.keys(partitionKey)])
    if (!sources.includes(source))
      throw new MillraceError("invalid", `the job has no source of uid ${source}: it has ${sources.join(", ")}`);
  const custom = [...sinksOf(job)].filter(([, sink]) => isCustom(sink)).map(([uid]) => uid as string);
  const unread = custom.find((uid) => contents[uid] === undefined);
  if (unread !== undefined)
    throw new MillraceError(
      "invalid",
      `a sink of your own is written to for real: give a function that makes the job and, in \`contents\`, what it holds: ${unread}`,
    );
  const unknown = Object.keys(contents).find((uid) => !custom.includes(uid));
  if (unknown !== undefined) throw new MillraceError("invalid", `\`contents\` is of sinks of your own alone: ${unknown}`);
}

function encodeEvents(
  sources: readonly string[],
  { events }: Untyped,
  keys: ReadonlyMap<string, ((event: any) => string) | undefined>,
): ReadonlyMap<string, readonly AuthorEvent[]> {
  let number = 0;
  return new Map(
    sources.map((source) => [
      source,
      events[source]!.map((event) => ({
        number: number++,
        partitionKey: keys.get(source)?.(event) ?? "",
        bytes: encodeValue(event),
      })),
    ]),
  );
}

/** Throws what differs, sink by sink. */
function compare(found: SimulatedOutcome, expected: SimulatedOutcome): void {
  for (const [sink, rows] of Object.entries(expected.outputs)) {
    const lines = different(rows, found.outputs[sink] ?? []);
    if (lines !== undefined) throw new Error(`sink ${sink} does not hold what it holds without faults:\n${lines.join("\n")}`);
  }
  const put = ({ deadLetters }: SimulatedOutcome) => [
    ...new Set(deadLetters.map(({ operator, value }) => canonicalText([operator, value]))),
  ];
  const lines = different(put(expected), put(found));
  if (lines !== undefined) throw new Error(`other dead letters than without faults:\n${lines.join("\n")}`);
}

function different(expected: readonly unknown[], found: readonly unknown[]): readonly string[] | undefined {
  const texts = (rows: readonly unknown[]) => rows.map(canonicalText).sort().join("\n");
  if (texts(expected) === texts(found)) return undefined;
  const given = found.map((value) => ({ value, step: 0 }));
  return differenceOf(expected, given, { kind: "any" }, () => "faults") ?? ["    equal, but for their order or their types"];
}

function textOf({ replay, problem, events, trace, faults }: Omit<SimulationError, keyof Error | "report">): string {
  const count = Object.values(events).reduce((sum, list) => sum + list.length, 0);
  return [
    `seed ${replay.seed} failed ${problem}`,
    `the smallest run that was found to fail has ${count} of the events and these faults`,
    ...Object.entries(events).flatMap(([source, list]) => [
      `  events of ${source}:`,
      ...list.slice(0, shownEvents).map((event) => `    ${show(event)}`),
      ...(list.length > shownEvents ? [`    … ${list.length - shownEvents} more`] : []),
    ]),
    "  faults:",
    ...faults.map((fault) => `    ${fault}`),
    "  what happened last:",
    ...trace.slice(-shownEvents).map((event) => `    ${event}`),
    `  to do it again: simulate(job, { …, replay: ${showReplay(replay)} })`,
  ].join("\n");
}

/** The time that the process has worked; where it waits, a fifth of that. */
function workedMs(): number {
  const { user, system } = process.cpuUsage();
  return Math.max((user + system) / 1_000, performance.now() / 5);
}

/** As it is typed. */
function showReplay(replay: Replay): string {
  return canonicalText(replay);
}
