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
    const { reshardings, restores, deployments } = world.settings;
    const acts = [this.#produce()];
    for (let n = 0; n < reshardings; n++) acts.push(this.#some(() => this.#reshard()));
    for (let n = 0; n < restores; n++) acts.push(this.#some(() => this.#restoreAny()));
    for (let n = 0; n < deployments; n++) acts.push(this.#some(() => this.#deploy()));
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
    if (!(await this.#until(() => this.#acting === 0, livenessMsMax))) return world.fail("what was begun does not end without faults");
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
    this.#order({ kind: "restore", manifest });
    if (!(await this.#until(() => world.record!.generation > generation, livenessMsMax)))
      return world.fail(`checkpoint ${manifest} cannot be restored`);
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
    const { settings, records, sinks, record, blobs } = world;
    if (complete) checkOutputs({ settings, records, sinks, record, blobs, fail: () => (complete = false) }, "so far");
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
  async #some(act: () => Promise<void>): Promise<void> {
    await this.#world.clock.sleep(this.#world.random.int(90_000));
    if (!this.#calm) await act();
  }

  async #reshard(): Promise<void> {
    const { sources, random } = this.#world;
    this.#world.note(await sources.reshard(random));
  }

  async #restoreAny(): Promise<void> {
    const { record, random } = this.#world;
    if (record?.completed === undefined || record.phase !== "running") return;
    const { manifest } = random.pick(record.retained);
    this.#order({ kind: "restore", manifest });
  }

  async #deploy(): Promise<void> {
    const { random, deployed, record } = this.#world;
    // Another parallelism is a restore: the check of a deployment refuses it as long as there is nothing to restore.
    const mayRescale = record?.completed !== undefined && record.phase === "running" && random.chance(0.5);
    await this.#world.deploy(mayRescale ? random.between(1, 3) : deployed.parallelism);
  }

  #order(order: object): void {
    this.#world.note(`order ${JSON.stringify(order)}`);
    this.#world.ring({ version: payloadVersion, id: `order-${++this.#orders}`, ...order });
  }
}
