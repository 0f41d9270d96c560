/**
 * What happens next in a world: a waiting call goes on, or something begins. First a phase with faults (safety), then one without,
 * in which everything must come to its end (liveness).
 */
import type { BlobName, TaskId } from "../../base/ids.ts";
import { isKind } from "../../base/errors.ts";
import type { Doorbell, TurnOutcome } from "../../driver/doorbell.ts";
import type { JobRecord } from "../../snapshots/job-record.ts";
import { shardTask } from "../../driver/topology.ts";
import { noFaults } from "./fault-mix.ts";
import type { Delivery, Mapping } from "./mappings.ts";
import type { SimProcess } from "./scheduler.ts";
import type { SimCoordinator, SimEnvironment, World } from "./world.ts";

/** The safety phase ends after so many steps, whatever has happened until then. */
const safetyStepsMax = 6_000;
/** Without faults: a job of eight windows in three tasks each whose messages are all objects has taken 150,000 to its first checkpoint. */
const livenessStepsMax = 250_000;
/** How often a waiting call goes on rather than something new begins. */
const goOn = 0.8;

/** So often nothing has begun, and nothing was written, that whoever could have been rung has been. */
const quietMin = 60;
const quietPerMapping = 6;
const waitingPace = 0.2;
/** Virtual ms: a coordinator that found nothing to do looks again, though nothing has changed. */
const lookAgainMs = 10;

/** How often somebody deploys new code because an environment has died. */
const deployedAfterDeath = 0.2;

const calmBatchMax = 60;
const calmSweeps = 1.5;

interface Activity {
  weight: number;
  readonly begin: () => Promise<boolean> | boolean;
}

export class Agenda {
  private readonly world: World;
  private readonly sweeps: Activity;
  private readonly activities: readonly Activity[];
  private readonly pokes = new Set<TaskId>();
  /** Who was poked last, by task, and has not answered. */
  private readonly poking = new Map<TaskId, SimEnvironment>();
  private readonly again: { readonly bell: Doorbell; readonly atStep: number }[] = [];
  private restoresLeft: number;
  private reshardingsLeft: number;
  private redeploymentsLeft: number;
  /** There is a mapping for every shard of the sources. */
  private shardsAreKnown = false;
  private calm = false;
  private mayEnd: boolean;
  private finishedGeneration = 0;
  /** What had changed when the last collection began that came to its end. */
  private collectedAt = 0;
  private seenProgress = 0;
  private seenDeaths = 0;
  /** How often nothing began since something was written. */
  private quiet = 0;
  completedCheckpoints = 0;
  /** Steps of the longest way to a goal without faults. */
  livenessSteps = 0;

  constructor(world: World) {
    this.world = world;
    this.sweeps = { weight: world.settings.sweeps, begin: () => this.sweep() };
    this.activities = [
      { weight: 8, begin: () => this.ringMapping() },
      { weight: world.settings.frail ? 40 : 4, begin: () => this.produce() },
      { weight: 2, begin: () => this.ringPoke() },
      { weight: 1, begin: () => this.ringAgain() },
      this.sweeps,
      { weight: 1.5, begin: () => this.coordinate() },
      { weight: 0.2, begin: () => this.collect() },
      { weight: 0.8, begin: () => this.reshard() },
      { weight: 0.15, begin: () => this.restore() },
      { weight: 0.2, begin: () => this.redeploy() },
    ];
    this.restoresLeft = world.settings.restores;
    this.mayEnd = !world.settings.staysOpen;
    this.reshardingsLeft = world.settings.reshardings;
    this.redeploymentsLeft = world.settings.redeployments;
  }

  /** Runs both phases. */
  async run(): Promise<void> {
    const { world } = this;
    await world.sources.create(world.random, world.subject.shards);
    for (let step = 0; step < safetyStepsMax && world.failure === undefined && !this.safetyIsOver; step++) {
      const begun = this.next();
      if (begun !== undefined) await begun;
    }
    await this.drain();
  }

