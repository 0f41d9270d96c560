/**
 * A job on a stream that is resharded under load while environments are killed: one shard is split, a child of it is split again, and two
 * neighbours are merged. The results must be exactly those of the input, and how long each new shard stood still is told.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ListShardsCommand, MergeShardsCommand, PutRecordsCommand, type Shard, SplitShardCommand } from "@aws-sdk/client-kinesis";
import type { CloudEvent } from "../../../emulator/cloud/index.ts";
import { compareResults, describeDifferences } from "../compare-results.ts";
import { JobInCloud, Overdue } from "../job-in-cloud.ts";
import type { Results, Scenario, ScenarioJobOptions } from "../scenario.ts";
import { Trouble, type TroubleCounts } from "../trouble.ts";
import { type Event, eventsJob, type Shape, windowMs } from "./job.ts";
import { type Standstill, Standstills } from "./standstills.ts";

export interface ReshardingOptions {
  readonly shape: Shape;
  readonly seed: number;
  readonly eventsPerSecond: number;
  readonly inputMs: number;
  /** Undefined: nothing is killed. */
  readonly killEvery: readonly [minMs: number, maxMs: number] | undefined;
  readonly faultChance: number;
  readonly timeoutMs: number;
  readonly print: (line: string) => void;
  readonly onEvent?: (event: CloudEvent) => void;
}

export interface ReshardingReport {
  /** Empty: green. */
  readonly failures: readonly string[];
  readonly events: number;
  readonly putMs: number;
  readonly drainMs: number;
  readonly trouble: TroubleCounts;
  /** Of each shard that a split or a merge made. */
  readonly standstills: readonly Standstill[];
}

const stream = "events";
const keys = 200;
const shards = 4;
const startAt = Date.UTC(2025, 2, 3, 8);
const sliceMs = 250;

