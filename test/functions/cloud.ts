/**
 * The functions of a job in one process, on the stand-ins of AWS: mappings bring batches to execution environments at random, the
 * coordinator is rung by a schedule. Time is turned by whoever sleeps.
 */
import { readSequenceNumber } from "../../emulator/kinesis/sequence-number.ts";
import { awsClients } from "../../runtime/adapters/aws/aws-clients.ts";
import type { KinesisLog } from "../../runtime/adapters/aws/kinesis-log.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import type { Job, Sink } from "../../runtime/index.ts";
import { id, type Position, type ShardId } from "../../runtime/base/ids.ts";
import { planJob } from "../../runtime/plan/plan-job.ts";
import type { SinkDriver } from "../../runtime/ports/sink-driver.ts";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { type CoordinatorCommand, defaultInbox, lookCommand, writeSettings } from "../../functions/contract.ts";
import { createCoordinatorHandler, type CoordinatorHandler } from "../../functions/coordinator.ts";
import { InvocationClock } from "../../functions/invocation-clock.ts";
import type { LambdaContext } from "../../functions/lambda-context.ts";
import { createTaskHandler, type FunctionParts, type TaskHandler } from "../../functions/task.ts";
import { bytesOf, textOf } from "../ports/adapter-maker.ts";
import { bucketName, patientHandler, tableName, withDynamoDb, withKinesis, withS3 } from "../aws/stand-ins.ts";

/** Its time passes with every wait; none is waited. */
export class TurnedClock extends InvocationClock {
  #now = 1_700_000_000_000;
  /** What the rest of the world does while somebody waits. */
  meanwhile: () => Promise<void> = async () => undefined;

  override now(): number {
    return this.#now;
  }

  advance(ms: number): void {
    this.#now += ms;
  }

  override async sleep(ms: number): Promise<void> {
    this.#now += ms;
    await this.meanwhile();
  }
}

/** The same time, wrong by so much. */
class SkewedClock extends InvocationClock {
  readonly #right: TurnedClock;
  readonly #wrongByMs: () => number;

  constructor(right: TurnedClock, wrongByMs: () => number) {
    super();
    this.#right = right;
    this.#wrongByMs = wrongByMs;
  }

  override now(): number {
    return this.#right.now() + this.#wrongByMs();
  }

  override sleep(ms: number): Promise<void> {
    return this.#right.sleep(ms);
  }
}

/** So often a coordinator still looks when what is waited for has come: what would come once too often has its time. */
const looksAfter = 3;

/** That of a coordinator: when what its caller waits for has come, it sleeps through the rest of its minute. */
class LookingClock extends SkewedClock {
  readonly #sleepOn: () => number;
  readonly #right: TurnedClock;

  constructor(right: TurnedClock, wrongByMs: () => number, sleepOn: () => number) {
    super(right, wrongByMs);
    this.#right = right;
    this.#sleepOn = sleepOn;
  }

  override async sleep(ms: number): Promise<void> {
    await super.sleep(ms);
    this.#right.advance(this.#sleepOn());
  }
}

export class CountingTelemetry extends MemoryTelemetry {
  flushes = 0;
  flush(): void {
    this.flushes++;
  }
}

/** Rows as JSON, each an effect. */
export const rowSink: Sink<any> = {
  kind: "rows",
  name: "rows",
  guarantee: "exactlyOnce",
  options: {},
  createWriter: () => {
    let rows: unknown[] = [];
    return {
      add: (row: unknown) => void rows.push(row),
      flush: () => rows.splice(0).map((row) => bytesOf(JSON.stringify(row))),
      state: () => undefined,
      restore: () => void (rows = []),
    };
  },
};

/** What sinks were given, by generation, task, seq and n: an effect that is repeated changes nothing. */
export class Rows implements SinkDriver {
  readonly written = new Map<string, { readonly row: string; readonly generation: number }>();
  readonly letters: { readonly reason: string; readonly position: string; readonly bytes: Uint8Array }[] = [];

  async carryOut({ task, generation, seq, n, payload }: Parameters<SinkDriver["carryOut"]>[0]): Promise<void> {
    this.written.set(`${task} ${seq} ${n}`, { row: textOf(payload), generation });
  }
  async deadLetters({ letters }: Parameters<SinkDriver["deadLetters"]>[0]): Promise<void> {
    this.letters.push(...letters);
  }
  async quarantine(): Promise<void> {}

  get generations(): ReadonlySet<number> {
    return new Set([...this.written.values()].map(({ generation }) => generation));
  }

  get rows(): readonly string[] {
    return [...this.written.values()].map(({ row }) => row).sort();
  }
}

const dynamodb = withDynamoDb();
const s3 = withS3();
const kinesis = withKinesis();

interface Mapping {
  readonly stream: string;
  readonly shard: ShardId;
  position: Position | "horizon";
}

