/**
 * Kinesis in memory: the operations of emulator/kinesis without its server, on a log of ours. Records of a PutRecords may be refused one
 * by one, and have no order among each other.
 */
import type { EmbeddedLog } from "../../runtime/adapters/log-provisioning.ts";
import { isKind } from "../../runtime/base/errors.ts";
import type { SeededRandom } from "../../runtime/base/seeded-random.ts";
import type { Clock } from "../../runtime/ports/clock.ts";
import { Arrivals } from "../kinesis/arrivals.ts";
import { Input as KinesisInput } from "../kinesis/input.ts";
import { KinesisError } from "../kinesis/kinesis-error.ts";
import { kinesisLimits, Throttle } from "../kinesis/limits.ts";
import { operations } from "../kinesis/operations/index.ts";
import { nameOfStream, type Output, type Service, streamNotFound } from "../kinesis/service.ts";
import { StreamRegistry } from "../kinesis/stream-registry.ts";
import { Subscriptions } from "../kinesis/subscriptions.ts";
import { type Input, ServiceError, type SimulatedService } from "./sdk-clients.ts";
import type { ServiceCalls } from "./service-calls.ts";

export class KinesisService implements SimulatedService {
  readonly ms = 20;
  readonly throttling = "ProvisionedThroughputExceededException";
  readonly #service: Service;
  readonly #calls: ServiceCalls;
  readonly #random: SeededRandom;

  private constructor(service: Service, calls: ServiceCalls, random: SeededRandom) {
    this.#service = service;
    this.#calls = calls;
    this.#random = random;
  }

  static async open(log: EmbeddedLog, clock: Clock, calls: ServiceCalls, random: SeededRandom): Promise<KinesisService> {
    const service: Service = {
      log,
      clock,
      registry: await StreamRegistry.open(log, clock),
      throttle: new Throttle(kinesisLimits),
      arrivals: new Arrivals(),
      subscriptions: new Subscriptions(),
      sweptAt: new WeakMap(),
      account: "000000000000",
      region: "us-east-1",
      transitionMs: 1_500,
      stopping: new AbortController().signal,
    };
    return new KinesisService(service, calls, random);
  }

  describe(command: string, input: Input): string {
    const { StreamName = "", ShardId = "", StartingSequenceNumber = "", Records, ShardIterator } = input;
    if (ShardIterator !== undefined) return command;
    return `${command} ${StreamName} ${ShardId} ${StartingSequenceNumber} ${Records?.length ?? ""}`.trimEnd();
  }

  async carryOut(command: string, input: Input): Promise<object> {
    if (command !== "PutRecords") return this.#operate(command, input);
    const { Records: records } = input as { Records: readonly object[] };
    const order = this.#calls.happens("reorderedPut") ? this.#random.shuffled([...records.keys()]) : [...records.keys()];
    const refused = new Set(order.filter(() => this.#calls.happens("partialPut")));
    const refuses = (place: number) => refused.has(order[place]!);
    const output = await this.#operate(command, { ...input, Records: order.map((n) => records[n]) }, refuses);
    const results: object[] = new Array(records.length);
    for (const [place, n] of order.entries()) results[n] = (output.Records as readonly object[])[place]!;
    return { ...output, Records: results };
  }

  /** A mapping's own request: what it asks of streams is not the account's, so it does not use up what others may ask in a second. */
  ofMapping(command: string, input: Input): Promise<object> {
    return this.#operate(command, input, undefined, command !== "DescribeStreamSummary");
  }

  async #operate(operation: string, members: Input, refuses?: (index: number) => boolean, counts = true): Promise<Output> {
    const input = new KinesisInput(members);
    const service = this.#service;
    try {
      const name = nameOfStream(service, input);
      if (counts) service.throttle.checkCall(operation, name ?? "", input.text("ShardId") ?? "", service.clock.now());
      return (await operations.get(operation)!(service, { operation, input, refuses })) as Output;
    } catch (error) {
      const name = nameOfStream(service, input);
      const isGone = isKind(error, "invalid") && name !== undefined && (await service.registry.find(name)) === undefined;
      const told = isGone ? streamNotFound(service, name) : error;
      throw told instanceof KinesisError ? new ServiceError(told.type, told.message) : told;
    }
  }
}