  private get safetyIsOver(): boolean {
    const { sources, record } = this.world;
    if (!(this.mayEnd ? this.finished : sources.produced && this.reshardingsLeft === 0)) return false;
    // A job that has finished takes no more checkpoints: there may be none to go back to, ever.
    return this.restoresLeft === 0 || (this.finished && record?.completed === undefined);
  }

  private get finished(): boolean {
    return this.finishedGeneration > 0 && this.finishedGeneration === this.world.record?.generation;
  }

  /** Without faults, until the job has finished. */
  async drain(): Promise<void> {
    const { world } = this;
    world.note("faults end");
    world.faults.mix = noFaults;
    world.setClocks();
    this.calm = true;
    this.sweeps.weight = calmSweeps;
    world.scheduler.pace = 0.012;
    world.scheduler.thaw(true);
    this.restoresLeft = 0;
    this.reshardingsLeft = 0;
    this.redeploymentsLeft = 0;
    await this.completeCheckpoint();
    // What is still under way when the job has finished, zombies above all, must not matter; or it restores the job.
    for (let step = 0; world.failure === undefined && !(this.finished && world.scheduler.idle); step++) {
      this.livenessSteps = Math.max(this.livenessSteps, step);
      if (step > livenessStepsMax) return world.fail("the job does not come to its end without faults");
      const begun = this.finished ? this.step() : this.next();
      if (begun !== undefined) await begun;
    }
  }

  /** While its sources are open, a job without faults completes checkpoints, whatever has happened to it before. */
  private async completeCheckpoint(): Promise<void> {
    const { world } = this;
    const before = this.completedCheckpoints;
    for (let step = 0; world.failure === undefined && !this.mayEnd; step++) {
      this.livenessSteps = Math.max(this.livenessSteps, step);
      if (step > livenessStepsMax) return world.fail("no checkpoint completes without faults");
      const begun = this.next();
      if (begun !== undefined) await begun;
      if (this.completedCheckpoints > before) this.mayEnd = true;
    }
  }

  /** A new generation from the checkpoint, by the same code and environments, or with another parallelism by new ones. */
  async restoreAndDrain(manifest: BlobName, parallelism: number | undefined): Promise<void> {
    const { world } = this;
    const generation = world.record?.generation ?? 0;
    for (let step = 0; world.failure === undefined && world.record?.generation === generation; step++) {
      if (step > 50) return world.fail(`checkpoint ${manifest} cannot be restored`);
      this.beginRestore(manifest, step === 0 ? parallelism : undefined);
      for (let n = 0; n < 400 && world.record?.generation === generation && world.failure === undefined; n++) await this.step();
    }
    await this.drain();
  }

  /** What is to be waited for: nothing, where nothing has begun. Most often nothing has, so that costs no promise. */
  private next(): Promise<void> | undefined {
    const { world } = this;
    world.replaceDead();
    if (world.deaths > this.seenDeaths) {
      this.seenDeaths = world.deaths;
      // New code is deployed when processes have died.
      if (this.redeploymentsLeft > 0 && world.random.chance(deployedAfterDeath)) {
        const deployed = this.redeploy();
        if (typeof deployed !== "boolean") return this.settleIf(deployed);
      }
    }
    if (!world.scheduler.idle && world.random.chance(goOn)) return this.step();
    const begun = this.begin();
    if (begun === false) return this.goOn();
    return begun === true ? world.settle() : this.settleIf(begun);
  }

  private async settleIf(beginning: Promise<boolean>): Promise<void> {
    await ((await beginning) ? this.world.settle() : this.goOn());
  }

  private goOn(): Promise<void> | undefined {
    if (!this.world.scheduler.idle) return this.step();
    this.pass();
    return undefined;
  }

  /** Nothing has begun. Where nothing has come of what began for long either, the job waits for a time. */
  private pass(): void {
    const { world } = this;
    if (world.progress > this.seenProgress) this.quiet = 0;
    this.seenProgress = world.progress;
    world.scheduler.pass(20, ++this.quiet > quietMin + quietPerMapping * world.mappings.count ? waitingPace : undefined);
  }

