/**
 * A job in the emulated cloud that is operated by the `millrace` commands, under load, while environments are killed and calls refused or cut:
 * its stream is split twice and merged, it is rescaled 1 → 4 → 2, a bad deployment is rolled back, what a broken one put aside is given back, and
 * a savepoint is forked to this machine and goes on there. After each, its outputs are exactly those of what was put.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { loadavg } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { CloudEvent, Topology } from "../../../emulator/cloud/index.ts";
import type { JobRecord } from "../../../runtime/snapshots/job-record.ts";
import { Commands } from "../commands.ts";
import { EventStream } from "../event-stream.ts";
import { JobInCloud, Overdue } from "../job-in-cloud.ts";
import { isFinished, sortedMembers } from "../read-results.ts";
import { type Standstill, Standstills } from "../resharding/standstills.ts";
import type { DeployedJob, Results } from "../scenario.ts";
import { inScratch, Trial, unrulyCloud } from "../trial.ts";
import { StatusWatch } from "../status-watch.ts";
import { Trouble, type TroubleCounts } from "../trouble.ts";
import { DeployDoor } from "./deploy-door.ts";
import { operatedJob, type OperatedJobOptions } from "./job.ts";
import { expectedOf, isFragile, Load, rowsOf, together, withLate } from "./load.ts";
import { Progress } from "./progress.ts";

/** What is done to the job, in this order. */
export const allActs = ["reshard", "rescale to 4", "rescale to 2", "roll back", "redrive", "fork"] as const;
export type Act = (typeof allActs)[number];

export interface OperationsOptions {
  readonly seed: number;
  /** Default: all of them. */
  readonly acts?: readonly Act[];
  readonly eventsPerSecond: number;
  /** Between one thing that is done to the job and the next, ms. */
  readonly restMs: number;
  /** Undefined: nothing is killed. */
  readonly killEvery: readonly [minMs: number, maxMs: number] | undefined;
  readonly faultChance: number;
  readonly timeoutMs: number;
  readonly print: (line: string) => void;
  readonly onEvent?: (event: CloudEvent) => void;
}

/** How long nothing was taken in around what was done to the job, ms. */
export interface StoodStill {
  readonly act: string;
  readonly ms: number;
  /** What it took, by part, ms. */
  readonly parts: Readonly<Record<string, number>>;
}

export interface OperationsReport {
  /** Empty: green. */
  readonly failures: readonly string[];
  readonly events: number;
  readonly trouble: TroubleCounts;
  readonly stoodStill: readonly StoodStill[];
  /** Of each shard that a split or a merge made. */
  readonly standstills: readonly Standstill[];
  /** How loaded the machine was, at the worst: processes that want to run, mean of a minute. */
  readonly loadAverageMax: number;
}

const stream = "events";
/** That a mapping delivers twice, or goes back. */
const unruliness = 0.02;
const options: OperatedJobOptions = { parallelism: 1, checkpointInterval: 5_000, retained: 3 };

export function runOperations(given: OperationsOptions): Promise<OperationsReport> {
  return inScratch("operations", async (directory) => {
    const run = new OperationsRun(given, directory);
    try {
      return await run.run();
    } finally {
      await run.stop();
    }
  });
}

class OperationsRun {
  readonly #options: OperationsOptions;
  readonly #directory: string;
  readonly #trial: Trial;
  readonly #load: Load;
  readonly #progress = new Progress();
  readonly #standstills = new Standstills();
  readonly #stoodStill: StoodStill[] = [];
  #parallelism = 1;
  /** Dead letters that were given back. */
  #redriven = 0;
  #loadAverageMax = 0;
  #putting: Promise<void> = Promise.resolve();
  #job!: JobInCloud<OperatedJobOptions>;
  #stream!: EventStream;
  #commands!: Commands;
  #door: DeployDoor | undefined;
  #trouble: Trouble | undefined;
  #watch: StatusWatch | undefined;
  /** What a rescale is going to deploy, by its parallelism. */
  readonly #ready = new Map<number, Topology>();
  #deployed = { from: 0, to: 0 };

  constructor(given: OperationsOptions, directory: string) {
    this.#options = given;
    this.#directory = directory;
    this.#trial = new Trial(given.print);
    this.#load = new Load(given.eventsPerSecond);
  }

