/**
 * What happens to a simulated deployment, and when: events come, shards are split, code is deployed, orders are given. First with faults
 * (safety), then without, until everything has come to its end (liveness).
 */
import { lookCommand, payloadVersion } from "../../functions/contract.ts";
import type { BlobName } from "../../runtime/base/ids.ts";
import { isAtRest, isComingToRest } from "../../runtime/snapshots/job-record.ts";
import type { DeployedJob } from "./deployed-job.ts";
import { noDeploymentFaults } from "./deployment-faults.ts";
import type { DeploymentTopology } from "./deployment-topology.ts";
import type { DeploymentWorld } from "./deployment-world.ts";
import { giveFork } from "./fork-command.ts";
import { addObject } from "./object-sources.ts";
import { giveRedrive } from "./redrive-command.ts";

const minuteMs = 60_000;
/** Virtual time after which the safety phase ends, whatever has happened until then. */
const safetyMsMax = 10 * minuteMs;
const livenessMsMax = 90 * minuteMs;
/** What nothing keeps from happening any more has happened after so long. */
const quietMs = 20_000;
/** So often a check may die of faults. */
const rollbacksMax = 30;

export class DeploymentAgenda {
  readonly #world: DeploymentWorld;
  #calm = false;
  #orders = 0;
  #acting = 0;

  constructor(world: DeploymentWorld) {
    this.#world = world;
  }

