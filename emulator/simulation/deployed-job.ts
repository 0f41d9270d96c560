/**
 * A job of a simulated deployment: its functions with their real handlers and adapters, its event source mappings, and what is independently
 * known of it. Services, sources and the clock are the world's; what happens when is the agenda's.
 *
 * Beside its own checks those of JobWatch, JobEnvironments, JobMappings, CommitChecker, SinkWorld and checkers.ts hold.
 */
import type { CustomResourceOutcome } from "../../functions/custom-resource.ts";
import type { Blobs } from "../../runtime/ports/blobs.ts";
import type { BlobName } from "../../runtime/base/ids.ts";
import { isPlannedBy } from "../../runtime/driver/topology.ts";
import type { JobGraph } from "../../runtime/plan/job-graph.ts";
import type { JobRecord } from "../../runtime/snapshots/job-record.ts";
import { decodeGiven, givenPrefix } from "../../runtime/snapshots/given-letters.ts";
import { decodeManifest, isTombstone, type Manifest } from "../../runtime/snapshots/manifest.ts";
import type { Kept } from "../../runtime/testing/simulation/checkers.ts";
import { CommitChecker } from "../../runtime/testing/simulation/commit-checker.ts";
import { jobOptions } from "../../runtime/testing/simulation/settings.ts";
import type { Outside } from "../../runtime/testing/simulation/sinks.ts";
import { jobOf } from "../../runtime/testing/simulation/topologies.ts";
import type { ExecutionEnvironmentFactory } from "../lambda/execution-environment.ts";
import { createListPlace, createOwnTables, ownSinksOf, type OwnSinks } from "./deployed-sinks.ts";
import type { DeploymentWorld } from "./deployment-world.ts";
import type { PutOut } from "./forked-outputs.ts";
import { type Deployed, JobCode } from "./job-code.ts";
import { bucketName, bytesOf, JobEnvironments } from "./job-environments.ts";
import { JobMappings } from "./job-mappings.ts";
import { JobOutputs } from "./job-outputs.ts";
import { JobWatch } from "./job-watch.ts";
import { SimulatedFunction } from "./simulated-function.ts";

/** How long a zombie lives at most after its time-out: with that of the coordinator it is less than what environments count with. */
const zombieMsMax = 4 * 60_000;
const coordinatorTimeoutMs = 15 * 60_000;
const checkTimeoutMs = 2 * 60_000;

export class DeployedJob implements Kept {
  readonly name: string;
  /** The function that the schedule rings. */
  readonly coordinator: string;
  readonly functions = new Map<string, SimulatedFunction>();
  readonly watch: JobWatch;
  deployed: Deployed;
  /** Called with the checkpoint of another job that the job is to begin from. */
  onAdopted: (manifest: Manifest) => void = () => undefined;
  readonly #world: DeploymentWorld;
  readonly #commits: CommitChecker;
  readonly #code: JobCode;
  readonly #outputs: JobOutputs;
  readonly #environments: JobEnvironments;
  readonly #mappings: JobMappings;
  /** Whether what a checkpoint contains of what was put out is known afterwards. */
  readonly hasHistory: boolean;
  readonly #ownSinks: OwnSinks;
  /** Of the last deployment that was tried. */
  #ordinal = 1;

