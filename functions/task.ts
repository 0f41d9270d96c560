/**
 * The function that runs tasks of a job: rung by event source mappings with batches, and by the coordinator with pokes. Thin: it turns
 * what Lambda brings into doorbells, and outcomes into what the mapping is to do next.
 *
 * T1 Success is answered only for what is committed with its effects done, or is of a generation that is over. Anything else the mapping
 *    brings again.
 * T2 Ports, plan and caches are made once per execution environment; a failure to make them is not kept.
 */
import { randomUUID } from "node:crypto";
import type { AwsClients } from "../runtime/adapters/aws/aws-clients.ts";
import type { LazyClients } from "../runtime/adapters/aws/lazy-clients.ts";
import { awsPayload } from "../runtime/adapters/aws/open-aws.ts";
import { shardIn } from "../runtime/adapters/aws/celled-log.ts";
import type { SourceRecord } from "../runtime/api/connector.ts";
import { withEnvironment } from "../runtime/api/environment-parameters.ts";
import type { Job } from "../runtime/api/job.ts";
import { isKind, MillraceError } from "../runtime/base/errors.ts";
import { id, type ShardId, type TaskId } from "../runtime/base/ids.ts";
import { partsOf } from "../runtime/connectors/hybrid/hybrid.ts";
import { placeOf } from "../runtime/connectors/kinesis/unpack.ts";
import { queueKinds, queueShard } from "../runtime/connectors/sqs/sqs.ts";
import type { Doorbell, TurnOutcome } from "../runtime/driver/doorbell.ts";
import { Environment } from "../runtime/driver/environment.ts";
import { defaultEnvironment, type EnvironmentOptions } from "../runtime/driver/environment-options.ts";
import { realTimeLimits } from "../runtime/task/task-plan.ts";
import { planJob } from "../runtime/plan/plan-job.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import { decodeBrought, type QueueEvent, type TableEvent, type TopicsEvent } from "./brought-events.ts";
import { decodePoke, readSettings, type Settings } from "./contract.ts";
import type { InvocationTelemetry } from "./function-telemetry.ts";
import { guardedHandler, type Made } from "./guarded-handler.ts";
import { fieldsOf } from "./handler-error.ts";
import type { InvocationClock } from "./invocation-clock.ts";
import { allDone, type BatchResponse, decodeBatch, failedAll, failedFrom, type KinesisBatch } from "./kinesis-event.ts";
import type { LambdaContext } from "./lambda-context.ts";
import { type FunctionPorts, inboxesOf, openPorts, type OpenSinks, sourcesOf } from "./open-ports.ts";
import { openSinks } from "./open-sinks.ts";

/** What takes the place of what a function finds by itself: for tests. */
export interface FunctionParts {
  readonly variables?: Readonly<Record<string, string | undefined>>;
  readonly clients?: AwsClients;
  readonly lazyClients?: Partial<LazyClients>;
  readonly telemetry?: InvocationTelemetry;
  readonly openSinks?: OpenSinks;
  readonly environment?: Partial<EnvironmentOptions>;
  readonly clock?: InvocationClock;
  /** From 0 to below 1, for jitter; default Math.random. */
  readonly random?: () => number;
  /** Of each environment, and of no other; default: a UUID. */
  readonly newId?: () => string;
  /** Slots per ring of a job that is new; default what is written else. */
  readonly ringSize?: number;
}

/** What became of the tasks of a poke. */
export interface PokeResponse {
  readonly outcomes: Readonly<Record<TaskId, TurnOutcome["outcome"]>>;
}

export type TaskHandler = (event: unknown, context: LambdaContext) => Promise<BatchResponse | PokeResponse>;

/**
 * So many turns of one task in a row, when each has found something to read: after a restore there is much to catch up on. What no mapping
 * brings is read as long as there is time.
 */
const turnsPerPoke = 20;
/** What the first of them reads of what a turn may; each reads twice as much: something is taken in soon, and little is lost in a race. */
const firstShare = 1 / 8;
/**
 * So many of them may find no more than has just come, which is brought where somebody brings it: the last of a shard's records do not say yet
 * that it has ended.
 */
const turnsCaughtUp = 2;
/** What a turn keeps of the invocation's time for its commit and effects, at most; and at most this share of all the time there is. */
const reserveMsMax = 5_000;
const reserveShare = 0.25;

export function createTaskHandler(job: Job, parts: FunctionParts = {}): TaskHandler {
  const graph = planJob(withEnvironment(job, parts.variables ?? process.env));
  const open = (made: Made) => TaskFunction.open(graph, made, parts);
  return guardedHandler(graph, parts, "task", open, (opened, event) => opened.answer(event));
}

class TaskFunction {
  readonly #graph: JobGraph;
  readonly #settings: Settings;
  readonly #ports: FunctionPorts;
  readonly #telemetry: InvocationTelemetry;
  readonly #environment: Environment;