  private step(): Promise<void> {
    this.world.scheduler.step();
    return this.world.settle();
  }

  private begin(): Promise<boolean> | boolean {
    const { world, activities } = this;
    let all = 0;
    for (const { weight } of activities) all += weight;
    let at = world.random.next() * all;
    for (const activity of activities) if ((at -= activity.weight) < 0) return activity.begin();
    return false;
  }

  // ---- producing ----

  private produce(): Promise<boolean> | boolean {
    const { sources, random } = this.world;
    if (sources.ended) return false;
    if (!sources.produced) return this.produceMore();
    sources.ended = this.mayEnd && random.chance(0.3);
    return this.shardsAreKnown ? false : this.mapShards();
  }

  private async produceMore(): Promise<boolean> {
    await this.world.sources.produce(this.world.random);
    this.world.appends++;
    return this.mapShards();
  }

  private async mapShards(): Promise<boolean> {
    const { sources, mappings, log } = this.world;
    for (const source of sources.names)
      mappings.addShards(
        source,
        (await log.shards(source)).map((shard) => shard.id),
      );
    this.shardsAreKnown = true;
    return false;
  }

  private reshard(): Promise<boolean> | boolean {
    if (this.reshardingsLeft === 0 || this.world.sources.ended) return false;
    this.reshardingsLeft--;
    return this.splitOrMerge();
  }

  private async splitOrMerge(): Promise<boolean> {
    const { sources, random } = this.world;
    this.world.note(await sources.reshard(random));
    this.shardsAreKnown = false;
    return false;
  }

  // ---- ringing ----

  /** `since`: of that deployment, or later. */
  private freeEnvironment(since = 0): SimEnvironment | undefined {
    const { world } = this;
    const old = !this.calm && world.faults.happens("oldEnvironment");
    const free = world.environments.filter(
      ({ busy, deployment }) => !busy && deployment >= since && (deployment === world.deployment) !== old,
    );
    return free.length === 0 ? undefined : world.random.pick(free);
  }

  private ringMapping(): Promise<boolean> | boolean {
    const { world } = this;
    const mapping = world.mappings.pick(world.random);
    if (mapping === undefined) return false;
    // Without faults batches are large enough for any load: what piled up must not be what keeps a checkpoint from completing.
    const batchMax = this.calm ? Math.max(calmBatchMax, world.settings.batchMax) : world.settings.batchMax;
    const records = world.random.between(1, batchMax);
    return mapping.emptyAt === world.appends ? false : this.ringWith(mapping, records);
  }

  private async ringWith(mapping: Mapping, records: number): Promise<boolean> {
    const { world } = this;
    const batch = await world.mappings.batch(mapping, world.log, records);
    if (batch === undefined) {
      mapping.emptyAt = world.appends;
      return false;
    }
    const environment = this.freeEnvironment(mapping.since);
    if (environment === undefined) return false;
    this.deliver(mapping, environment, batch);
    if (world.faults.happens("twin")) {
      const other = this.freeEnvironment(mapping.since);
      if (other !== undefined) this.ring(other, batch.bell);
    }
    return true;
  }

  private deliver(mapping: Mapping, environment: SimEnvironment, batch: Pick<Delivery, "bell" | "last">): void {
    const { world } = this;
    const { process } = environment;
    const delivery: Delivery = { ...batch, isOpen: () => this.mayAnswer(process) };
    mapping.open = delivery;
    this.ring(environment, batch.bell, (outcome) => {
      if (mapping.open !== delivery) return;
      mapping.open = undefined;
      if (outcome?.outcome !== "done" && outcome?.outcome !== "stale") return;
      if (outcome.outcome === "stale") world.checkStale(mapping);
      // Time, or another at work, left the rest to the next delivery: all of it is delivered again.
      if (outcome.outcome === "done" && outcome.unprocessed !== undefined) return;
      mapping.position = batch.last;
      if (world.faults.happens("duplicate"))
        this.again.push({ bell: batch.bell, atStep: world.scheduler.steps + world.random.int(400) });
    });
  }