export async function runResharding(options: ReshardingOptions): Promise<ReshardingReport> {
  const directory = await mkdtemp(join(tmpdir(), "millrace-resharding-"));
  const run = new ReshardingRun(options, directory);
  try {
    return await run.run();
  } finally {
    await run.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/** By key and window, one line each: computed from what was put, and nothing else. */
export function expectedOf(events: readonly Event[]): Results {
  const counts = new Map<string, { key: string; n: number; start: number }>();
  for (const { key, at } of events) {
    const start = Math.floor(at / windowMs) * windowMs;
    const name = `${key} ${start}`;
    const row = counts.get(name) ?? { key, n: 0, start };
    row.n++;
    counts.set(name, row);
  }
  return { counts: [...counts.values()].map((row) => JSON.stringify(row)).sort(), breaks: [], deadLetters: [] };
}

class ReshardingRun {
  readonly #options: ReshardingOptions;
  readonly #directory: string;
  readonly #startedAt = Date.now();
  readonly #standstills = new Standstills();
  readonly #problems = new Map<string, number>();
  #job: JobInCloud | undefined;
  #trouble: Trouble | undefined;

  constructor(options: ReshardingOptions, directory: string) {
    this.#options = options;
    this.#directory = directory;
  }

  async run(): Promise<ReshardingReport> {
    const { eventsPerSecond, inputMs } = this.#options;
    const events = makeEvents(Math.round((eventsPerSecond * inputMs) / 1_000), eventsPerSecond);
    const failures: string[] = [];
    let putMs = 0;
    let drainMs = 0;
    await this.#start();
    try {
      const putAt = Date.now();
      await Promise.all([this.#put(events), this.#reshard()]);
      putMs = Date.now() - putAt;
      await this.#putAll(closing());
      this.#say(`${events.length} events are put, in ${(putMs / 1_000).toFixed(1)} s`);
      await this.#drain(expectedOf(events));
      drainMs = Date.now() - putAt - putMs;
      this.#say(`all is worked off ${(drainMs / 1_000).toFixed(1)} s later, and right`);
    } catch (error) {
      if (!(error instanceof Overdue)) throw error;
      failures.push(error.message, ...(await this.#explain(expectedOf(events))));
    }
    this.#trouble!.stop();
    const standstills = this.#standstills.report();
    return { failures, events: events.length, putMs, drainMs, trouble: this.#trouble!.counts, standstills };
  }

  async stop(): Promise<void> {
    this.#trouble?.stop();
    await this.#job?.stop();
  }

  async #start(): Promise<void> {
    const { seed, shape, timeoutMs, killEvery, faultChance } = this.#options;
    const options = { parallelism: shape === "oneTask" ? 1 : 3, checkpointInterval: 5_000, retained: 3, shape };
    this.#job = await JobInCloud.start(scenarioOf(options), options, {
      directory: this.#directory,
      deadline: this.#startedAt + timeoutMs,
      batchSize: 1_000,
      // As many as there may be shards, and some for pokes and zombies.
      concurrency: 8,
      cloud: {
        environments: { seed, coldStartChance: 0.01, recycleChance: 0.01, zombieMsMax: 3_000 },
        mappings: {
          seed,
          faults: { duplicateChance: 0.02, goBackChance: 0.02 },
          timings: { backOffMs: 100, backOffMsMax: 1_000 },
        },
        asyncRetries: { retryDelaysMs: [1_000, 2_000] },
        onEvent: (event) => this.#onEvent(event),
      },
    });
    await this.#job.until("the job runs", async () => ((await this.#job!.record())?.phase === "running" ? true : undefined));
    this.#say("the job runs");
    this.#trouble = new Trouble(this.#job.cloud, {
      seed,
      killEvery,
      throttleChance: faultChance,
      dropChance: faultChance,
      spared: new Set([stream]),
      coordinator: this.#job.coordinator,
    });
    this.#trouble.start();
  }

  // ---- input ----

  /** At an even pace, in their order. */
  async #put(events: readonly Event[]): Promise<void> {
    const slices = Math.ceil(this.#options.inputMs / sliceMs);
    const startedAt = Date.now();
    for (let n = 0; n < slices; n++) {
      const part = events.slice(Math.floor((n * events.length) / slices), Math.floor(((n + 1) * events.length) / slices));
      await this.#putAll(part);
      await sleep(Math.max(0, startedAt + (n + 1) * sliceMs - Date.now()));
    }
  }

  async #putAll(events: readonly Event[]): Promise<void> {
    for (let from = 0; from < events.length; from += 500) {
      const Records = events.slice(from, from + 500).map((event) => {
        return { PartitionKey: event.key, Data: Buffer.from(JSON.stringify(event)) };
      });
      const answer = await this.#kinesis.send(new PutRecordsCommand({ StreamName: stream, Records }));
      const refused = answer.Records?.find(({ ErrorCode }) => ErrorCode !== undefined);
      if (refused !== undefined) throw new Error(`the stream refuses what the test puts: ${JSON.stringify(refused)}`);
    }
  }

  get #kinesis() {
    return this.#job!.cloud.clients.kinesis;
  }

  // ---- resharding ----

  async #reshard(): Promise<void> {
    const step = this.#options.inputMs / 4;
    await sleep(step);
    const [first] = await this.#openShards();
    const [low] = await this.#split(first!);
    await sleep(step);
    const [, high] = await this.#split(low!);
    await sleep(step);
    const open = await this.#openShards();
    const neighbour = open[open.findIndex(({ ShardId }) => ShardId === high!.ShardId) + 1];
    await this.#merge(high!, neighbour!);
  }

  async #split(shard: Shard): Promise<readonly Shard[]> {
    const { StartingHashKey, EndingHashKey } = shard.HashKeyRange!;
    const NewStartingHashKey = String((BigInt(StartingHashKey!) + BigInt(EndingHashKey!)) / 2n);
    await this.#changing(() =>
      this.#kinesis.send(new SplitShardCommand({ StreamName: stream, ShardToSplit: shard.ShardId, NewStartingHashKey })),
    );
    const children = (await this.#openShards()).filter(({ ParentShardId }) => ParentShardId === shard.ShardId);
    this.#say(`${shortOf(shard)} is split into ${children.map(shortOf).join(" and ")}`);
    for (const child of children) this.#standstills.expect("split", child.ShardId!, [shard.ShardId!]);
    return children;
  }

  async #merge(a: Shard, b: Shard): Promise<void> {
    await this.#changing(() =>
      this.#kinesis.send(
        new MergeShardsCommand({ StreamName: stream, ShardToMerge: a.ShardId, AdjacentShardToMerge: b.ShardId }),
      ),
    );
    const child = (await this.#openShards()).find(({ AdjacentParentShardId }) => AdjacentParentShardId === b.ShardId);
    this.#say(`${shortOf(a)} and ${shortOf(b)} are merged into ${shortOf(child!)}`);
    this.#standstills.expect("merge", child!.ShardId!, [a.ShardId!, b.ShardId!]);
  }

  /** Calls of the test itself meet the faults too; one that took effect before its connection was cut is refused when it is tried again. */
  async #changing(change: () => Promise<unknown>): Promise<void> {
    const before = (await this.#openShards()).map(({ ShardId }) => ShardId).join();
    await this.#job!.until("the stream is resharded", async () => {
      await change().catch(() => undefined);
      return (await this.#openShards()).map(({ ShardId }) => ShardId).join() === before ? undefined : true;
    });
  }

  async #openShards(): Promise<readonly Shard[]> {
    const listed = await this.#job!.until("shards are listed", () =>
      this.#kinesis.send(new ListShardsCommand({ StreamName: stream })).catch(() => undefined),
    );
    const open = listed.Shards!.filter(({ SequenceNumberRange }) => SequenceNumberRange?.EndingSequenceNumber === undefined);
    const from = ({ HashKeyRange }: Shard) => BigInt(HashKeyRange!.StartingHashKey!);
    return open.toSorted((a, b) => (from(a) < from(b) ? -1 : 1));
  }

  // ---- results ----

  async #drain(expected: Results): Promise<void> {
    let toldAt = Date.now();
    await this.#job!.until("everything is worked off", async () => {
      const differences = compareResults(await this.#job!.results(), expected);
      if (differences.length === 0) return true;
      if (Date.now() - toldAt > 15_000) {
        toldAt = Date.now();
        for (const line of describeDifferences(differences)) this.#say(`waiting: ${line}`);
      }
      return undefined;
    });
    // What comes too often comes late.
    await sleep(6_000);
    const differences = compareResults(await this.#job!.results(), expected);
    if (differences.length > 0)
      throw new Overdue(["what was right is not any more", ...describeDifferences(differences)].join("\n"));
  }

  async #explain(expected: Results): Promise<readonly string[]> {
    const record = await this.#job!.record();
    const { phase, generation, pending, completed } = record ?? {};
    return [
      `the job record: ${JSON.stringify({ phase, generation, pending, completed })}`,
      ...describeDifferences(compareResults(await this.#job!.results(), expected)),
      ...[...this.#problems].slice(-10).map(([line, times]) => `${times} × ${line}`),
    ];
  }

  #onEvent(event: CloudEvent): void {
    this.#options.onEvent?.(event);
    if (event.kind === "mapping" && event.streamName === stream) this.#standstills.take(event.event);
    if (event.kind !== "log" || !/"level":"ERROR"|Runtime\.|Error/.test(event.line.text)) return;
    const line = `${event.line.functionName}: ${event.line.text.slice(0, 600)}`;
    this.#problems.set(line, (this.#problems.get(line) ?? 0) + 1);
  }

  #say(line: string): void {
    this.#options.print(`${((Date.now() - this.#startedAt) / 1_000).toFixed(1).padStart(6)} s  ${line}`);
  }
}