  private constructor(
    graph: JobGraph,
    settings: Settings,
    ports: FunctionPorts,
    telemetry: InvocationTelemetry,
    environment: Environment,
  ) {
    this.#graph = graph;
    this.#settings = settings;
    this.#ports = ports;
    this.#telemetry = telemetry;
    this.#environment = environment;
  }

  static async open(graph: JobGraph, { clock, telemetry }: Made, parts: FunctionParts): Promise<TaskFunction> {
    const settings = readSettings(parts.variables ?? process.env);
    const ports = await openPorts({
      remembersRedrives: true,
      job: graph,
      settings,
      clock,
      telemetry,
      clients: parts.clients,
      lazyClients: parts.lazyClients,
      openSinks: parts.openSinks ?? openSinks,
      random: parts.random,
      ringSize: parts.ringSize,
    });
    const environment = new Environment(graph, ports, {
      ...defaultEnvironment,
      limits: realTimeLimits,
      payload: awsPayload,
      reserveMs: Math.min(reserveMsMax, clock.remainingMs() * reserveShare),
      ...parts.environment,
      id: (parts.newId ?? randomUUID)(),
      deployment: settings.deployment,
    });
    return new TaskFunction(graph, settings, ports, telemetry, environment);
  }

  async answer(event: unknown): Promise<BatchResponse | PokeResponse> {
    const poke = decodePoke(event);
    if (poke !== undefined) return { outcomes: await this.#poke(poke.tasks) };
    const brought = decodeBrought(event);
    if (brought !== undefined) return this.#takeBrought(brought);
    const batch = decodeBatch(event);
    if (batch === undefined) throw new MillraceError("invalid", "the event is neither a batch of a stream nor a poke");
    return this.#takeBatch(batch);
  }

  // ---- batches ----

  async #takeBatch(batch: KinesisBatch): Promise<BatchResponse> {
    const bells = await this.#bellsOf(batch);
    let failed: string | undefined;
    for (const bell of bells) {
      const from = failureOf(await this.#environment.turn(bell), batch, bell);
      if (from !== undefined && (failed === undefined || isEarlier(from, failed, batch))) failed = from;
    }
    return failed === undefined ? allDone : failedFrom(failed);
  }

  /** Whose batch it is: an inbox's stage, or each source that reads the stream. */
  async #bellsOf({ stream, shard, records }: KinesisBatch): Promise<readonly Doorbell[]> {
    for (const { id: stage, kind } of this.#graph.stages) {
      const cells = kind === "keyed" ? inboxesOf(this.#graph.name, this.#settings, stage) : [];
      const cell = cells.indexOf(stream);
      if (cell >= 0) return [{ kind: "inbox", stage, shard: cells.length === 1 ? shard : shardIn(cell, shard), records }];
    }
    const bells: Doorbell[] = [];
    for (const { uid, source } of sourcesOf(this.#graph)) {
      if (partsOf(source).at(-1)!.kind !== "kinesis" || this.#streamOf(uid, source.name) !== stream) continue;
      bells.push({ kind: "records", source: uid, shard, records: await this.#unpack(uid, source.name, shard, records) });
    }
    if (bells.length > 0) return bells;
    throw new MillraceError(
      "invalid",
      `no stage or source of job ${this.#graph.name} reads this stream, remove its mapping: ${stream}`,
    );
  }

  /** As the source's own reader would have given them. */
  async #unpack(uid: string, name: string, shard: ShardId, records: readonly SourceRecord[]): Promise<readonly SourceRecord[]> {
    return (await this.#ports.sources.get(uid)?.unpack?.(name, shard, records)) ?? records;
  }

  // ---- what mappings of other sources bring ----

  async #takeBrought(brought: TableEvent | QueueEvent | TopicsEvent): Promise<BatchResponse> {
    switch (brought.kind) {
      case "table":
        return (await this.#ring(brought.table)) ? allDone : failedFrom(brought.first);
      case "queue": {
        return failedAll(await this.#takeMessages(brought));
      }
      case "topics": {
        // A mapping of Kafka asks for no more than success: what is done by then is passed over when it comes again.
        for (const { topic, shard, records } of brought.partitions)
          if (!(await this.#takeAll(["kafka"], topic, shard, records)))
            throw new MillraceError("unavailable", `not all was taken in, the rest is to be brought again: ${topic}, ${shard}`);
        return allDone;
      }
    }
  }

  async #ring(table: string): Promise<boolean> {
    let done = true;
    for (const { uid } of this.#sourcesOf(["dynamodbStream"], table)) {
      const rung = await this.#environment.ring(uid);
      if (rung.outcome === "fenced") throw fencedBy(rung.deployment);
      done &&= rung.outcome === "done";
    }
    return done;
  }

  /** False: something of it is to be brought again. Throws `fenced`. */
  async #takeAll(kinds: readonly string[], name: string, shard: ShardId, records: readonly SourceRecord[]): Promise<boolean> {
    let done = true;
    for (const { uid } of this.#sourcesOf(kinds, name)) {
      const outcome = await this.#environment.turn({
        kind: "records",
        source: uid,
        shard,
        records: await this.#unpack(uid, name, shard, records),
      });
      if (outcome.outcome === "fenced") throw fencedBy(outcome.deployment);
      done &&= outcome.outcome === "done" && outcome.unprocessed === undefined;
    }
    return done;
  }

  /** The ids of those that are to be brought again. Throws `fenced`. */
  async #takeMessages({ queue, messages }: QueueEvent): Promise<readonly string[]> {
    const again = new Set<string>();
    for (const { uid } of this.#sourcesOf(queueKinds, queue)) {
      const shard = id<ShardId>(queueShard);
      const records = await this.#unpack(uid, queue, shard, messages);
      const outcome = await this.#environment.turn({ kind: "records", source: uid, shard, records });
      if (outcome.outcome === "fenced") throw fencedBy(outcome.deployment);
      const left = outcome.outcome === "done" ? outcome.left : messages.map(({ partitionKey }) => partitionKey);
      for (const one of left) again.add(one);
    }
    return [...again];
  }

  #sourcesOf(kinds: readonly string[], name: string) {
    const found = sourcesOf(this.#graph).filter(
      ({ uid, source }) => kinds.includes(partsOf(source).at(-1)!.kind) && nameOf(this.#streamOf(uid, source.name)) === name,
    );
    if (found.length > 0) return found;
    throw new MillraceError("invalid", `no source of job ${this.#graph.name} reads this, remove its mapping: ${name}`);
  }

  #streamOf(uid: string, name: string): string {
    const { bindings } = this.#settings;
    return bindings[uid] ?? bindings[name] ?? name;
  }

  // ---- pokes ----

  async #poke(tasks: readonly TaskId[]): Promise<PokeResponse["outcomes"]> {
    const outcomes: Record<TaskId, TurnOutcome["outcome"]> = {};
    for (const task of tasks) outcomes[task] = await this.#pokeTask(task);
    return outcomes;
  }

  /** A poke is a doorbell: one that comes to nothing is followed by another, so what may be over soon is no failure. */
  async #pokeTask(task: TaskId): Promise<TurnOutcome["outcome"]> {
    try {
      for (let turns = 1, caughtUp = 0; ; turns++) {
        const share = Math.min(1, firstShare * 2 ** (turns - 1));
        const outcome = await this.#environment.turn({ kind: "poke", task, share });
        if (outcome.outcome === "fenced") throw fencedBy(outcome.deployment);
        if (outcome.outcome !== "done") return outcome.outcome;
        const hasTime = this.#ports.clock.remainingMs() > 2 * reserveMsMax;
        if (!outcome.behind) caughtUp++;
        // What is there and came to no commit is left to another environment, which narrows down what kills.
        const isNothing = outcome.records === 0 && (!outcome.behind || outcome.commits === 0);
        const isThrough = isNothing || (!outcome.behind && caughtUp === turnsCaughtUp && !outcome.polls);
        if (isThrough || outcome.ended || !hasTime) return "done";
        if (turns >= turnsPerPoke && !outcome.polls && outcome.records > 0) return "done";
      }
    } catch (error) {
      if (!isKind(error, "unavailable")) throw error;
      this.#telemetry.add("failed.unavailable", 1);
      this.#telemetry.log("warn", "a poke came to nothing", { task, ...fieldsOf(error) });
      return "waiting";
    }
  }
}

/** The sequence number from which the batch is to be brought again; undefined: it is done. Throws `fenced`. */
function failureOf(outcome: TurnOutcome, { records }: KinesisBatch, bell: Doorbell): string | undefined {
  switch (outcome.outcome) {
    case "fenced":
      throw fencedBy(outcome.deployment);
    case "stale":
      return undefined;
    case "waiting":
      return records[0]?.position;
    case "done": {
      const { unprocessed } = outcome;
      if (unprocessed === undefined || records.some(({ position }) => position === unprocessed)) return unprocessed;
      return bell.kind === "records" ? placeOf(unprocessed).sequenceNumber : unprocessed;
    }
  }
}

/** What is bound to an ARN or a URL, as queues are, by its last part. */
function nameOf(bound: string): string {
  return /[^/:]*$/.exec(bound)![0];
}

function isEarlier(a: string, b: string, { records }: KinesisBatch): boolean {
  const placeIn = (position: string) => records.findIndex((record) => record.position === position);
  return placeIn(a) < placeIn(b);
}

function fencedBy(deployment: number): MillraceError {
  return new MillraceError(
    "fenced",
    `deployment ${deployment} has taken over, this function runs older code: it must not be invoked any more`,
  );
}
