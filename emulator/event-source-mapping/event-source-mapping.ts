/**
 * An event source mapping from a Kinesis stream to a function, as Lambda has them: it polls every shard, gathers batches, invokes the
 * function, retries, bisects, discards.
 *
 * M1 Of every shard each record that the filters keep is delivered with success or discarded, in order within its partition key (its
 *    shard, with a parallelization factor of 1), at least once.
 * M2 Disabled and enabled again, it goes on after each shard's checkpoint. A shard without one begins at the starting position anew.
 * M3 With a seed, a virtual clock, a stream and an invoker that go the same way, so does it.
 *
 * README.md lists what AWS documents and what this does, row by row; where AWS promises nothing this may do any of it, by settings.
 */
import { MillraceError, messageOf } from "../../runtime/base/errors.ts";
import type { Clock } from "../clock.ts";
import type { FunctionInvoker } from "../lambda/execution-environment.ts";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { randomUuid } from "../random-uuid.ts";
import { Doorbell } from "./doorbell.ts";
import type { DeliveryFaults } from "./faults.ts";
import type { LaneTimings } from "./lane.ts";
import { countEvent, type MappingEvent, type MappingMetrics, noMetrics } from "./mapping-events.ts";
import { deliverDiscard, type Discard, type OnFailureDestination } from "./on-failure.ts";
import { type CheckedSettings, checkSettings, type MappingSettings } from "./settings.ts";
import { ShardConsumer, type ShardTimings } from "./shard-consumer.ts";
import type { ReadFrom, SourceStream, StreamShard } from "./source-stream.ts";

export type MappingState = "Creating" | "Enabling" | "Enabled" | "Disabling" | "Disabled" | "Updating" | "Deleting" | "Deleted";

/** Of a shard that was read to its end. */
export const shardEnd = "SHARD_END";

/** How far each shard is: its last sequence number that is done, or `shardEnd`. */
export type Checkpoints = Map<string, string>;

export interface MappingTimings extends LaneTimings, ShardTimings {
  /** How long it takes to begin polling after creation, enabling and updates. AWS: minutes, and up to 90 s. */
  readonly transitionMs: number;
  /** Between looks for new shards. */
  readonly shardDiscoveryMs: number;
}

export interface EventSourceMappingOptions {
  readonly stream: SourceStream;
  readonly invoker: FunctionInvoker;
  readonly clock: Clock;
  readonly settings: MappingSettings;
  /** Default true. */
  readonly enabled?: boolean;
  readonly onFailure?: OnFailureDestination;
  /** Default 1. */
  readonly seed?: number;
  readonly faults?: DeliveryFaults;
  /**
   * Whether a shard waits until its parents have ended. AWS promises neither; default "anyOrder": children are read as soon as they are
   * found.
   */
  readonly shardOrder?: "parentsFirst" | "anyOrder";
  readonly timings?: Partial<MappingTimings>;
  /** Where an earlier run got; written to as this one goes on. Default: none. */
  readonly checkpoints?: Checkpoints;
  /** Stand in events and invocation records. */
  readonly functionArn?: string;
  readonly roleArn?: string;
  readonly region?: string;
  readonly onEvent?: (event: MappingEvent) => void;
}

/** Once a second is documented; that reads are at most five a second is Kinesis'; the rest is unknown. */
const defaultTimings: MappingTimings = {
  transitionMs: 0,
  shardDiscoveryMs: 10_000,
  pollIntervalMs: 1_000,
  catchUpIntervalMs: 200,
  backOffMs: 1_000,
  backOffMsMax: 60_000,
  windowIdleMs: 120_000,
};

/** Reads with settings that do not change; an update makes another. */
interface Run {
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

export class EventSourceMapping {
  readonly uuid: string;
  readonly #options: EventSourceMappingOptions;
  readonly #timings: MappingTimings;
  readonly #random: SeededRandom;
  readonly #checkpoints: Checkpoints;
  readonly #metrics = noMetrics();
  readonly #known = new Set<string>();
  /** Found after the first list: LATEST begins at their start. */
  readonly #foundLater = new Set<string>();
  #settings: MappingSettings;
  #checked: CheckedSettings;
  #state: MappingState;
  #lastProcessingResult = "No records processed";
  #run: Run | undefined;