export interface CloudOptions {
  readonly job: Job;
  readonly streams: Readonly<Record<string, number>>;
  readonly seed?: number;
  /** Execution environments of the task function. */
  readonly environments?: number;
  readonly deployment?: number;
  readonly parts?: FunctionParts;
  readonly batchSize?: number;
  /** Of each stage that has an inbox; default 1. */
  readonly cells?: number;
  /** Where the job's state is; default: what is there. */
  readonly table?: string;
  readonly bucket?: string;
  /** How often the SDK makes a request of the functions; default its own. */
  readonly maxAttempts?: number;
  /** "later": the test makes the inbox streams. */
  readonly inboxes?: "later";
}

export async function startCloud(options: CloudOptions) {
  const { job, streams, environments = 2, batchSize = 20 } = options;
  const random = new SeededRandom(options.seed ?? 1);
  const clock = new TurnedClock();
  const graph = planJob(job);
  const { log, server, embedded } = await kinesis.log({ clock });
  const settings = () => ({
    region: "us-east-1",
    credentials: { accessKeyId: "x", secretAccessKey: "y" },
    requestHandler: patientHandler(),
    ...(options.maxAttempts !== undefined && { maxAttempts: options.maxAttempts }),
  });
  const endpoints = { dynamodb: await dynamodb.endpoint(), s3: await s3.endpoint(), kinesis: server.endpoint };
  const clients = {
    dynamodb: awsClients({ ...settings(), endpoint: endpoints.dynamodb }).dynamodb,
    s3: awsClients({ ...settings(), endpoint: endpoints.s3 }).s3,
    kinesis: awsClients({ ...settings(), endpoint: endpoints.kinesis }).kinesis,
  };
  const inboxes = graph.stages.filter(({ kind }) => kind === "keyed");
  for (const [stream, shards] of Object.entries(streams)) await log.createStream(stream, shards);
  const { cells = 1 } = options;
  const cellsOf = (name: string) => (cells === 1 ? [name] : Array.from({ length: cells }, (_, n) => `${name}-${n}`));
  const streamsOf = new Map(inboxes.map(({ id: stage }) => [stage, cellsOf(defaultInbox(job.name, stage))]));
  for (const { id: stage, parallelism } of inboxes)
    for (const name of options.inboxes === "later" ? [] : streamsOf.get(stage)!)
      await log.createStream(name, Number(parallelism) / cells);

  let deployment = options.deployment ?? 1;
  let code = job;
  const rows = new Rows();
  const telemetry = new CountingTelemetry();
  const skew = { coordinatorMs: 0, taskMs: 0 };
  let sleepOn = () => 0;
  const partsOf = (own: InvocationClock): FunctionParts => {
    const variables = writeSettings({
      stateTable: options.table ?? tableName,
      stateBucket: options.bucket ?? bucketName,
      deadLetterBucket: bucketName,
      deployment,
      bindings: {},
      inboxes: cells === 1 ? {} : Object.fromEntries(streamsOf),
      taskFunctions: Object.fromEntries(graph.stages.map(({ id: stage }) => [stage, cellsOf(`${job.name}-${stage}`)])),
      stage: "",
      cell: 0,
    });
    return { variables, clients, telemetry, clock: own, openSinks: () => rows, ...options.parts };
  };
  const newTask = (): TaskHandler => createTaskHandler(code, partsOf(new SkewedClock(clock, () => skew.taskMs)));
  const handlers: TaskHandler[] = Array.from({ length: environments }, newTask);
  const pokes: object[] = [];
  const poked = new Map<string, Set<string>>();
  const invoke = async (name: string, event: object) => {
    pokes.push(event);
    for (const task of (event as { tasks: string[] }).tasks) poked.set(task, (poked.get(task) ?? new Set()).add(name));
  };
  const newCoordinator = (): CoordinatorHandler =>
    createCoordinatorHandler(code, {
      invoke,
      ...partsOf(
        new LookingClock(
          clock,
          () => skew.coordinatorMs,
          () => sleepOn(),
        ),
      ),
    });
  let coordinator = newCoordinator();

  let requests = 0;
  const context = (ms = 60_000): LambdaContext => {
    const ends = clock.now() + ms;
    return { awsRequestId: `request-${++requests}`, getRemainingTimeInMillis: () => Math.max(0, ends - clock.now()) };
  };
  const mapped = Object.keys(streams);
  const mappings = new Map<string, Mapping>();
  const counts = { batches: 0, failed: 0, partial: 0, errors: new Map<string, number>() };
  const failures: Error[] = [];

  const invokeTask = async (event: object): Promise<any> => {
    const n = random.int(handlers.length);
    if (random.chance(0.05)) handlers[n] = newTask();
    try {
      return await handlers[n]!(event, context());
    } catch (error) {
      const { name } = error as Error;
      failures.push(error as Error);
      counts.errors.set(name, (counts.errors.get(name) ?? 0) + 1);
      return undefined;
    }
  };

  /** Each mapping brings one batch, and begins again where it is told to; every poke is delivered. */
  const deliver = async () => {
    for (const stream of [...mapped, ...[...streamsOf.values()].flat()])
      for (const { id: shard } of await log.shards(stream).catch(() => [])) {
        const key = `${stream}/${shard}`;
        const mapping = mappings.get(key) ?? { stream, shard, position: id<Position>("horizon") };
        mappings.set(key, mapping);
        await bring(mapping);
      }
    for (const event of pokes.splice(0)) await invokeTask(event);
  };
  /** Seen behind the server: most of the time nothing has come, and a request costs more than all else of a delivery. */
  const isAtEnd = async ({ stream, shard, position }: Mapping) => {
    const last = BigInt(await embedded.lastPosition(stream, shard));
    return last === (position === "horizon" ? 0n : readSequenceNumber(position)?.position);
  };
  const bring = async (mapping: Mapping) => {
    const { stream, shard } = mapping;
    if (await isAtEnd(mapping)) return;
    const { records } = await log.read(stream, shard, mapping.position, { records: batchSize, bytes: 1 << 20 });
    if (records.length === 0) return;
    counts.batches++;
    const answer = await invokeTask(eventOf(stream, shard, records));
    const failed: string | undefined = answer === undefined ? records[0]!.position : answer.batchItemFailures[0]?.itemIdentifier;
    if (failed === undefined) return void (mapping.position = id<Position>(records.at(-1)!.position));
    const at = records.findIndex(({ position }) => position === failed);
    if (at < 0) throw new Error(`the mapping was answered a sequence number that it did not bring: ${failed}`);
    if (at === 0) counts.failed++;
    else counts.partial++;
    if (at > 0) mapping.position = id<Position>(records[at - 1]!.position);
  };
  clock.meanwhile = deliver;
  const command = (order: CoordinatorCommand = lookCommand, ms?: number) => coordinator(order, context(ms));

  return {
    graph,
    clock,
    log: log as unknown as KinesisLog,
    /** What the server keeps: what is trimmed there has expired. */
    embedded,
    /** By how much the clocks of functions are wrong. */
    skew,
    /** What handlers of tasks have thrown. */
    failures,
    rows,
    telemetry,
    counts,
    pokes,
    /** By task, the functions that were invoked for it. */
    poked,
    clients,
    context,
    deliver,
    /** What the schedule, or somebody who gives an order, sends. */
    command,
    /** What the schedule sends; what is left of the minute passes at once when `isThere`. */
    lookUntil: (isThere: () => boolean) => {
      let looksLeft = looksAfter;
      sleepOn = () => (isThere() && looksLeft-- === 0 ? 60_000 : 0);
      return command().finally(() => (sleepOn = () => 0));
    },
    /** A cold environment of the coordinator takes over. */
    replaceCoordinator: () => void (coordinator = newCoordinator()),
    task: newTask,
    /** Batches of this stream are brought too. */
    mapStream: (stream: string) => void mapped.push(stream),
    /** A coordinator dies in the midst of its work. */
    dieInCommand: () => {
      const died = new Promise<void>((resolve) => {
        clock.meanwhile = () => {
          clock.meanwhile = deliver;
          resolve();
          return new Promise(() => undefined);
        };
      });
      void newCoordinator()({ version: 1, kind: "savepoint", id: "the last" }, context());
      coordinator = newCoordinator();
      return died;
    },
    /** Cold environments take the place of all that run tasks. */
    replaceTasks: () => void handlers.splice(0, handlers.length, ...handlers.map(newTask)),
    /** New code takes the place of the old; one environment of the old code lives on for a while. */
    deploy: (next: Job) => {
      code = next;
      deployment++;
      for (let n = 1; n < handlers.length; n++) handlers[n] = newTask();
      coordinator = newCoordinator();
    },
  };
}

export type Cloud = Awaited<ReturnType<typeof startCloud>>;

interface Brought {
  readonly position: string;
  readonly partitionKey: string;
  readonly arrivalTime: number;
  readonly bytes: Uint8Array;
}

/** A batch as a mapping brings it. */
export function eventOf(stream: string, shard: string, records: readonly Brought[]) {
  return {
    Records: records.map(({ position, partitionKey, arrivalTime, bytes }) => ({
      kinesis: {
        kinesisSchemaVersion: "1.0",
        partitionKey,
        sequenceNumber: position,
        data: Buffer.from(bytes).toString("base64"),
        approximateArrivalTimestamp: arrivalTime / 1_000,
      },
      eventSource: "aws:kinesis",
      eventVersion: "1.0",
      eventID: `${shard}:${position}`,
      eventName: "aws:kinesis:record",
      invokeIdentityArn: "arn:aws:iam::000000000000:role/role",
      awsRegion: "us-east-1",
      eventSourceARN: `arn:aws:kinesis:us-east-1:000000000000:stream/${stream}`,
    })),
  };
}
