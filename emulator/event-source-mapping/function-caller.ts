/** Invokes the function with records of one lane and says what came of it; delivers twice where the faults ask for it. */
import { messageOf } from "../../runtime/base/errors.ts";
import type { Clock } from "../clock.ts";
import type { FunctionInvoker } from "../lambda/execution-environment.ts";
import type { SeededRandom } from "../../runtime/base/seeded-random.ts";
import type { Delivery } from "./batch.ts";
import type { DeliveryFaults } from "./faults.ts";
import { type BatchOutcome, readResponse } from "./function-response.ts";
import { kinesisEvent, payloadBytesMax, type WindowPart } from "./kinesis-event.ts";
import type { MappingEvent } from "./mapping-events.ts";
import type { CheckedSettings } from "./settings.ts";

/** Throttled, too large to be sent, or not sent for another reason: it never reached the function. */
export type CallOutcome = BatchOutcome | { readonly kind: "throttled" | "tooLarge" | "notSent"; readonly why: string };

export interface CallContext {
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly settings: CheckedSettings;
  readonly faults: DeliveryFaults;
  readonly invoker: FunctionInvoker;
  readonly shardId: string;
  readonly streamArn: string;
  readonly onEvent: (event: MappingEvent) => void;
}

interface Call {
  readonly deliveries: readonly Delivery[];
  readonly payload: Uint8Array;
  /** Epoch milliseconds, of the last record. */
  readonly lastArrivedAt: number;
}

export class FunctionCaller {
  readonly #context: CallContext;
  readonly #duplicates = new Set<Promise<unknown>>();

  constructor(context: CallContext) {
    this.#context = context;
  }

  /** `lastArrivedAt`: of the last record that the invocation is about, epoch milliseconds. Never rejects. */
  async call(deliveries: readonly Delivery[], window: WindowPart | undefined, lastArrivedAt: number): Promise<CallOutcome> {
    const { streamArn, faults, random } = this.#context;
    const texts = deliveries.map(({ text }) => text);
    const call = { deliveries, payload: new TextEncoder().encode(kinesisEvent(texts, streamArn, window)), lastArrivedAt };
    const isTwice = random.chance(faults.duplicateChance ?? 0);
    const isAtOnce = isTwice && random.chance(0.5);
    if (isAtOnce) this.#callAgain(call);
    const outcome = await this.#send(call);
    this.#report(call, outcome, false);
    if (isTwice && !isAtOnce) this.#callAgain(call);
    return outcome;
  }

  /** Until the second deliveries under way have ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#duplicates);
  }

  async #send({ deliveries, payload }: Call): Promise<CallOutcome> {
    const { settings, invoker } = this.#context;
    if (payload.length > payloadBytesMax) return { kind: "tooLarge", why: `the event is above 6 MB: ${payload.length} bytes` };
    let result: Awaited<ReturnType<FunctionInvoker["invoke"]>>;
    try {
      result = await invoker.invoke(payload);
    } catch (error) {
      return { kind: "notSent", why: messageOf(error) };
    }
    if (result.outcome === "throttled") return { kind: "throttled", why: "TooManyRequestsException" };
    if (result.outcome === "failed")
      return { kind: "failure", why: `${result.cause}: ${new TextDecoder().decode(result.payload)}` };
    const rules = { reportsItemFailures: settings.reportsItemFailures, isWindowed: settings.tumblingWindowMs > 0 };
    return readResponse(result.payload, sequenceNumbersOf(deliveries), rules);
  }

  /** What another poller of the mapping might do: nothing hangs on what comes of it. */
  #callAgain(call: Call): void {
    const sent = this.#send(call).then((outcome) => {
      this.#report(call, outcome, true);
      this.#duplicates.delete(sent);
    });
    this.#duplicates.add(sent);
  }

  #report({ deliveries, payload, lastArrivedAt }: Call, outcome: CallOutcome, isDuplicate: boolean): void {
    const { clock, shardId, onEvent } = this.#context;
    onEvent({
      kind: "invoked",
      shardId,
      sequenceNumbers: sequenceNumbersOf(deliveries),
      payloadBytes: payload.length,
      outcome: outcome.kind,
      why: "why" in outcome ? outcome.why : undefined,
      iteratorAgeMs: clock.now() - lastArrivedAt,
      isDuplicate,
    });
  }
}

function sequenceNumbersOf(deliveries: readonly Delivery[]): readonly string[] {
  return deliveries.map(({ sequenceNumber }) => sequenceNumber);
}