  /** Begins to poll unless disabled. Throws `invalid` for settings that AWS refuses. */
  constructor(options: EventSourceMappingOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#checked = checkSettings(options.settings);
    this.#timings = { ...defaultTimings, ...options.timings };
    this.#random = new SeededRandom(options.seed ?? 1);
    this.uuid = randomUuid(this.#random);
    this.#checkpoints = options.checkpoints ?? new Map();
    this.#state = "Disabled";
    if (options.enabled ?? true) this.#start("Creating");
  }

  get state(): MappingState {
    return this.#state;
  }

  /** As GetEventSourceMapping tells it: "No records processed", "OK", "PROBLEM: …". */
  get lastProcessingResult(): string {
    return this.#lastProcessingResult;
  }

  get metrics(): Readonly<MappingMetrics> {
    return { ...this.#metrics };
  }

  get checkpoints(): ReadonlyMap<string, string> {
    return this.#checkpoints;
  }

  enable(): void {
    this.#checkPresent();
    if (this.#run === undefined) this.#start("Enabling");
  }

  /** Until the invocations under way have ended; what they were handed and did not answer comes again. */
  async disable(): Promise<void> {
    this.#checkPresent();
    await this.#stopRun("Disabling");
    this.#state = "Disabled";
  }

  /** Goes on with other settings, after the checkpoints. The starting position stays. */
  async update(changes: Partial<Omit<MappingSettings, "startingPosition" | "startingPositionTimestamp">>): Promise<void> {
    this.#checkPresent();
    const settings = { ...this.#settings, ...changes };
    const checked = checkSettings(settings);
    const wasEnabled = this.#run !== undefined;
    await this.#stopRun("Updating");
    [this.#settings, this.#checked] = [settings, checked];
    if (wasEnabled) this.#start("Updating");
    else this.#state = "Disabled";
  }

  /** Deletes the mapping: until the invocations under way have ended. */
  async stop(): Promise<void> {
    await this.#stopRun("Deleting");
    this.#state = "Deleted";
  }

  #checkPresent(): void {
    if (this.#state !== "Deleted" && this.#state !== "Deleting") return;
    throw new MillraceError("invalid", `the mapping is deleted: ${this.uuid}`);
  }

  #start(state: MappingState): void {
    const stop = new AbortController();
    this.#state = state;
    this.#run = { stop, ended: this.#poll(this.#checked, stop.signal) };
  }

  async #stopRun(state: MappingState): Promise<void> {
    const run = this.#run;
    this.#state = state;
    run?.stop.abort();
    await run?.ended;
    if (this.#run === run) this.#run = undefined;
  }

  async #poll(settings: CheckedSettings, signal: AbortSignal): Promise<void> {
    await this.#options.clock.sleep(this.#timings.transitionMs, signal);
    if (!signal.aborted) this.#state = "Enabled";
    const shards = new Map<string, Promise<void>>();
    const discovery = new Doorbell();
    while (!signal.aborted) {
      let waitMs = this.#timings.shardDiscoveryMs;
      try {
        await this.#startShards(settings, shards, discovery, signal);
      } catch (error) {
        this.#tell({ kind: "problem", message: messageOf(error) });
        // Many that began at one time ask at one time: who was refused must not be the last again.
        waitMs *= 0.5 + 0.5 * this.#random.next();
      }
      await this.#untilDiscovery(discovery, waitMs, signal);
    }
    await Promise.all(shards.values());
  }

  /** A shard that ended may have children: they are looked for at once. */
  async #untilDiscovery(discovery: Doorbell, waitMs: number, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const either = AbortSignal.any([over.signal, signal]);
    await Promise.race([discovery.wait(either), this.#options.clock.sleep(Math.ceil(waitMs), either)]);
    over.abort();
  }

  async #startShards(
    settings: CheckedSettings,
    running: Map<string, Promise<void>>,
    discovery: Doorbell,
    signal: AbortSignal,
  ): Promise<void> {
    const { stream } = this.#options;
    const { arn, retentionMs } = await stream.describe();
    const listed = await stream.listShards();
    this.#note(listed);
    for (const shard of listed) {
      const { shardId } = shard;
      if (signal.aborted || running.has(shardId) || this.#checkpoints.get(shardId) === shardEnd) continue;
      if (this.#options.shardOrder === "parentsFirst" && !this.#haveParentsEnded(shard, listed)) continue;
      this.#tell({ kind: "shardStarted", shardId });
      const consumer = this.#consumer(settings, shardId, arn, retentionMs);
      running.set(
        shardId,
        consumer.run(this.#startOf(settings, shardId), signal).then((end) => {
          if (end !== "ended") return;
          this.#checkpoints.set(shardId, shardEnd);
          this.#tell({ kind: "shardEnded", shardId });
          discovery.ring();
        }),
      );
    }
  }

  #note(listed: readonly StreamShard[]): void {
    const isFirst = this.#known.size === 0;
    for (const { shardId } of listed) {
      if (!isFirst && !this.#known.has(shardId)) this.#foundLater.add(shardId);
      this.#known.add(shardId);
    }
  }

  #haveParentsEnded({ parents }: StreamShard, listed: readonly StreamShard[]): boolean {
    const isGone = (parent: string) => !listed.some(({ shardId }) => shardId === parent);
    return parents.every((parent) => isGone(parent) || this.#checkpoints.get(parent) === shardEnd);
  }

  #startOf(settings: CheckedSettings, shardId: string): ReadFrom {
    const sequenceNumber = this.#checkpoints.get(shardId);
    if (sequenceNumber !== undefined) return { kind: "afterSequenceNumber", sequenceNumber };
    switch (settings.startingPosition) {
      case "TRIM_HORIZON":
        return { kind: "trimHorizon" };
      case "LATEST":
        return { kind: this.#foundLater.has(shardId) ? "trimHorizon" : "latest" };
      case "AT_TIMESTAMP":
        return { kind: "atTimestamp", timestamp: settings.startingTimestamp! };
    }
  }

  #consumer(settings: CheckedSettings, shardId: string, streamArn: string, retentionMs: number): ShardConsumer {
    const { stream, clock, invoker, faults } = this.#options;
    const region = this.#options.region ?? streamArn.split(":")[3] ?? "us-east-1";
    const roleArn = this.#options.roleArn ?? "arn:aws:iam::000000000000:role/function-role";
    return new ShardConsumer({
      clock,
      stream,
      invoker,
      settings,
      shardId,
      streamArn,
      retentionMs,
      // Of its own, so that what one shard draws does not depend on the others.
      random: new SeededRandom(this.#random.int(2 ** 31)),
      timings: this.#timings,
      shardTimings: this.#timings,
      faults: faults ?? {},
      identity: { streamArn, region, roleArn },
      onEvent: (event) => this.#tell(event),
      discard: (discard) => this.#discard(discard, streamArn),
      onCheckpoint: (sequenceNumber) => {
        this.#checkpoints.set(shardId, sequenceNumber);
        this.#tell({ kind: "checkpoint", shardId, sequenceNumber });
      },
    });
  }

  async #discard(discard: Discard, streamArn: string): Promise<void> {
    const { onFailure, clock, functionArn = "arn:aws:lambda:us-east-1:000000000000:function:function" } = this.#options;
    if (onFailure === undefined) return this.#tell({ kind: "discarded", discard, delivery: "none" });
    const context = { mappingId: this.uuid, functionArn, streamArn, random: this.#random, now: clock.now() };
    const isDelivered = await deliverDiscard(onFailure, discard, context).then(
      () => true,
      () => false,
    );
    this.#tell({ kind: "discarded", discard, delivery: isDelivered ? "delivered" : "failed" });
  }

  #tell(event: MappingEvent): void {
    countEvent(this.#metrics, event);
    if (event.kind === "problem") this.#lastProcessingResult = `PROBLEM: ${event.message}`;
    if (event.kind === "invoked" && !event.isDuplicate) {
      this.#lastProcessingResult = event.outcome === "success" ? "OK" : problemOf(event.outcome);
    }
    this.#options.onEvent?.(event);
  }
}

function problemOf(outcome: "partial" | "failure" | "throttled" | "tooLarge" | "notSent"): string {
  return outcome === "throttled" ? "PROBLEM: Function call throttled" : "PROBLEM: Function call failed";
}