  async run(): Promise<OperationsReport> {
    const failures: string[] = [];
    await this.#start();
    try {
      this.#put();
      const { acts = allActs, restMs } = this.#options;
      // What the others are to be held against: commits come in gaps, and environments are killed.
      await this.#measured("left alone", () => sleep(restMs * 4));
      for (const act of allActs) if (acts.includes(act)) await this.#does[act]();
      if (!acts.includes("fork")) await this.#close();
      await this.#end();
    } catch (error) {
      if (!(error instanceof Overdue)) throw error;
      failures.push(...error.message.split("\n"), ...(await this.#trial.explain(this.#job)));
    }
    return {
      failures,
      events: this.#load.events.length,
      trouble: this.#trouble!.counts,
      stoodStill: this.#stoodStill,
      standstills: this.#standstills.report(),
      loadAverageMax: this.#loadAverageMax,
    };
  }

  async stop(): Promise<void> {
    this.#load.stop();
    await this.#putting.catch(() => undefined);
    this.#trouble?.stop();
    this.#door?.close();
    await this.#watch?.stop();
    await this.#job?.stop();
  }

  async #start(): Promise<void> {
    const { seed, killEvery, faultChance, timeoutMs } = this.#options;
    const say = (line: string) => this.#trial.say(line);
    const job = await JobInCloud.start(deployedJob, options, {
      directory: this.#directory,
      deadline: this.#trial.startedAt + timeoutMs,
      // What the construct takes unless it is told otherwise.
      batchSize: 1_000,
      batchWindow: 1,
      // As many as there may be shards, and some for pokes and zombies.
      concurrency: 8,
      cloud: unrulyCloud(seed, unruliness, (event) => this.#onEvent(event)),
    });
    this.#job = job;
    this.#stream = new EventStream({ name: stream, job, standstills: this.#standstills, say });
    const { coordinator, cloud } = job;
    const { variables } = cloud;
    this.#commands = new Commands({ directory: this.#directory, variables, coordinator, onRan: say });
    this.#door = await DeployDoor.open((parallelism) => this.#deployReady(parallelism));
    await job.until("the job runs", async () => ((await job.record())?.phase === "running" ? true : undefined));
    say("the job runs");
    this.#watch = new StatusWatch(job.target, (look) => {
      this.#progress.take(look);
      this.#standstills.look(look);
    });
    this.#watch.start();
    const spared = new Set([stream]);
    const faults = { throttleChance: faultChance, dropChance: faultChance };
    this.#trouble = new Trouble(cloud, { seed, killEvery, ...faults, spared, coordinator });
    this.#trouble.start();
  }

