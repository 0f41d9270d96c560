/**
 * The functions of a job in virtual time: the handlers that are deployed, on simulated services, rung by a mapping with a batch window and
 * by a schedule once a minute.
 *
 * Time passes only while everything waits, so an invocation lasts as long as its requests and sleeps take. What it computes is measured as
 * CPU time of this thread and counted beside it: whose invocation began last is taken to be the one that computes.
 */
import { createCoordinatorHandler } from "../../functions/coordinator.ts";
import { lookCommand, writeSettings } from "../../functions/contract.ts";
import { InvocationClock } from "../../functions/invocation-clock.ts";
import { createTaskHandler } from "../../functions/task.ts";
import { ManualClock } from "../../runtime/adapters/memory/manual-clock.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import type { Job } from "../../runtime/api/job.ts";
import { shardId, type SimulatedRecord, SimulatedServices } from "./simulated-services.ts";

export const memoryMb = { task: 512, coordinator: 256 } as const;
export type FunctionName = keyof typeof memoryMb;

const timeoutMs = 120_000;
/** The whole event of a mapping has so many bytes at most. */
const eventBytesMax = 6_000_000;
const recordsPerBatch = 10_000;

class WorldClock extends InvocationClock {
  readonly #world: ManualClock;

  constructor(world: ManualClock) {
    super();
    this.#world = world;
  }

  override now(): number {
    return this.#world.now();
  }

  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#world.sleep(ms, signal);
  }
}

export class VirtualFunctions {
  readonly world = new ManualClock({ now: Date.UTC(2026, 0, 1) });
  readonly services = new SimulatedServices(this.world);
  /** What each function counts. */
  readonly telemetry = { task: meter(), coordinator: meter() };
  /** Measured CPU ms by function. */
  readonly cpuMs = { task: 0, coordinator: 0 };
  readonly #handlers: Record<FunctionName, (event: unknown, context: any) => Promise<any>>;
  #active: FunctionName[] = [];
  #mark = 0;
  /** The end of the task function's last invocation: one runs at a time. */
  #taskIsFree: Promise<unknown> = Promise.resolve();
  #delivered = 0;
  #calls = 0;
  failures: unknown[] = [];

  constructor(job: Job) {
    const settings = writeSettings({
      stateTable: "state",
      stateBucket: "state",
      deadLetterBucket: "state",
      deployment: 1,
      bindings: {},
      inboxes: {},
      taskFunctions: { events: ["task"] },
      stage: "events",
      cell: 0,
    });
    const { clients } = this.services;
    const partsOf = (name: FunctionName) => ({
      clients,
      telemetry: this.telemetry[name],
      clock: new WorldClock(this.world),
      variables: { ...settings, AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMb[name]) },
    });
    // A poke is an asynchronous invocation: it is not waited for.
    const invoke = async (_function: string, event: object) => {
      this.telemetry.coordinator.add("lambda.pokes", 1);
      void this.#invokeTask(event);
    };
    this.#handlers = {
      task: createTaskHandler(job, partsOf("task")) as any,
      coordinator: createCoordinatorHandler(job, { ...partsOf("coordinator"), invoke }) as any,
    };
  }

  /** What the schedule does. */
  look(): void {
    void this.#invoke("coordinator", lookCommand);
  }

  /** What the mapping does when its window is over: batches until all is delivered, one after the other. */
  deliver(): void {
    void this.#invokeTask(undefined);
  }

  /** Time passes to `until`, epoch ms, with all that happens in it. */
  async run(until: number): Promise<void> {
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const next = this.world.nextWakeUp();
      if (next === undefined || next > until) break;
      this.world.set(next);
    }
    this.world.set(until);
    this.services.trim(this.services.firstRecord + this.services.records.length - this.#delivered + 1);
  }

  /** A poke, or what has come since the last batch. */
  #invokeTask(poke: object | undefined): Promise<unknown> {
    const run = async () => {
      if (poke !== undefined) return this.#invoke("task", poke);
      for (let batch = this.#nextBatch(); batch.length > 0; batch = this.#nextBatch()) {
        const answer = await this.#invoke("task", eventOf(batch));
        if (answer?.batchItemFailures.length !== 0) return this.failures.push(answer);
        this.#delivered += batch.length;
      }
      return undefined;
    };
    return (this.#taskIsFree = this.#taskIsFree.then(run));
  }

  #nextBatch(): readonly SimulatedRecord[] {
    const { records, firstRecord } = this.services;
    const left = records.slice(this.#delivered - firstRecord, this.#delivered - firstRecord + recordsPerBatch);
    let bytes = 0;
    const fits = left.findIndex(({ Data }) => (bytes += Math.ceil(Data.length / 3) * 4 + 400) > eventBytesMax);
    return fits < 0 ? left : left.slice(0, fits);
  }

  async #invoke(name: FunctionName, event: unknown): Promise<any> {
    const deadline = this.world.now() + timeoutMs;
    const context = { awsRequestId: `${name}-${++this.#calls}`, getRemainingTimeInMillis: () => deadline - this.world.now() };
    this.#attribute();
    this.#active.push(name);
    try {
      return await this.#handlers[name](event, context);
    } catch (error) {
      this.failures.push(error);
      return undefined;
    } finally {
      this.#attribute();
      this.#active.splice(this.#active.lastIndexOf(name), 1);
    }
  }

  /** What was computed since the last look is of the invocation that began last. */
  #attribute(): void {
    const { user, system } = process.threadCpuUsage();
    const now = (user + system) / 1_000;
    const name = this.#active.at(-1);
    if (name !== undefined) this.cpuMs[name] += now - this.#mark;
    this.#mark = now;
  }

  /** To be called around what is computed for the simulation alone, while invocations are under way. */
  apart<T>(work: () => T): T {
    this.#attribute();
    const result = work();
    const { user, system } = process.threadCpuUsage();
    this.#mark = (user + system) / 1_000;
    return result;
  }
}

function meter() {
  return Object.assign(new MemoryTelemetry(), { flush: () => undefined });
}

function eventOf(records: readonly SimulatedRecord[]): object {
  return {
    Records: records.map(({ Data, PartitionKey, SequenceNumber, ApproximateArrivalTimestamp }) => ({
      eventSource: "aws:kinesis",
      eventSourceARN: "arn:aws:kinesis:us-east-1:000000000000:stream/events",
      eventID: `${shardId}:${SequenceNumber}`,
      kinesis: {
        sequenceNumber: SequenceNumber,
        partitionKey: PartitionKey,
        approximateArrivalTimestamp: ApproximateArrivalTimestamp.getTime() / 1_000,
        data: Buffer.from(Data).toString("base64"),
      },
    })),
  };
}