  constructor(name: string, parallelism: number, world: DeploymentWorld, isMended = false) {
    this.name = name;
    this.coordinator = `${name}-coordinator`;
    this.#world = world;
    const { settings } = world;
    const outside: Outside = new Map();
    const built = jobOf(settings.topology, jobOptions(settings, parallelism), () => undefined, outside);
    const isOwn = ({ spec }: (typeof built.graph.nodes)[number]) => spec.kind === "sink" && spec.sink.kind === "custom";
    const ownSinks = ownSinksOf(built.graph.nodes);
    this.#ownSinks = ownSinks;
    const hasRealSinks = settings.realSinks || built.graph.nodes.some(isOwn);
    this.hasHistory = !hasRealSinks;
    this.deployed = { deployment: 1, parallelism, isMisfit: false, isMended };
    const commits = new CommitChecker((message) => this.fail(message), { givenBack: () => this.#givenBack() });
    this.#commits = commits;
    const { functions } = this;
    this.#code = new JobCode({ name, settings, outside, hasRealSinks });
    this.#outputs = new JobOutputs({
      ...{ job: name, world, outside, hasRealSinks, ownSinks, commits },
      isMended: () => this.deployed.isMended,
    });
    this.watch = new JobWatch({
      ...{ job: name, commits },
      stored: (object) => this.#stored(object),
      onRecord: (record) => this.#onRecord(record),
      note: (what) => this.note(what),
      fail: (message) => this.fail(message),
    });
    this.#environments = new JobEnvironments({
      ...{ job: name, world, code: this.#code, outputs: this.#outputs, hasRealSinks, ownSinks, functions },
      now: () => ({ deployment: this.deployed.deployment, generation: this.record?.generation ?? 0 }),
    });
    this.#mappings = new JobMappings({ job: name, world, functions });
  }

  /** Makes functions, mappings and inboxes, and what its lists are pushed to. */
  async create(): Promise<void> {
    const { settings, random } = this.#world;
    await this.#provision();
    createOwnTables(this.#world.rows, this.name, this.#ownSinks);
    for (const { uid } of this.#sinks()) await createListPlace(this.#world, this.name, uid, settings.lists, random.between(1, 3));
    this.#create(this.coordinator, coordinatorTimeoutMs, this.#environments.ofCoordinator(this.coordinator, this.deployed));
  }

  /** What a deployment makes beside code: inboxes, functions and mappings of stages that are new; and mappings of those that are gone, it removes. */
  async #provision(): Promise<void> {
    const { settings, log } = this.#world;
    const routes = new Map<string, string>();
    for (const stage of this.plan().stages)
      for (const [cell, name] of this.#code.functionsOf(stage).entries()) {
        if (stage.sources.length > 0) {
          // Nothing rings for objects.
          if (settings.sources !== "objects") for (const stream of stage.sources) routes.set(stream, name);
        } else {
          const inboxes = this.#code.inboxesOf(stage);
          await log.createStream(inboxes[cell]!, Number(stage.parallelism) / inboxes.length);
          routes.set(inboxes[cell]!, name);
        }
        if (!this.functions.has(name)) this.#create(name, settings.timeoutMs, this.#environments.ofTask(name, this.deployed));
      }
    this.#mappings.provision(routes);
  }

  #create(name: string, timeoutMs: number, factory: ExecutionEnvironmentFactory, as = name): SimulatedFunction {
    const { clock, random, options } = this.#world;
    const { coldStart, recycled } = options.faults;
    const chances = { coldStartChance: coldStart, recycleChance: recycled, newSeed: () => random.int(2 ** 31) };
    const made = new SimulatedFunction({ name, clock, timeoutMs, zombieMsMax, ...chances }, factory);
    this.functions.set(as, made);
    return made;
  }

  /** The plan of the code that is deployed. */
  plan(deployed = this.deployed): JobGraph {
    return this.#code.plan(deployed);
  }

  /** Whether the job's generation is of the plan that is deployed: another is followed by a restore. */
  get runsWhatIsDeployed(): boolean {
    const { record } = this;
    const tasksOf = (stage: string) => record?.topology.find((known) => known.stage === stage)?.tasks.length;
    return (
      record !== undefined &&
      isPlannedBy(record, this.plan()) &&
      this.plan().stages.every(({ id: stage, kind, parallelism }) => kind !== "keyed" || tasksOf(stage) === parallelism)
    );
  }

  /**
   * Has the code looked at before it takes effect, then functions run it, one after the other. Undefined: it was refused, and all is as
   * before. `unchecked`: it takes effect whatever the check says.
   */
  async deploy(
    parallelism: number,
    { isMisfit = false, unchecked = false, isMended = this.deployed.isMended } = {},
  ): Promise<Deployed | undefined> {
    const { random, clock } = this.#world;
    const next: Deployed = { deployment: ++this.#ordinal, parallelism, isMisfit, isMended };
    if (!(await this.#passes(next)) && !unchecked) return undefined;
    if (next.parallelism !== this.deployed.parallelism) this.#world.calls.saw("rescaled");
    this.deployed = next;
    this.note(`deploys ${this.deployed.deployment} of parallelism ${parallelism}${isMisfit ? ", which does not fit" : ""}`);
    await this.#provision();
    // Those of stages that are gone keep their code to the end.
    const tasks = this.plan().stages.flatMap((stage) => this.#code.functionsOf(stage));
    for (const name of random.shuffled([this.coordinator, ...tasks])) {
      await clock.sleep(random.int(5_000));
      const { deployed } = this;
      const isCoordinator = name === this.coordinator;
      const factory = isCoordinator
        ? this.#environments.ofCoordinator(name, deployed)
        : this.#environments.ofTask(name, deployed);
      await this.functions.get(name)!.deploy(factory);
    }
    return next;
  }

  /** As CloudFormation asks before it changes anything; of a check that died it hears nothing, and takes that for a refusal. */
  async #passes(next: Deployed): Promise<boolean> {
    const answers: CustomResourceOutcome[] = [];
    const name = `${this.name}-check`;
    const runsBefore = this.record?.phase === "running";
    const factory = this.#environments.ofCheck(name, next, (outcome) => void answers.push(outcome));
    const check = this.#create(name, checkTimeoutMs, factory, `${name}-${next.deployment}`);
    const properties = (deployment: number) => ({ Deployment: String(deployment), Keys: [] });
    await check.invoke(
      bytesOf({
        RequestType: "Update",
        ResponseURL: "https://answers",
        ResourceProperties: properties(next.deployment),
        OldResourceProperties: properties(this.deployed.deployment),
      }),
    );
    const [answer] = answers;
    this.note(`the check of ${next.deployment} says ${JSON.stringify(answer)}`);
    const passes = answer?.outcome === "passed";
    if (passes && next.isMisfit && runsBefore && this.record?.phase === "running")
      this.fail(`the check of deployment ${next.deployment} lets pass what does not fit`);
    return passes;
  }

  /** Has the coordinator's function called, as the schedule does; what comes of it nobody hears. */
  ring(command: object): void {
    this.#world.pokes.put(this.coordinator, this.functions.get(this.coordinator)!, bytesOf(command));
  }

  readonly fail = (message: string, cause?: unknown): void => this.#world.fail(message, cause);

  note(what: string): void {
    this.#world.note(`${this.name}: ${what}`);
  }

  async stop(): Promise<void> {
    for (const known of this.functions.values()) await known.stop();
  }

  // ---- what came out ----

  /** Whether all that must come out has. */
  get isComplete(): boolean {
    return this.#outputs.isComplete;
  }

  /** What counts as put out at the checkpoint: a copy. */
  putOut(at: Manifest): PutOut {
    const uids = this.#sinks().map(({ uid }) => uid);
    return this.#outputs.putOut(uids, at);
  }

  /** Holds what has come out against what must have, and against what is promised of it. */
  checkOutputs(when: string): void {
    this.#outputs.check(when);
  }

  #sinks() {
    return this.plan().graph.nodes.filter(({ spec }) => spec.kind === "sink");
  }

  /** The job has begun from another: this is what had come out of that one by then. */
  begin(from: PutOut): void {
    this.#outputs.began = from;
  }

  get hasBegun(): boolean {
    return this.#outputs.began !== undefined;
  }

  // ---- what is known ----

  get record(): JobRecord | undefined {
    return this.watch.record;
  }

  get blobs(): Pick<Blobs, "get"> {
    return this.watch.blobs;
  }

  get completedCheckpoints(): number {
    return this.watch.completedCheckpoints;
  }

  get hasFinished(): boolean {
    return this.watch.hasFinished;
  }

  /** Whether it does nothing more: of queues that are empty nobody knows that they have ended. */
  get isAtEnd(): boolean {
    return this.hasFinished || this.#world.settings.sources === "queues";
  }

  /** How many commits have put something aside so far. */
  get putAside(): number {
    return this.#outputs.putAside;
  }

  /** Dead letters that nobody has given back so far. */
  get hasLetters(): boolean {
    return this.#outputs.letters.size > 0;
  }

  /** Letters that operators were given back, so far. */
  #givenBack(): number {
    const { s3 } = this.#world;
    const objects = s3.keys(bucketName).filter((key) => key.startsWith(`${this.name}/${givenPrefix}`));
    return objects.reduce((sum, key) => sum + decodeGiven(s3.peek(bucketName, key)!).length, 0);
  }

  #stored(name: BlobName): Uint8Array | undefined {
    return this.#world.s3.peek(bucketName, `${this.name}/${name}`);
  }

  /** Throws where it is none. */
  manifestOf(name: BlobName): Manifest {
    const manifest = decodeManifest(this.#stored(name)!);
    if (isTombstone(manifest)) throw new Error(`a checkpoint was given up: ${name}`);
    return manifest;
  }

  #onRecord({ phase, savepoint, generation }: JobRecord): void {
    const bytes = phase === "stopped" && savepoint !== undefined && this.#stored(savepoint);
    if (!bytes) return;
    const manifest = decodeManifest(bytes);
    if (isTombstone(manifest)) return;
    if (manifest.job === this.name) return this.#commits.onStopped(manifest);
    this.#outputs.adoptedAfter = generation;
    this.onAdopted(manifest);
  }
}