  #put(): void {
    this.#putting = this.#stream.putEvenly((_, sliceMs) => this.#load.next(sliceMs));
  }

  // ---- what is done to the job ----

  readonly #does: Readonly<Record<Act, () => Promise<void>>> = {
    reshard: () => this.#reshard(),
    "rescale to 4": () => this.#rescale(4),
    "rescale to 2": () => this.#rescale(2),
    "roll back": () => this.#rollBack(),
    redrive: () => this.#redrive(),
    fork: () => this.#fork(),
  };

  async #reshard(): Promise<void> {
    await this.#measured("split twice and merged", async () => {
      await this.#stream.reshard(this.#options.restMs);
      const isTaken = () => this.#standstills.report().every(({ waitedMs }) => waitedMs !== undefined);
      await this.#job.until("every new shard is read", async () => (isTaken() ? true : undefined));
    });
  }

  /** Synthesised beforehand, as docs/commands.md says: nothing is taken in while a job is deployed. */
  async #rescale(parallelism: number): Promise<void> {
    this.#ready.set(parallelism, await this.#job.synthesise({ ...options, parallelism }));
    await sleep(this.#options.restMs);
    await this.#measured(`rescaled ${this.#parallelism} → ${parallelism}`, async () => {
      this.#parallelism = parallelism;
      const { tasks } = await this.#commands.done("rescale", "--deploy", this.#door!.command(parallelism));
      if (tasks !== undefined && Math.max(...Object.values(tasks as Record<string, number>)) !== parallelism)
        throw new Overdue(`not rescaled to ${parallelism}: ${JSON.stringify(tasks)}`);
    });
  }

  /** A deployment that counts wrong and spoils state; what it did is taken back. */
  async #rollBack(): Promise<void> {
    await sleep(this.#options.restMs);
    const { checkpoint } = (await this.#commands.done("savepoint")) as { readonly checkpoint: number };
    await this.#deploy({ mistake: "wrong" });
    this.#trial.say("a deployment that counts wrong");
    const isWrong = async () => ((await this.#job.results()).counts?.some((line) => line.includes('"n":-')) ? true : undefined);
    await this.#job.until("a wrong count is there", isWrong);
    await this.#measured("rolled back", async () => {
      await this.#deploy({});
      await this.#commands.done("rollback", "--to", String(checkpoint));
    });
    if (await isWrong()) throw new Overdue("a wrong count is there after the rollback");
  }

  /** A deployment that breaks on some keys; what it put aside is given back to one that does not. */
  async #redrive(): Promise<void> {
    await sleep(this.#options.restMs);
    await this.#deploy({ mistake: "breaks" });
    this.#trial.say("a deployment that breaks on some keys");
    await this.#job.until("dead letters are there", async () =>
      (await this.#job.results()).deadLetters!.length >= this.#options.eventsPerSecond / 10 ? true : undefined,
    );
    this.#load.holdsFragile = true;
    await this.#takenIn(this.#load.events.length);
    await this.#deploy({});
    const letters = (await this.#job.results()).deadLetters!;
    await this.#measured("redriven", async () => {
      const { given, before } = await this.#commands.done("deadletters", "redrive");
      this.#redriven = ((given as Record<string, number>)[stream] ?? 0) + (before as number);
    });
    if (this.#redriven !== letters.length)
      throw new Overdue(`${letters.length} dead letters, ${this.#redriven} of them given back`);
    await this.#trial.drain(this.#job, "what was given back has gone through", { rows: rowsOf(this.#load.events) }, async () => ({
      rows: (await this.#job.results()).rows!,
    }));
    this.#load.holdsFragile = false;
    this.#trial.say(`${letters.length} dead letters have gone through, each key's in its order`);
  }

  /** From where the job stops, so that it is known what was put out before the savepoint and what is left to the fork. */
  async #fork(): Promise<void> {
    await sleep(this.#options.restMs);
    await this.#commands.done("stop");
    const before = await this.#job.results();
    const { checkpoint } = await this.#commands.done("fork", "--to", "local", "--into", "forked", "--name", "twin");
    this.#trial.check("results of a job that has stopped", await this.#job.results(), before);
    this.#trial.say(`forked to this machine, from checkpoint ${checkpoint as number}`);
    await this.#commands.done("start");

    const module = join(this.#directory, "twin.ts");
    const twin = JSON.stringify({ ...options, name: "twin" });
    const path = join(import.meta.dirname, "job.ts");
    writeFileSync(module, `import { operatedJob } from ${JSON.stringify(path)};\nexport default operatedJob(${twin});\n`);
    const sinks = ["rows", "counted", "late"].flatMap((uid) => ["--bind", `${uid}=twin/${uid}`]);
    const bound = ["--bind", `events=kinesis:${stream}`, ...sinks];
    const child = this.#commands.start("start", module, "--state", "forked", ...bound);
    let said = "";
    child.stderr!.on("data", (text: Buffer) => (said += text.toString()));
    try {
      await sleep(this.#options.restMs * 2);
      await this.#close();
      const expected = expectedOf(this.#load.events);
      await this.#trial.drain(this.#job, "the fork has gone through all", expected, async () =>
        withLate(together(before, this.#twinResults())),
      );
      this.#trial.say("what the fork has put out is what the job had not before");
    } catch (error) {
      if (error instanceof Overdue) throw new Overdue(`${error.message}\n${said.slice(-2_000)}`);
      throw error;
    } finally {
      child.kill("SIGINT");
      await once(child, "exit");
    }
  }

  #twinResults(): Results {
    const root = join(this.#directory, "twin");
    const linesOf = (uid: string) => {
      let names: string[] = [];
      try {
        names = readdirSync(join(root, uid), { recursive: true }) as string[];
      } catch {
        // Nothing has been put out.
      }
      const finished = names.filter((name) => name.endsWith(".ndjson") && isFinished(name));
      const texts = finished.map((name) => readFileSync(join(root, uid, name), "utf8"));
      return texts.flatMap((text) => text.split("\n").filter((line) => line !== "")).map(sortedMembers);
    };
    return { counts: linesOf("counted"), rows: linesOf("rows"), late: linesOf("late") };
  }

  async #close(): Promise<void> {
    this.#load.stop();
    await this.#putting;
    await this.#stream.put(this.#load.close());
    this.#trial.say(`${this.#load.events.length} events are put`);
  }

  async #end(): Promise<void> {
    const expected = expectedOf(this.#load.events);
    await this.#trial.drain(this.#job, "everything is worked off", expected, async () => withLate(await this.#job.results()));
    await this.#commands.done("stop");
    const { deadLetters, late, ...found } = await this.#job.results();
    this.#trial.check("everything", withLate({ ...found, late: late! }), expected);
    const fragile = new Set(this.#load.events.filter(({ key }) => isFragile(key)).map((event) => JSON.stringify(event)));
    const letters = deadLetters!.map((bytes) => Buffer.from(bytes, "base64").toString());
    if (letters.length !== this.#redriven || new Set(letters).size !== letters.length || letters.some((it) => !fragile.has(it)))
      throw new Overdue(`dead letters are not those that were given back: ${letters.length}, ${this.#redriven}`);
    const lateKeys = late!.map((line) => (JSON.parse(line) as { key: string }).key);
    if (lateKeys.length > this.#redriven || !lateKeys.every(isFragile)) throw new Overdue("late events that were not given back");
    this.#trial.say("all is worked off, and right");
  }

  // ---- how it went ----

  /** Waits until the job has taken in so many records, as its status says. */
  async #takenIn(records: number): Promise<void> {
    await this.#job.until(`${records} records are taken in`, async () => {
      const { code, out } = await this.#commands.run("status", "--coordinator", this.#job.coordinator, "--json");
      return code === 0 && (JSON.parse(out) as { totals: { records: number } }).totals.records >= records ? true : undefined;
    });
  }

  async #deploy(given: Partial<OperatedJobOptions>): Promise<void> {
    await this.#job.deploy({ ...options, parallelism: this.#parallelism, ...given });
  }

  async #deployReady(parallelism: number): Promise<void> {
    const from = Date.now();
    await this.#job.cloud.deploy(this.#ready.get(parallelism));
    this.#deployed = { from, to: Date.now() };
  }

  /** Does it, waits until the job takes in records again, and measures for how long it did not. */
  async #measured(act: string, work: () => Promise<void>): Promise<void> {
    const from = Date.now();
    const watch = this.#watchPhases();
    try {
      await work();
      const done = Date.now();
      await this.#job.until("records are taken in again", async () => ((this.#progress.lastAt ?? 0) > done ? true : undefined));
      const ms = this.#progress.standstill(from, done);
      const deploying = this.#deployed.from > from ? { deploying: this.#deployed.to - this.#deployed.from } : {};
      const parts = { command: done - from, ...deploying, ...watch.parts() };
      this.#stoodStill.push({ act, ms, parts });
      this.#trial.say(`${act}: nothing was taken in for ${ms} ms at most; ${JSON.stringify(parts)}`);
    } finally {
      watch.end();
    }
  }

  /** How long the job record was in each phase. */
  #watchPhases() {
    const parts: Record<string, number> = {};
    let ended = false;
    const look = async () => {
      let [last, since]: [string | undefined, number] = [undefined, Date.now()];
      while (!ended) {
        const record = await this.#job.record().catch(() => undefined);
        const phase = phaseOf(record);
        const now = Date.now();
        if (last !== undefined && last !== "running") parts[last] = (parts[last] ?? 0) + now - since;
        [last, since] = [phase, now];
        await sleep(100);
      }
    };
    void look();
    return { parts: () => ({ ...parts }), end: () => (ended = true) };
  }

  #onEvent(event: CloudEvent): void {
    this.#options.onEvent?.(event);
    this.#trouble?.take(event);
    this.#loadAverageMax = Math.max(this.#loadAverageMax, loadavg()[0]!);
    if (event.kind === "mapping" && event.streamName === stream) this.#standstills.take(event.event);
    this.#trial.take(event);
  }
}

function phaseOf(record: JobRecord | undefined): string {
  if (record === undefined) return "none";
  return record.phase === "stopping" && record.savepoint !== undefined ? "sealing" : record.phase;
}

const deployedJob: DeployedJob<OperatedJobOptions> = {
  module: join(import.meta.dirname, "job.ts"),
  maker: "operatedJob",
  job: operatedJob,
  outside: { streams: { [stream]: { shardCount: 4 } }, tables: {}, buckets: ["results"] },
  places: {
    counts: { kind: "objects", bucket: "results", prefix: "operated/counts/" },
    rows: { kind: "objects", bucket: "results", prefix: "operated/rows/" },
    late: { kind: "objects", bucket: "results", prefix: "operated/late/" },
  },
};
