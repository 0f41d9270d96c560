/**
 * The function that keeps a job going: it brings it to life, triggers and completes checkpoints, wakes tasks, follows orders and has the
 * garbage collected. The schedule rings it once a minute; while something waits it looks more often, within one invocation.
 *
 * C1 All it knows is in the job record and in what tasks said: it may be killed at any step, and the next invocation goes on.
 * C2 One looks on at a time, normally, and one carries out a restore (driver/lease.ts): two leases, since an order is followed at once,
 *    whoever looks on. Taking an order is a move of the job record. Leases are short and prolonged by whoever goes on, since of one that
 *    died nobody knows.
 *    An order takes the turn from whoever has it: of one that died nobody knows, and a job that is coming to rest stands still.
 * C3 A poke is only a doorbell: one that is lost is followed by another as long as its reason stands.
 */
import { LambdaInvoker } from "../runtime/adapters/aws/lambda-invoker.ts";
import { withEnvironment } from "../runtime/api/environment-parameters.ts";
import type { Job } from "../runtime/api/job.ts";
import { isKind, MillraceError } from "../runtime/base/errors.ts";
import type { Checkpoint, Seq, TaskId } from "../runtime/base/ids.ts";
import { Coordinator } from "../runtime/driver/coordinator.ts";
import { restoreTurnMs } from "../runtime/driver/generations.ts";
import { type Lease, takeLease } from "../runtime/driver/lease.ts";
import { together } from "../runtime/driver/together.ts";
import { readWakeUps, type WakeUp } from "../runtime/driver/wake-ups.ts";
import { planJob } from "../runtime/plan/plan-job.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import { isAtRest, isComingToRest, type JobRecord } from "../runtime/snapshots/job-record.ts";
import { lookLease, restoreLease } from "../runtime/snapshots/names.ts";
import { stageOf } from "../runtime/streaming/channel.ts";
import { allSafeguards, type Safeguards } from "../runtime/task/safeguards.ts";
import {
  type CoordinatorCommand,
  decodeCommand,
  type DescribeCommand,
  type JobDescription,
  payloadVersion,
  pokeOf,
  readSettings,
  type Settings,
} from "./contract.ts";
import type { InvocationTelemetry } from "./function-telemetry.ts";
import { guardedHandler, type Made } from "./guarded-handler.ts";
import { fieldsOf } from "./handler-error.ts";
import type { LambdaContext } from "./lambda-context.ts";
import { type FunctionPorts, openPorts } from "./open-ports.ts";
import { openSinks } from "./open-sinks.ts";
import type { FunctionParts } from "./task.ts";

export interface CoordinatorParts extends FunctionParts {
  /** Hands an event to a function; default: by Lambda. */
  readonly invoke?: (functionName: string, event: object) => Promise<void>;
  /** The garbage is collected at every so-many-th checkpoint; default 10. */
  readonly collectEvery?: number;
}

/** How the job stands. */
export interface CoordinatorResponse {
  readonly job: string;
  readonly phase: JobRecord["phase"];
  readonly generation: number;
  readonly completed: string | undefined;
  readonly savepoint: string | undefined;
  /** 0: another coordinator works, and goes on with what was ordered. */
  readonly looks: number;
}

export interface CoordinatorHandler {
  (event: DescribeCommand, context: LambdaContext): Promise<JobDescription>;
  (event: unknown, context: LambdaContext): Promise<CoordinatorResponse>;
}

/** The schedule rings so often: what is due later is for the next invocation. */
const scheduleMs = 60_000;
/** How often it looks while a step of the job itself is under way, and while only a time is waited for. */
const stepMs = 1_000;
/** While the job stands still for it: nothing is taken in behind the barrier of a checkpoint that it comes to rest with. */
const restStepMsMin = 200;
const waitMs = 5_000;
/** A checkpoint that is due so soon is waited for, since the next invocation may come after its time by as much as the interval. */
const nearMs = 10_000;
/** A task is rung again for the same reason after so long. */
const repokeMs = 10_000;
/** The same, the first time, while the job stands still for what the task has to do; then after twice as long each time. */
const restRepokeMsMin = 2_000;
/** For so long one that says nothing more is waited for. */
const lookLeaseMs = 10_000;
/** What is left of an invocation when no look is begun any more. */
const reserveMs = 5_000;
const defaultCollectEvery = 10;