function makeEvents(count: number, perSecond: number): readonly Event[] {
  return Array.from({ length: count }, (_, n) => ({
    key: `key-${n % keys}`,
    n: Math.floor(n / keys) + 1,
    at: startAt + Math.floor((n * 1_000) / perSecond),
  }));
}

/** A day later, for every shard: all windows close but those of these events. */
function closing(): readonly Event[] {
  return Array.from({ length: 400 }, (_, n) => ({ key: `closing-${n}`, n: 1, at: startAt + 24 * 3_600_000 }));
}

function scenarioOf(options: ScenarioJobOptions & { readonly shape: Shape }): Scenario {
  return {
    name: options.shape,
    module: join(import.meta.dirname, "job.ts"),
    maker: "eventsJob",
    job: (given) => eventsJob({ ...options, ...given }),
    outside: { streams: { [stream]: { shardCount: shards } }, tables: {}, buckets: ["results"] },
    parallelisms: [options.parallelism],
    places: {
      counts: { kind: "objects", bucket: "results", prefix: "counts/" },
      breaks: { kind: "objects", bucket: "results", prefix: "breaks/" },
    },
    acts: () => [[], [], []],
    expected: () => ({}),
  };
}

function shortOf({ ShardId }: Shard): string {
  return ShardId!.replace(/^shardId-0*(?=\d)/, "shard ");
}