  /** Both phases. */
  async run(): Promise<void> {
    const { clock } = this.#world;
    await clock.until(this.#run(), 24 * 60 * minuteMs);
  }

  async #run(): Promise<void> {
    const world = this.#world;
    await world.create();
    void this.#ringSchedule();
    void this.#ringOthers();
    const acts = [this.#produce(), this.#operate()];
    if (world.settings.sources === "objects") acts.push(this.#addObjects());
    for (let n = 0; n < world.settings.reshardings; n++) acts.push(this.#reshard());
    this.#acting = acts.length;
    const fail = (error: unknown) => world.fail("what was begun fails", error);
    for (const act of acts) void act.catch(fail).finally(() => this.#acting--);
    await this.#until(() => this.#acting === 0, safetyMsMax);
    await this.drain();
  }

  /** Without faults, until all has come out; then until nobody is left who could spoil it. */
  async drain(): Promise<void> {
    const world = this.#world;
    this.#calm = true;
    world.note("faults end");
    world.calls.mix = noDeploymentFaults;
    if (!(await this.#until(() => this.#acting === 0, livenessMsMax)))
      return world.fail("what was begun does not end without faults");
    void this.#watch(world.job);
    const completed = world.jobs.map((job) => job.completedCheckpoints);
    const completes = () => !world.settings.staysOpen || world.jobs.every((job, n) => job.completedCheckpoints > completed[n]!);
    if (!(await this.#until(completes, livenessMsMax))) return world.fail("no checkpoint completes without faults");
    for (const source of world.sources.names) world.log.end(source);
    world.note("sources end");
    await this.#comeToEnd();
  }

  /** All has come out, and every task has ended: the checkers say what is missing of the one, this of the other. */
  async #comeToEnd(): Promise<void> {
    // What kills is put aside after several deaths, with a queue's visibility time-out behind each: while more is, there is more to wait for.
    for (let before = -1; this.#putAside > before;) {
      before = this.#putAside;
      if (await this.#until(() => this.#isComplete(), livenessMsMax)) return this.#becomeQuiet();
    }
    for (const job of this.#world.jobs) {
      job.checkOutputs("however long it is waited for");
      if (!job.isAtEnd) job.fail(`${job.name} does not come to its end`);
    }
  }

  /** A new generation from the checkpoint, by the same code or by that of another parallelism. */
  async restoreAndDrain(job: DeployedJob, manifest: BlobName, parallelism: number | undefined): Promise<void> {
    await this.#world.clock.until(this.#restoreAndDrain(job, manifest, parallelism), 24 * 60 * minuteMs);
  }

  async #restoreAndDrain(job: DeployedJob, manifest: BlobName, parallelism: number | undefined): Promise<void> {
    const generation = job.record!.generation;
    await this.#order({ kind: "restore", manifest }, () => job.record!.generation > generation, job);
    if (job.record!.generation === generation) return job.fail(`checkpoint ${manifest} cannot be restored`);
    if (parallelism !== undefined && (await job.deploy(parallelism)) === undefined)
      return job.fail(`parallelism ${parallelism} is refused without faults`);
    await this.#comeToEnd();
  }

  /** Until zombies have gone on, and what was late has come: it must not matter. */
  async #becomeQuiet(): Promise<void> {
    const { clock, calls } = this.#world;
    await clock.sleep(Math.max(0, calls.latestAt - clock.now()) + quietMs);
  }

  /** How often something was put aside so far. */
  get #putAside(): number {
    return this.#world.jobs.reduce((sum, job) => sum + job.putAside, 0);
  }

  /** Whether all that must come out has. */
  #isComplete(): boolean {
    return this.#world.jobs.every((job) => runs(job) && job.isAtEnd && job.isComplete);
  }

  /** False: it did not come true in time. */
  async #until(condition: () => boolean, limitMs: number): Promise<boolean> {
    const { clock } = this.#world;
    const last = clock.now() + limitMs;
    while (this.#world.failure === undefined && clock.now() < last) {
      if (condition()) return true;
      await clock.sleep(1_000);
    }
    return this.#world.failure !== undefined;
  }

  // ---- what happens by itself ----

  async #ringSchedule(): Promise<void> {
    const { clock } = this.#world;
    for (;;) {
      for (const job of this.#world.jobs) job.ring(lookCommand);
      await clock.sleep(minuteMs);
    }
  }

  async #ringOthers(): Promise<void> {
    const { clock, random, calls } = this.#world;
    for (;;) {
      await clock.sleep(random.between(1_000, minuteMs));
      if (calls.happens("secondCoordinator")) random.pick(this.#world.jobs).ring(lookCommand);
    }
  }

  async #produce(): Promise<void> {
    const world = this.#world;
    while (!world.produced) {
      await world.clock.sleep(this.#calm ? 10 : world.random.between(10, 4_000));
      await world.produce();
    }
  }

  /** At some time while records come. */
  async #reshard(): Promise<void> {
    const world = this.#world;
    await world.clock.sleep(world.random.int(90_000));
    if (this.#calm) return;
    world.note(await world.reshard());
    world.acts.resharded++;
  }

  /** What comes later than the job is not its input: nor that of a job that goes on from it. */
  async #addObjects(): Promise<void> {
    const { clock, random, topology, s3 } = this.#world;
    await clock.sleep(random.int(minuteMs));
    if (this.#world.job.record === undefined) return;
    for (const source of topology.sources) addObject(s3, source);
  }

  // ---- what people do: one thing after the other, and each is seen to its end ----

  async #operate(): Promise<void> {
    const { settings, random, clock } = this.#world;
    for (let n = 0; n < settings.operations; n++) {
      await clock.sleep(random.int(30_000));
      // Most of what can be done needs a checkpoint.
      if (random.chance(0.8))
        await this.#until(() => this.#calm || this.#world.job.record?.completed !== undefined, 2 * minuteMs);
      // What is to be given back must have been put aside: its letters come of many deaths.
      if (this.#isToMend) await this.#until(() => this.#calm || this.#world.job.hasLetters, 4 * minuteMs);
      if (this.#calm) return;
      await this.#operateOnce();
      await this.#until(() => runs(this.#world.job), 2 * minuteMs);
    }
  }

  /**
   * A command may die, and is given again under another name: what it had ordered of a job may be followed after that, and whoever finds the
   * job at rest has it run again.
   */
  async #watch(job: DeployedJob): Promise<void> {
    for (;;) {
      await this.#world.clock.sleep(minuteMs);
      if (rests(job)) await this.#resume(job);
    }
  }

  async #resume(job = this.#world.job): Promise<void> {
    await this.#order({ kind: "resume" }, () => job.record!.phase === "running", job);
  }

  async #operateOnce(): Promise<void> {
    await this.#world.random.pick(this.#operations())();
  }

  /** What can be done now: the more often a thing stands there, the likelier it is. */
  #operations(): readonly (() => Promise<void>)[] {
    const { job, fork, settings } = this.#world;
    const isOpen = settings.sources !== "objects";
    // What was taken from a queue is gone from it: a restore from before that cannot have it again.
    const isRestorable = settings.sources !== "queues";
    const { record } = job;
    const hasCheckpoint = runs(job) && record?.completed !== undefined;
    return [
      () => this.#deploy(),
      // Of a job that is new anything fits.
      ...(record === undefined ? [] : [() => this.#misdeploy()]),
      ...(record === undefined || !isRestorable ? [] : [() => this.#rescale()]),
      ...(hasCheckpoint ? [() => this.#save()] : []),
      ...(hasCheckpoint && isRestorable ? [() => this.#restore()] : []),
      // A job that has come to its end does not come to rest.
      ...(hasCheckpoint && isOpen ? [() => this.#pause(), () => this.#stop(), () => this.#rescaleAtRest()] : []),
      ...(hasCheckpoint && isRestorable && fork === undefined && (isOpen || job.hasHistory)
        ? [() => this.#fork(), () => this.#fork()]
        : []),
      ...(this.#isToMend && hasCheckpoint && job.hasLetters ? new Array(8).fill(() => this.#redrive()) : []),
    ];
  }

  /** Letters may be given back, to code that is not there so far. */
  get #isToMend(): boolean {
    const { job, topology } = this.#world;
    return (topology as Partial<DeploymentTopology>).isMendable === true && !job.deployed.isMended;
  }

  async #deploy(parallelism = this.#world.job.deployed.parallelism): Promise<void> {
    const { acts, job } = this.#world;
    acts[(await job.deploy(parallelism)) === undefined ? "refused" : "deployed"]++;
  }

  /** Code that does not fit is taken back: by a new deployment of what ran before. */
  async #misdeploy(): Promise<void> {
    const { job, acts, clock, random } = this.#world;
    const { parallelism } = job.deployed;
    if ((await job.deploy(parallelism, { isMisfit: true, unchecked: random.chance(0.7) })) === undefined)
      return void acts.refused++;
    acts.misdeployed++;
    await clock.sleep(random.int(90_000));
    acts.rolledBack++;
    for (let tries = 1; (await job.deploy(parallelism)) === undefined && this.#world.failure === undefined; tries++) {
      if (tries === rollbacksMax) return job.fail("the code that ran before is refused");
      acts.refused++;
    }
  }

  /** Another parallelism is a restore: where there is nothing to restore it is refused. */
  async #rescale(): Promise<void> {
    await this.#deploy(this.#world.random.between(1, 3));
  }

  /** As `millrace rescale` does it: nothing is taken in between the savepoint and what begins from it. */
  async #rescaleAtRest(): Promise<void> {
    await this.#comeToStop();
    await this.#rescale();
    await this.#resume();
  }

  /** What was put aside is given back to code that takes it. */
  async #redrive(): Promise<void> {
    const { acts, job } = this.#world;
    if ((await job.deploy(job.deployed.parallelism, { isMended: true })) === undefined) return void acts.refused++;
    acts.mended++;
    await this.#giveBack();
    acts.redriven += job.hasLetters ? 1 : 0;
  }

  async #giveBack(): Promise<void> {
    const { clock, job, random } = this.#world;
    const last = clock.now() + livenessMsMax;
    while (!(await giveRedrive(this.#world, job))) {
      if (clock.now() >= last || this.#world.failure !== undefined) return job.fail("dead letters cannot be given back");
      await clock.sleep(random.between(1_000, 20_000));
    }
  }

  async #restore(): Promise<void> {
    const { job, random, acts } = this.#world;
    const { generation, retained } = job.record!;
    acts.restored++;
    const { manifest } = random.pick(retained);
    const isRetained = () => job.record!.retained.some((kept) => kept.manifest === manifest);
    await this.#order({ kind: "restore", manifest }, () => job.record!.generation > generation || !isRetained());
  }

  async #save(): Promise<void> {
    const { acts, job } = this.#world;
    const { lastCheckpoint } = job.record!;
    acts.saved++;
    const isTaken = () => job.record!.lastCheckpoint > lastCheckpoint;
    await this.#order({ kind: "savepoint" }, isTaken);
  }

  /** Sometimes for longer than anything is kept that nothing refers to. */
  async #pause(): Promise<void> {
    const { acts, clock, random, job } = this.#world;
    await this.#order({ kind: "pause" }, () => job.record!.phase === "paused");
    const isLong = random.chance(0.2);
    acts[isLong ? "pausedLong" : "paused"]++;
    await clock.sleep(isLong ? 75 * minuteMs : random.int(minuteMs));
    await this.#resume();
  }

  async #stop(): Promise<void> {
    const { clock, random } = this.#world;
    await this.#comeToStop();
    await clock.sleep(random.int(minuteMs));
    await this.#resume();
  }

  async #comeToStop(): Promise<void> {
    const { acts, job } = this.#world;
    await this.#order({ kind: "stop" }, () => job.record!.phase === "stopped");
    acts.stopped++;
  }

  /**
   * Another job begins from what this one has: from a checkpoint that is kept, or from a savepoint that is taken for it. Sometimes it has
   * run by itself by then, from its sources' oldest records, and gives that up.
   */
  async #fork(): Promise<void> {
    const world = this.#world;
    const { job, random, clock } = world;
    world.acts.forked++;
    // Where sinks do not know their history, it is known what was put out while nothing goes on.
    if (!job.hasHistory) await this.#comeToStop();
    const { savepoint, retained } = job.record!;
    const stopped = job.hasHistory ? undefined : job.putOut(job.manifestOf(savepoint!));
    const fork = await world.createFork(random.between(1, 3));
    fork.onAdopted = (manifest) => fork.begin(stopped ?? job.putOut(manifest));
    // Of a job that comes to its end no savepoint is taken any more.
    const isOpen = world.settings.sources !== "objects";
    const oneKept = () => random.pick(retained).manifest;
    let from = stopped !== undefined ? savepoint : isOpen && random.chance(0.5) ? undefined : oneKept();
    await clock.sleep(random.chance(0.5) ? random.int(100) : random.int(90_000));
    const last = clock.now() + livenessMsMax;
    while (!(await giveFork(world, job, fork, from)) && clock.now() < last && world.failure === undefined) {
      await clock.sleep(random.between(1_000, 20_000));
      if (!job.record!.retained.some((kept) => kept.manifest === from))
        from = isOpen ? undefined : random.pick(job.record!.retained).manifest;
    }
    if (!fork.hasBegun) world.fail("the job cannot be forked");
    void this.#watch(fork);
    if (stopped !== undefined) await this.#resume();
  }

  /** Given again until it is followed: under one name, since nobody hears whether it was. */
  async #order(
    order: { readonly kind: string; readonly manifest?: BlobName },
    isFollowed: () => boolean,
    job = this.#world.job,
  ): Promise<void> {
    const { clock } = this.#world;
    const id = `order-${++this.#orders}`;
    job.note(`order ${id} ${JSON.stringify(order)}`);
    const last = clock.now() + livenessMsMax;
    while (
      !isFollowed() &&
      !(order.kind === "savepoint" && job.hasFinished) &&
      clock.now() < last &&
      this.#world.failure === undefined
    ) {
      job.ring({ version: payloadVersion, id, ...order });
      await this.#until(isFollowed, 20_000);
    }
  }
}

function runs({ record, runsWhatIsDeployed }: DeployedJob): boolean {
  return record?.phase === "running" && runsWhatIsDeployed;
}

function rests({ record }: DeployedJob): boolean {
  return record !== undefined && (isAtRest(record) || isComingToRest(record));
}