export function createCoordinatorHandler(job: Job, parts: CoordinatorParts = {}): CoordinatorHandler {
  const graph = planJob(withEnvironment(job, parts.variables ?? process.env));
  const open = (made: Made) => CoordinatorFunction.open(graph, made, parts);
  const handle = guardedHandler(graph, parts, "coordinator", open, (opened, event, { awsRequestId }) =>
    opened.follow(decodeCommand(event), awsRequestId),
  );
  // Where a job is can be asked for whatever keeps it from running.
  const answer = async (event: unknown, context: LambdaContext) =>
    isDescribe(event) ? describe(graph, parts) : handle(event, context);
  return answer as CoordinatorHandler;
}

function isDescribe(event: unknown): event is DescribeCommand {
  const { kind, version } = (event ?? {}) as Partial<CoordinatorCommand>;
  return kind === "describe" && version === payloadVersion;
}

function describe({ name: job }: JobGraph, { variables = process.env }: CoordinatorParts): JobDescription {
  const { stateTable, stateBucket, deadLetterBucket, deployment, bindings, inboxes, taskFunctions } = readSettings(variables);
  const places = { stateTable, stateBucket, deadLetterBucket, deployment, bindings, inboxes, taskFunctions };
  return { version: payloadVersion, job, ...places };
}

/** When a task was rung, epoch ms, and for which checkpoint and wake-up last. */
interface Poked {
  readonly at: number;
  /** How often for the same reason before. */
  readonly before: number;
  readonly checkpoint: Checkpoint | undefined;
  readonly version: number | undefined;
}

class CoordinatorFunction {
  readonly #graph: JobGraph;
  readonly #settings: Settings;
  readonly #ports: FunctionPorts;
  readonly #telemetry: InvocationTelemetry;
  readonly #invoke: NonNullable<CoordinatorParts["invoke"]>;
  readonly #safeguards: Safeguards;
  readonly #collectEvery: number;
  readonly #poked = new Map<TaskId, Poked>();
  /** Where tasks' rings stood at the last look. */
  #heads: ReadonlyMap<TaskId, Seq> = new Map();

  private constructor(
    graph: JobGraph,
    settings: Settings,
    ports: FunctionPorts,
    telemetry: InvocationTelemetry,
    invoke: NonNullable<CoordinatorParts["invoke"]>,
    { environment, collectEvery = defaultCollectEvery }: CoordinatorParts,
  ) {
    this.#graph = graph;
    this.#settings = settings;
    this.#ports = ports;
    this.#telemetry = telemetry;
    this.#invoke = invoke;
    this.#safeguards = environment?.safeguards ?? allSafeguards;
    this.#collectEvery = collectEvery;
  }

  static async open(graph: JobGraph, { clock, telemetry }: Made, parts: CoordinatorParts): Promise<CoordinatorFunction> {
    const settings = readSettings(parts.variables ?? process.env);
    const { clients, lazyClients, random, ringSize } = parts;
    const ports = await openPorts({
      job: graph,
      settings,
      clock,
      telemetry,
      clients,
      lazyClients,
      openSinks: parts.openSinks ?? openSinks,
      random,
      ringSize,
    });
    await ports.check();
    const invoker = parts.invoke === undefined ? new LambdaInvoker(telemetry) : undefined;
    const invoke = parts.invoke ?? ((name, event) => invoker!.invoke(name, event));
    return new CoordinatorFunction(graph, settings, ports, telemetry, invoke, parts);
  }

  async follow(command: CoordinatorCommand, requestId: string): Promise<CoordinatorResponse> {
    const isOrder = command.kind !== "look" && command.kind !== "describe";
    const coordinator = this.#coordinator(requestId, isOrder);
    // An order may be what lets the job be brought to life: one that waits for older code to stop it cannot be.
    let record = isOrder ? await coordinator.order(command) : undefined;
    record = record === undefined || !isAtRest(record) ? await coordinator.start() : record;
    const lease = await takeLease(this.#ports, lookLease, requestId, lookLeaseMs, isOrder);
    if (lease === undefined) return answer(record, 0);
    try {
      return await this.#lookOn(coordinator, lease);
    } finally {
      await lease.release();
    }
  }

  /** A fresh one for each invocation: its name is part of the names of what it writes. */
  #coordinator(requestId: string, isOrder: boolean): Coordinator {
    // Once: two that took it from each other would never come to an end.
    let takesOver = isOrder;
    const restoreTurn = () => {
      const turn = takeLease(this.#ports, restoreLease, requestId, restoreTurnMs(this.#ports.clock), takesOver);
      takesOver = false;
      return turn;
    };
    return new Coordinator(this.#graph, this.#ports, {
      id: requestId,
      deployment: this.#settings.deployment,
      safeguards: this.#safeguards,
      createStream: (stream, shards, mayGoOn) => this.#ports.provisionInbox(stream, shards, mayGoOn),
      restoreTurn,
    });
  }

