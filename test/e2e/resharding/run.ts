/**
 * A job on a stream that is resharded under load while environments are killed: one shard is split, a child of it is split again, and two
 * neighbours are merged. The results must be exactly those of the input, and how long each new shard stood still is told.
 */
import { join } from "node:path";
import type { CloudEvent } from "../../../emulator/cloud/index.ts";
import { EventStream } from "../event-stream.ts";
import { JobInCloud, Overdue } from "../job-in-cloud.ts";
import type { DeployedJob, Results } from "../scenario.ts";
import { inScratch, settled, Trial, unrulyCloud } from "../trial.ts";
import { Trouble, type TroubleCounts } from "../trouble.ts";
import { closing, type Event, expectedOf, makeEvents } from "./events.ts";
import { eventsJob, type Shape } from "./job.ts";
import { StatusWatch } from "../status-watch.ts";
import { type Standstill, Standstills } from "./standstills.ts";

export interface ReshardingOptions {
  readonly shape: Shape;
  readonly seed: number;
  readonly eventsPerSecond: number;
  readonly inputMs: number;
  /** Undefined: nothing is killed. */
  readonly killEvery: readonly [minMs: number, maxMs: number] | undefined;
  /** Whether all goes well again once everything is put, so that what is left is worked off soon; default false. */
  readonly endsCalmly?: boolean;
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
const shards = 4;
/** That a mapping delivers twice, or goes back. */
const unruliness = 0.02;

export function runResharding(options: ReshardingOptions): Promise<ReshardingReport> {
  return inScratch("resharding", async (directory) => {
    const run = new ReshardingRun(options, directory);
    try {
      return await run.run();
    } finally {
      await run.stop();
    }
  });
}

type EventsJobOptions = Parameters<typeof eventsJob>[0];

class ReshardingRun {
  readonly #options: ReshardingOptions;
  readonly #directory: string;
  readonly #trial: Trial;
  readonly #standstills = new Standstills();
  #job: JobInCloud<EventsJobOptions> | undefined;
  #stream: EventStream | undefined;
  #trouble: Trouble | undefined;
  #watch: StatusWatch | undefined;

  constructor(options: ReshardingOptions, directory: string) {
    this.#options = options;
    this.#directory = directory;
    this.#trial = new Trial(options.print);
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
      await Promise.all([this.#put(events), this.#stream!.reshard(inputMs / 4)]);
      putMs = Date.now() - putAt;
      await this.#stream!.put(closing());
      this.#trial.say(`${events.length} events are put, in ${(putMs / 1_000).toFixed(1)} s`);
      if (this.#options.endsCalmly) await this.#trouble!.stopInTime(this.#job!);
      await this.#drain(expectedOf(events));
      // What is committed is seen a look later.
      const isSeen = () => this.#standstills.report().every(({ waitedMs }) => waitedMs !== undefined);
      await this.#job!.until("every new shard is seen at work", async () => (isSeen() ? true : undefined));
      drainMs = Date.now() - putAt - putMs;
      this.#trial.say(`all is worked off ${(drainMs / 1_000).toFixed(1)} s later, and right`);
    } catch (error) {
      if (!(error instanceof Overdue)) throw error;
      failures.push(...error.message.split("\n"), ...(await this.#trial.explain(this.#job!)));
    }
    this.#trouble!.stop();
    const standstills = this.#standstills.report();
    return { failures, events: events.length, putMs, drainMs, trouble: this.#trouble!.counts, standstills };
  }

  async stop(): Promise<void> {
    this.#trouble?.stop();
    await this.#watch?.stop();
    await this.#job?.stop();
  }

  async #start(): Promise<void> {
    const { seed, shape, timeoutMs, killEvery, faultChance } = this.#options;
    const options = { parallelism: shape === "oneTask" ? 1 : 3, checkpointInterval: 5_000, retained: 3, shape };
    this.#job = await JobInCloud.start(deployedJob, options, {
      directory: this.#directory,
      deadline: this.#trial.startedAt + timeoutMs,
      batchSize: 1_000,
      // As many as there may be shards, and some for pokes and zombies.
      concurrency: 8,
      cloud: unrulyCloud(seed, unruliness, (event) => this.#onEvent(event)),
    });
    await this.#job.until("the job runs", async () => ((await this.#job!.record())?.phase === "running" ? true : undefined));
    this.#trial.say("the job runs");
    this.#watch = new StatusWatch(this.#job.target, (look) => this.#standstills.look(look));
    this.#watch.start();
    const say = (line: string) => this.#trial.say(line);
    this.#stream = new EventStream({ name: stream, job: this.#job, standstills: this.#standstills, say });
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

  #put(events: readonly Event[]): Promise<void> {
    const slices = (sliceMs: number) => Math.ceil(this.#options.inputMs / sliceMs);
    const upTo = (n: number, sliceMs: number) => Math.floor((n * events.length) / slices(sliceMs));
    return this.#stream!.putEvenly((n, sliceMs) =>
      n < slices(sliceMs) ? events.slice(upTo(n, sliceMs), upTo(n + 1, sliceMs)) : undefined,
    );
  }

  async #drain(expected: Results): Promise<void> {
    await this.#trial.drain(this.#job!, "everything is worked off", expected);
    await settled();
    this.#trial.check("everything", await this.#job!.results(), expected);
  }

  #onEvent(event: CloudEvent): void {
    this.#options.onEvent?.(event);
    this.#trouble?.take(event);
    if (event.kind === "mapping" && event.streamName === stream) this.#standstills.take(event.event);
    this.#trial.take(event);
  }
}

const deployedJob: DeployedJob<EventsJobOptions> = {
  module: join(import.meta.dirname, "job.ts"),
  maker: "eventsJob",
  job: eventsJob,
  outside: { streams: { [stream]: { shardCount: shards } }, tables: {}, buckets: ["results"] },
  places: {
    counts: { kind: "objects", bucket: "results", prefix: "counts/" },
    breaks: { kind: "objects", bucket: "results", prefix: "breaks/" },
  },
};