  private ringAgain(): boolean {
    const at = this.again.findIndex(({ atStep }) => atStep <= this.world.scheduler.steps);
    if (at < 0) return false;
    const environment = this.freeEnvironment();
    if (environment === undefined) return false;
    const [{ bell }] = this.again.splice(at, 1) as [(typeof this.again)[number]];
    this.ring(environment, bell);
    return true;
  }

  /** One poke of a task at a time; under faults others come beside it. */
  private ringPoke(): boolean {
    const [task] = this.pokes;
    const environment = this.freeEnvironment();
    if (task === undefined || environment === undefined) return false;
    this.pokes.delete(task);
    const open = this.poking.get(task);
    const oneAtATime = open === undefined || !this.mayAnswer(open.process);
    if (this.calm && !oneAtATime) return false;
    if (oneAtATime) this.poking.set(task, environment);
    this.ring(environment, { kind: "poke", task, oneAtATime }, () => {
      if (oneAtATime && this.poking.get(task) === environment) this.poking.delete(task);
    });
    return true;
  }

  private mayAnswer(process: SimProcess): boolean {
    return process.alive && !this.world.scheduler.isFrozen(process);
  }

  /** Pokes any task that there may be. */
  private sweep(): Promise<boolean> | boolean {
    const { record } = this.world;
    return record === undefined ? false : this.pokeAny(record);
  }

  private async pokeAny(record: JobRecord): Promise<boolean> {
    const { random, log } = this.world;
    const tasks: TaskId[] = [];
    for (const { stage, kind, tasks: own, roots, generation } of record.topology) {
      if (kind !== "source") tasks.push(...own.map(({ task }) => task));
      else
        for (const source of roots.keys())
          for (const shard of await log.shards(source)) tasks.push(shardTask(generation, stage, source, shard.id));
    }
    this.pokes.add(random.pick(tasks));
    return this.ringPoke();
  }

  private ring(
    environment: SimEnvironment,
    bell: Doorbell,
    onOutcome: (outcome: TurnOutcome | undefined) => void = () => undefined,
  ): void {
    const { world } = this;
    const { process } = environment;
    const what = describe(bell);
    world.trace.add(world.scheduler.steps, process.name, `rung: ${what}`);
    environment.busy = true;
    process.rungAt = world.scheduler.steps;
    process.astray = false;
    process.deadline = world.scheduler.now + world.settings.turnMs;
    environment.environment.turn(bell).then(
      (outcome) => {
        // What had nothing left to do when it died has answered nobody.
        if (!process.alive) return;
        environment.busy = false;
        world.trace.add(world.scheduler.steps, process.name, `answered ${outcome.outcome}`);
        if (outcome.outcome === "fenced") this.onFenced(environment);
        onOutcome(outcome);
      },
      (error: unknown) => {
        environment.busy = false;
        if (!world.judge(process, what, error)) process.alive = false;
        onOutcome(undefined);
      },
    );
  }

  private onFenced({ process, deployment }: SimEnvironment): void {
    process.alive = false;
    if (deployment === this.world.deployment) this.world.fail(`${process.name} of the latest deployment was fenced`);
  }

  // ---- coordinating ----

  private freeCoordinator(): SimCoordinator | undefined {
    const { world } = this;
    const old = !this.calm && world.faults.happens("oldEnvironment");
    const free = world.coordinators.filter(
      ({ busy, process, deployment }) => !busy && !world.scheduler.isFrozen(process) && (deployment === world.deployment) !== old,
    );
    return free.length === 0 ? undefined : world.random.pick(free);
  }