  async #lookOn(coordinator: Coordinator, lease: Lease): Promise<CoordinatorResponse> {
    const { clock } = this.#ports;
    const until = Math.min(clock.now() + scheduleMs, clock.now() + clock.remainingMs() - reserveMs);
    let held = clock.now() + lookLeaseMs;
    for (let looks = 1; ; looks++) {
      const { record, finished, nextAt } = await this.#look(coordinator, looks === 1, until);
      if (finished || nextAt >= until) return answer(record, looks);
      await clock.sleep(Math.max(1, nextAt - clock.now()));
      if (held - clock.now() > lookLeaseMs / 2) continue;
      // Over a long sleep another may have come, and looks on.
      if (!(await lease.prolong(lookLeaseMs))) return answer(record, looks);
      held = clock.now() + lookLeaseMs;
    }
  }

  /** One look. `until`: none begins later. `nextAt`: when the next one is of use, epoch ms. */
  async #look(
    coordinator: Coordinator,
    first: boolean,
    until: number,
  ): Promise<{ readonly record: JobRecord; readonly finished: boolean; readonly nextAt: number }> {
    const { clock } = this.#ports;
    const { record, poke, aligned, finished, completed, living } = await coordinator.look();
    // Before what may fail: an age that is missing says that nobody looks.
    this.#report(record);
    const { wakeUps, silent, heads } = await readWakeUps(living, this.#ports.journal);
    const now = clock.now();
    // Who is at work anyway is left to hear of a checkpoint, for a step: a ring would run the same task beside its batch.
    const isNew = record.pending !== undefined && now - record.pending.since < stepMs;
    const asked = isNew ? poke.filter((task) => !this.#isBusy(task, heads)) : poke;
    this.#heads = heads;
    const due = wakeUps.filter(({ at }) => at <= now);
    // In batch mode no checkpoint asks for anything later: a task whose turn was cut short before it had said when it goes on would never
    // be rung again.
    const isBatch = this.#graph.options.mode === "batch";
    const isYoung = now - record.since < scheduleMs * 2;
    // L3: after a restore every source is rung, since its mapping may have moved past the position. The others are rung by frames, if they
    // get any: those that none has reached a step later may have timers, and have told nobody.
    const atOnce = first ? living.filter((task) => isBatch || (isYoung && this.#readsSources(task))) : [];
    const unheard = isYoung ? silent.filter((task) => !atOnce.includes(task) && !this.#wasRungIn(record, task)) : [];
    const waits = first && unheard.length > 0 && now + stepMs < until;
    await this.#ring(record, asked, [...aligned, ...atOnce, ...(waits ? [] : unheard)], due);
    if (completed !== undefined && completed % this.#collectEvery === 0) await this.#collect(coordinator);
    const nextAt = this.#nextLook(coordinator, record, wakeUps);
    return { record, finished, nextAt: waits ? Math.min(nextAt, now + stepMs) : nextAt };
  }

  /** It has committed since the last look. */
  #isBusy(task: TaskId, heads: ReadonlyMap<TaskId, Seq>): boolean {
    const [before, now] = [this.#heads.get(task), heads.get(task)];
    return before !== undefined && now !== undefined && now > before;
  }

  #wasRungIn({ since }: JobRecord, task: TaskId): boolean {
    return (this.#poked.get(task)?.at ?? -Infinity) >= since;
  }

  #nextLook(coordinator: Coordinator, record: JobRecord, wakeUps: readonly WakeUp[]): number {
    const now = this.#ports.clock.now();
    if (isAtRest(record)) return Infinity;
    if (isComingToRest(record)) return now + restStep(now - (record.pending?.since ?? now));
    if (record.phase !== "running" || record.pending !== undefined || record.wanted !== undefined) return now + stepMs;
    const checkpointAt = coordinator.nextCheckpointAt(record);
    const isFrequent = this.#graph.options.checkpointIntervalMs < scheduleMs || checkpointAt - now <= nearMs;
    // What the next invocation is in time for is not waited for: each second of waiting is billed.
    const future = wakeUps.filter(({ at, by }) => at > now && by < now + scheduleMs).map(({ at }) => at);
    const nextAt = Math.min(isFrequent ? checkpointAt : Infinity, coordinator.aligns ? now + stepMs : Infinity, ...future);
    // A task may ask for an earlier time meanwhile.
    return future.length > 0 && nextAt < now + scheduleMs ? Math.min(nextAt, now + waitMs) : nextAt;
  }

  /** `asked`: for the pending checkpoint. A task that was rung for the same reason is not rung again at once. */
  async #ring(record: JobRecord, asked: readonly TaskId[], others: readonly TaskId[], due: readonly WakeUp[]): Promise<void> {
    const now = this.#ports.clock.now();
    const resting = isComingToRest(record);
    const againMs = ({ before }: Poked) => (resting ? Math.min(restRepokeMsMin * 2 ** before, repokeMs) : repokeMs);
    const checkpoints = new Map(asked.map((task) => [task, record.pending?.checkpoint]));
    const versions = new Map(due.map(({ task, version }) => [task, version]));
    const fresh = [...new Set([...asked, ...others, ...versions.keys()])].filter((task) => {
      const last = this.#poked.get(task);
      const checkpoint = checkpoints.get(task) ?? last?.checkpoint;
      const version = versions.get(task) ?? last?.version;
      const isSame = last !== undefined && checkpoint === last.checkpoint && version === last.version;
      const isFresh = !isSame || now - last.at >= againMs(last);
      if (isFresh) this.#poked.set(task, { at: now, before: isSame ? last.before + 1 : 0, checkpoint, version });
      return isFresh;
    });
    await together(fresh.map((task) => this.#pokeTask(task, record)));
  }

  async #pokeTask(task: TaskId, record: JobRecord): Promise<void> {
    const name = this.#functionOf(task, record);
    if (name === undefined)
      throw new MillraceError("invalid", `no function is named for a stage, deploy the job anew: ${stageOf(task)}`);
    try {
      await this.#invoke(name, pokeOf([task]));
    } catch (error) {
      if (!isKind(error, "unavailable")) throw error;
      this.#poked.delete(task);
      this.#telemetry.log("warn", "a task could not be rung, it will be again", { task, ...fieldsOf(error) });
    }
  }

  #readsSources(task: TaskId): boolean {
    return this.#graph.stages.some(({ id, kind }) => id === stageOf(task) && kind !== "keyed");
  }

  /** That of the task's cell; undefined: none is named. */
  #functionOf(task: TaskId, { topology }: JobRecord): string | undefined {
    const functions = this.#settings.taskFunctions[stageOf(task)] ?? [];
    const tasks = topology.find(({ stage }) => stage === stageOf(task))?.tasks ?? [];
    const place = tasks.findIndex((known) => known.task === task);
    return functions[place < 0 ? 0 : Math.floor((place * functions.length) / tasks.length)];
  }

  /** What it does not get to is there the next time. */
  async #collect(coordinator: Coordinator): Promise<void> {
    try {
      this.#telemetry.add("coordinator.objectsDeleted", await coordinator.collectGarbage());
    } catch (error) {
      if (!isKind(error, "unavailable")) throw error;
      this.#telemetry.log("warn", "garbage is collected another time", fieldsOf(error));
    }
  }

  /** A job that has stopped takes none, and a job in batch mode neither: nothing to alarm about. */
  #report(record: JobRecord): void {
    if (isAtRest(record) || this.#graph.options.mode === "batch") return;
    // A restore from an old savepoint is no reason to be woken: the generation gets its time for a checkpoint of its own.
    const age = this.#ports.clock.now() - Math.max(record.completedAt ?? 0, record.since);
    this.#telemetry.gauge("coordinator.checkpointAgeMs", Math.max(0, age));
    this.#telemetry.gauge("coordinator.generation", record.generation);
  }
}

/** What takes longer is looked at less often: each look asks those again that it waits for. */
function restStep(waitedMs: number): number {
  return Math.min(stepMs, Math.max(restStepMsMin, waitedMs / 10));
}

function answer({ job, phase, generation, completed, savepoint }: JobRecord, looks: number): CoordinatorResponse {
  return { job, phase, generation, completed, savepoint, looks };
}
