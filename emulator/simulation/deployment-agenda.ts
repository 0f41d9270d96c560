/**
 * What happens to a simulated deployment, and when: events come, shards are split, code is deployed, orders are given. First with faults
 * (safety), then without, until everything has come to its end (liveness).
 */
import { lookCommand, payloadVersion } from "../../functions/contract.ts";
import type { BlobName } from "../../runtime/base/ids.ts";
import { checkOutputs } from "../../runtime/testing/simulation/checkers.ts";
import { noDeploymentFaults } from "./deployment-faults.ts";
import type { DeploymentWorld } from "./deployment-world.ts";

const minuteMs = 60_000;
/** Virtual time after which the safety phase ends, whatever has happened until then. */
const safetyMsMax = 10 * minuteMs;
const livenessMsMax = 90 * minuteMs;
/** What nothing keeps from happening any more has happened after so long. */
const quietMs = 20_000;

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
    for (let n = 0; n < world.settings.reshardings; n++) acts.push(this.#reshard());
    this.#acting = acts.length;
    for (const act of acts) void act.finally(() => this.#acting--);
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
    const { completedCheckpoints } = world;
    const completes = () => !world.settings.staysOpen || world.completedCheckpoints > completedCheckpoints;
    if (!(await this.#until(completes, livenessMsMax))) return world.fail("no checkpoint completes without faults");
    for (const source of world.sources.names) world.log.end(source);
    world.note("sources end");
    if (await this.#until(() => this.#isComplete(), livenessMsMax)) await this.#becomeQuiet();
  }

  /** A new generation from the checkpoint, by the same code or by that of another parallelism. */
  async restoreAndDrain(manifest: BlobName, parallelism: number | undefined): Promise<void> {
    const world = this.#world;
    await world.clock.until(this.#restoreAndDrain(manifest, parallelism), 24 * 60 * minuteMs);
  }

  async #restoreAndDrain(manifest: BlobName, parallelism: number | undefined): Promise<void> {
    const world = this.#world;
    const generation = world.record!.generation;
    await this.#order({ kind: "restore", manifest }, () => world.record!.generation > generation);
    if (world.record!.generation === generation) return world.fail(`checkpoint ${manifest} cannot be restored`);
    if (parallelism !== undefined) await world.deploy(parallelism);
    if (await this.#until(() => this.#isComplete(), livenessMsMax)) await this.#becomeQuiet();
  }

  /** Until zombies have gone on, and what was late has come: it must not matter. */
  async #becomeQuiet(): Promise<void> {
    const { clock, calls } = this.#world;
    await clock.sleep(Math.max(0, calls.latestAt - clock.now()) + quietMs);
  }

  /** Whether all that must come out has. */
  #isComplete(): boolean {
    const world = this.#world;
    let complete = world.record?.phase === "running" && world.runsWhatIsDeployed;
    const { topology, records, sinks } = world;
    if (complete) checkOutputs({ topology, records, sinks, fail: () => (complete = false) }, "so far");
    return complete;
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
      this.#world.ring(lookCommand);
      await clock.sleep(minuteMs);
    }
  }

  async #ringOthers(): Promise<void> {
    const { clock, random, calls } = this.#world;
    for (;;) {
      await clock.sleep(random.between(1_000, minuteMs));
      if (calls.happens("secondCoordinator")) this.#world.ring(lookCommand);
    }
  }

  async #produce(): Promise<void> {
    const { sources, random, clock } = this.#world;
    while (!sources.produced) {
      await clock.sleep(this.#calm ? 10 : random.between(10, 4_000));
      await sources.produce(random);
    }
  }

  /** At some time while records come. */
  async #reshard(): Promise<void> {
    const world = this.#world;
    await world.clock.sleep(world.random.int(90_000));
    if (this.#calm) return;
    world.note(await world.sources.reshard(world.random));
    world.acts.resharded++;
  }

  // ---- what people do: one thing after the other, and each is seen to its end ----

  async #operate(): Promise<void> {
    const { settings, random, clock } = this.#world;
    for (let n = 0; n < settings.operations; n++) {
      await clock.sleep(random.int(30_000));
      // Most of what can be done needs a checkpoint.
      if (random.chance(0.8)) await this.#until(() => this.#calm || this.#world.record?.completed !== undefined, 2 * minuteMs);
      if (this.#calm) return;
      await this.#operateOnce();
      await this.#until(() => this.#runs, livenessMsMax);
    }
  }

  get #runs(): boolean {
    return this.#world.record?.phase === "running" && this.#world.runsWhatIsDeployed;
  }

  async #operateOnce(): Promise<void> {
    const { random, record } = this.#world;
    const hasCheckpoint = this.#runs && record?.completed !== undefined;
    const operations = [
      () => this.#deploy(),
      // Of a job that is new anything fits.
      ...(record === undefined ? [] : [() => this.#misdeploy()]),
      ...(hasCheckpoint
        ? [() => this.#rescale(), () => this.#restore(), () => this.#save(), () => this.#pause(), () => this.#stop()]
        : []),
    ];
    await random.pick(operations)();
  }

  async #deploy(): Promise<void> {
    this.#world.acts.deployed++;
    await this.#world.deploy(this.#world.deployed.parallelism);
  }

  /** Code that does not fit is taken back: by a new deployment of what ran before. */
  async #misdeploy(): Promise<void> {
    const world = this.#world;
    const { parallelism } = world.deployed;
    world.acts.misdeployed++;
    await world.deploy(parallelism, true);
    await world.clock.sleep(world.random.int(90_000));
    world.acts.rolledBack++;
    await world.deploy(parallelism);
  }

  /** Another parallelism is a restore: the check of a deployment refuses it as long as there is nothing to restore. */
  async #rescale(): Promise<void> {
    this.#world.acts.deployed++;
    await this.#world.deploy(this.#world.random.between(1, 3));
  }

  async #restore(): Promise<void> {
    const { record, random, acts } = this.#world;
    const { generation, retained } = record!;
    acts.restored++;
    const { manifest } = random.pick(retained);
    const isRetained = () => this.#world.record!.retained.some((kept) => kept.manifest === manifest);
    await this.#order({ kind: "restore", manifest }, () => this.#world.record!.generation > generation || !isRetained());
  }

  async #save(): Promise<void> {
    const { acts, record } = this.#world;
    const { lastCheckpoint } = record!;
    acts.saved++;
    const isTaken = () => this.#world.record!.lastCheckpoint > lastCheckpoint;
    await this.#order({ kind: "savepoint" }, isTaken);
  }

  /** Sometimes for longer than anything is kept that nothing refers to. */
  async #pause(): Promise<void> {
    const { acts, clock, random } = this.#world;
    await this.#order({ kind: "pause" }, () => this.#world.record!.phase === "paused");
    const isLong = random.chance(0.2);
    acts[isLong ? "pausedLong" : "paused"]++;
    await clock.sleep(isLong ? 75 * minuteMs : random.int(minuteMs));
    await this.#order({ kind: "resume" }, () => this.#world.record!.phase === "running");
  }

  async #stop(): Promise<void> {
    const { acts, clock, random } = this.#world;
    await this.#order({ kind: "stop" }, () => this.#world.record!.phase === "stopped");
    acts.stopped++;
    await clock.sleep(random.int(minuteMs));
    await this.#order({ kind: "resume" }, () => this.#world.record!.phase === "running");
  }

  /** Given again until it is followed: under one name, since nobody hears whether it was. */
  async #order(order: object, isFollowed: () => boolean): Promise<void> {
    const { clock } = this.#world;
    const id = `order-${++this.#orders}`;
    this.#world.note(`order ${id} ${JSON.stringify(order)}`);
    const last = clock.now() + livenessMsMax;
    while (!isFollowed() && clock.now() < last && this.#world.failure === undefined) {
      this.#world.ring({ version: payloadVersion, id, ...order });
      await this.#until(isFollowed, 20_000);
    }
  }
}