  private coordinate(): boolean {
    const { world } = this;
    const one = this.freeCoordinator();
    if (one === undefined) return false;
    const { now } = world.scheduler;
    const looked = { changes: world.changes.job, at: now };
    const { seen } = one;
    // Time alone may make a checkpoint due, or too late.
    if (seen?.changes === looked.changes && now - seen.at < lookAgainMs) return false;
    one.seen = undefined;
    this.work(one, "coordinate", async () => {
      const { coordinator } = one;
      if (!one.started || this.world.record?.phase === "restoring") await coordinator.start();
      one.started = true;
      const tick = await coordinator.tick();
      for (const task of tick.poke) this.pokes.add(task);
      if (tick.completed !== undefined) this.completedCheckpoints++;
      if (tick.poke.length === 0) one.seen = looked;
      if (tick.finished) this.finishedGeneration = Math.max(this.finishedGeneration, tick.record.generation);
    });
    return true;
  }

  private collect(): boolean {
    const { stored } = this.world.changes;
    const one = this.freeCoordinator();
    if (one === undefined || this.collectedAt === stored) return false;
    this.work(one, "collect", async () => {
      await one.coordinator.collectGarbage();
      this.collectedAt = stored;
    });
    return true;
  }

  private restore(): boolean {
    const { record, random } = this.world;
    if (this.restoresLeft === 0 || record?.completed === undefined || record.phase !== "running") return false;
    this.restoresLeft--;
    const { manifest } = random.pick(record.retained);
    this.beginRestore(manifest, random.chance(0.5) ? random.between(1, 3) : undefined);
    return true;
  }

  /** New code of the same plan, beside the old; a rollback is no other. It may have mappings of its own. */
  private redeploy(): Promise<boolean> | boolean {
    const { world } = this;
    if (this.redeploymentsLeft === 0 || world.record === undefined) return false;
    this.redeploymentsLeft--;
    world.deployment++;
    world.note(`deployment ${world.deployment}`);
    return world.random.chance(0.7) ? this.replaceMappings() : false;
  }

  private async replaceMappings(): Promise<boolean> {
    const { world } = this;
    const from = world.random.pick(["the oldest", "what was brought last", "what was brought last", "the latest"] as const);
    // What the old ones bring again goes to their own environments, which know of nothing that is passed over.
    if (from !== "the oldest") this.again.length = 0;
    await world.mappings.replace(world.deployment, async ({ stream, shard, open, position }) => {
      if (from === "the oldest") return "horizon";
      return from === "the latest" ? world.log.lastPosition(stream, shard) : (open?.last ?? position);
    });
    world.note(`mappings are made anew, and begin behind ${from}`);
    return false;
  }

  private beginRestore(manifest: BlobName, parallelism: number | undefined): void {
    const { world } = this;
    world.note(`restore ${manifest} ${parallelism === undefined ? "as it is" : `at parallelism ${parallelism}`}`);
    if (parallelism !== undefined) {
      world.graph = world.plan(parallelism);
      world.deployment++;
    }
    // Code may have been deployed last of all, and nobody runs it yet.
    world.replaceDead();
    const one = this.freeCoordinator();
    if (one === undefined) return;
    this.work(one, "restore", async () => {
      try {
        await one.coordinator.restore(manifest);
      } catch (error) {
        // Chosen, and given up by its job before it was restored.
        const kept = world.record?.retained.some((retained) => retained.manifest === manifest);
        if (!isKind(error, "invalid") || kept !== false) throw error;
      }
    });
  }

  private work(one: SimCoordinator, what: string, work: () => Promise<void>): void {
    const { world } = this;
    one.busy = true;
    const done = (process: SimProcess, failed: boolean) => {
      one.busy = false;
      if (failed) process.alive = false;
    };
    work().then(
      () => done(one.process, false),
      (error: unknown) => done(one.process, !world.judge(one.process, what, error)),
    );
  }
}

function describe(bell: Doorbell): string {
  if (bell.kind === "poke") return `poke ${bell.task}`;
  const { records } = bell;
  const where =
    bell.kind === "frames" ? bell.task : `${bell.kind === "inbox" ? bell.stage : bell.source} ${bell.shard.slice(-2)}`;
  return `${bell.kind} of ${where}, ${records[0]?.position} to ${records[records.length - 1]?.position}`;
}
