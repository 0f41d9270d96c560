/**
 * A lane delivers records of one shard to the function: one batch at a time, in the order of the shard. A shard has one, or as many as
 * the parallelization factor says, each with partition keys of its own.
 *
 * B1 A record is handed on only when all before it in its lane are done: delivered with success, or discarded.
 * B2 Discarded is what was retried as often as the settings allow, or has grown too old, by the settings or in the stream; each discard
 *    is sent to the destination.
 * B3 Only what the function itself answered counts as an attempt: throttling, or an event that cannot be sent, does not.
 * B4 Halving a batch is no attempt; its halves go first to last and keep the attempts of the whole.
 * B5 With tumbling windows no batch spans two windows, and a window's last invocation comes before the next window's first.
 */
import { type Attempt, firstAttempt, halves } from "./attempt.ts";
import { cutBatch, type Delivery } from "./batch.ts";
import { Doorbell } from "./doorbell.ts";
import { type CallContext, type CallOutcome, FunctionCaller } from "./function-caller.ts";
import { type Held, joinNeighbours } from "./held-discards.ts";
import { eventOverheadBytes, kinesisEvent, payloadBytesMax, type WindowPart } from "./kinesis-event.ts";
import type { Discard } from "./on-failure.ts";
import { TumblingWindow } from "./tumbling-window.ts";

/** What AWS does not document in figures. */
export interface LaneTimings {
  /** The first pause after a failure; each further one is twice as long. */
  readonly backOffMs: number;
  readonly backOffMsMax: number;
  /** How long after its end a window waits for records that do not come. */
  readonly windowIdleMs: number;
}

export interface LaneContext extends CallContext {
  readonly timings: LaneTimings;
  readonly retentionMs: number;
  /** Called when records are done. */
  readonly onDone: () => void;
  /** Ends when the destination has it, or has refused it. */
  readonly discard: (discard: Discard) => Promise<void>;
}

export class Lane {
  readonly #context: LaneContext;
  readonly #caller: FunctionCaller;
  readonly #bell = new Doorbell();
  readonly #queue: Delivery[] = [];
  /** Delivered last, for the fault that goes back. */
  readonly #history: Delivery[] = [];
  /** Given up while a batch is worked off, and not sent to the destination yet. */
  readonly #held: Held[] = [];
  /** That is worked off. */
  #batch: readonly Delivery[] = [];
  #window: TumblingWindow | undefined;
  #hasEnded = false;
  /** When the last invocation ended, which opens the batching window. */
  #invokedAt = -Infinity;
  #queuedSince = -Infinity;

  constructor(context: LaneContext) {
    this.#context = context;
    this.#caller = new FunctionCaller(context);
  }

  add(deliveries: readonly Delivery[]): void {
    if (deliveries.length === 0) return;
    if (this.#queue.length === 0) this.#queuedSince = this.#context.clock.now();
    this.#queue.push(...deliveries);
    this.#bell.ring();
  }

  /** Nothing will be added any more. */
  end(): void {
    this.#hasEnded = true;
    this.#bell.ring();
  }

  /** Until all is done after `end`, or, aborted, until the invocation under way has ended. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const next = await this.#next(signal);
      if (next === "ended") break;
      if (next === "closeWindow") await this.#closeWindow(signal);
      else if (next !== "again") await this.#deliverBatch(next, signal);
    }
    await this.#caller.settled();
  }

  /** What to do now; waits where there is nothing. */
  async #next(signal: AbortSignal): Promise<readonly Delivery[] | "closeWindow" | "again" | "ended"> {
    const { clock, settings } = this.#context;
    const { count, isFull } = cutBatch(this.#queue, this.#limits());
    if (count === 0) {
      if (this.#hasEnded) return this.#window === undefined ? "ended" : "closeWindow";
      const closesAt = this.#window === undefined ? Infinity : this.#window.end + this.#context.timings.windowIdleMs;
      if (clock.now() >= closesAt) return "closeWindow";
      await this.#wait(closesAt, signal);
      return "again";
    }
    const dueAt = this.#batchingWindowStart() + settings.batchingWindowMs;
    if (isFull || this.#hasEnded || clock.now() >= dueAt) return this.#queue.splice(0, count);
    await this.#wait(dueAt, signal);
    return "again";
  }

  #limits() {
    const { settings, streamArn } = this.#context;
    const head = this.#queue[0];
    const isWindowed = settings.tumblingWindowMs > 0 && head !== undefined;
    const window = isWindowed ? this.#windowOf(head) : undefined;
    const part = window === undefined ? undefined : this.#windowPart(window);
    return {
      batchSize: settings.batchSize,
      payloadBytes: payloadBytesMax - eventOverheadBytes(streamArn, part),
      arrivedBefore: window?.end ?? Infinity,
    };
  }

  /** A window opens when an invocation ends. One that passed without a record is followed by the next record's. */
  #batchingWindowStart(): number {
    const isOver = this.#invokedAt + this.#context.settings.batchingWindowMs <= this.#queuedSince;
    return isOver ? this.#queuedSince : this.#invokedAt;
  }

  async #wait(until: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    const either = AbortSignal.any([woken.signal, signal]);
    const waits = [this.#bell.wait(either)];
    if (until < Infinity) waits.push(this.#context.clock.sleep(until - this.#context.clock.now(), either));
    await Promise.race(waits);
    woken.abort();
  }

  /** The window that is open, unless the record is of a later one. */
  #windowOf(delivery: Delivery): TumblingWindow {
    const open = this.#window;
    if (open !== undefined && delivery.arrivedAt < open.end) return open;
    return new TumblingWindow(delivery, this.#context.settings.tumblingWindowMs);
  }

  async #deliverBatch(batch: readonly Delivery[], signal: AbortSignal): Promise<void> {
    if (this.#context.settings.tumblingWindowMs > 0) {
      const window = this.#windowOf(batch[0]!);
      if (window !== this.#window) await this.#closeWindow(signal);
      if (signal.aborted) return;
      this.#window = window;
      window.add(batch);
    }
    this.#batch = batch;
    await this.#work([firstAttempt(batch)], signal);
    this.#maybeGoBack();
  }

  async #closeWindow(signal: AbortSignal): Promise<void> {
    if (this.#window === undefined) return;
    await this.#work([{ ...firstAttempt([]), ends: "window" }], signal);
    if (!signal.aborted) this.#window = undefined;
  }

  /** Works off a batch, part by part (B1). */
  async #work(attempts: Attempt[], signal: AbortSignal): Promise<void> {
    await this.#tryAll(attempts, signal);
    await this.#sendHeld();
  }

  async #tryAll(attempts: Attempt[], signal: AbortSignal): Promise<void> {
    let failuresInARow = 0;
    while (attempts.length > 0 && !signal.aborted) {
      const [present] = attempts as [Attempt];
      const fresh = await this.#dropTooOld(present);
      if (fresh !== present) attempts.splice(0, 1, ...(fresh === undefined ? [] : [fresh]));
      if (fresh === undefined) continue;
      const outcome = await this.#invoke(fresh);
      const isInvoked = ["success", "partial", "failure"].includes(outcome.kind);
      const tried = isInvoked ? { ...fresh, invocations: fresh.invocations + 1 } : fresh;
      const rest = await this.#settle(tried, outcome);
      attempts.splice(0, 1, ...rest);
      failuresInARow = outcome.kind === "success" ? 0 : failuresInARow + 1;
      if (failuresInARow > 0 && attempts.length > 0) await this.#backOff(failuresInARow, signal);
    }
  }

  /** What is left to be tried after an invocation. */
  async #settle(tried: Attempt, outcome: CallOutcome): Promise<readonly Attempt[]> {
    const { settings } = this.#context;
    switch (outcome.kind) {
      case "success":
        return this.#succeed(tried, outcome.state);
      case "partial": {
        this.#keepState(outcome.state);
        this.#finish(tried.deliveries.slice(0, outcome.firstFailed));
        const left = { ...tried, deliveries: tried.deliveries.slice(outcome.firstFailed), hasFunctionError: false };
        const isCut = settings.bisects && outcome.firstFailed > 0;
        return [...this.#earlyEnd(), ...(isCut ? [left] : await this.#fail(left))];
      }
      case "failure":
        return this.#fail({ ...tried, hasFunctionError: true });
      default:
        return outcome.kind === "tooLarge" && tried.deliveries.length > 1 ? halves(tried) : [tried];
    }
  }

  #succeed(tried: Attempt, state: string | undefined): readonly Attempt[] {
    this.#finish(tried.deliveries);
    if (tried.ends !== undefined) {
      this.#window?.dropState();
      return [];
    }
    this.#keepState(state);
    return this.#earlyEnd();
  }

  /** W3. */
  #earlyEnd(): readonly Attempt[] {
    return this.#window?.isStateTooLarge === true ? [{ ...firstAttempt([]), ends: "windowEarly" }] : [];
  }

  #keepState(state: string | undefined): void {
    if (this.#window !== undefined && state !== undefined) this.#window.state = state;
  }

  async #fail(tried: Attempt): Promise<readonly Attempt[]> {
    const { bisects, maximumRetryAttempts } = this.#context.settings;
    if (bisects && tried.deliveries.length > 1) return halves(tried);
    const again = { ...tried, retries: tried.retries + 1 };
    if (maximumRetryAttempts < 0 || again.retries <= maximumRetryAttempts) return [again];
    await this.#discard(tried, tried.deliveries, "RetryAttemptsExhausted");
    return [];
  }

  /** Discards what has grown too old; undefined: nothing is left. */
  async #dropTooOld(present: Attempt): Promise<Attempt | undefined> {
    const { settings, retentionMs, clock } = this.#context;
    const horizon = clock.now() - Math.min(settings.maximumRecordAgeMs, retentionMs);
    const { deliveries } = present;
    if (present.ends !== undefined) {
      if ((this.#window?.last?.arrivedAt ?? Infinity) >= horizon) return present;
      await this.#discard(present, [], "RecordAgeExceeded");
      return undefined;
    }
    const fresh = deliveries.findIndex(({ arrivedAt }) => arrivedAt >= horizon);
    if (fresh === 0) return present;
    const old = fresh < 0 ? deliveries : deliveries.slice(0, fresh);
    await this.#discard(present, old, "RecordAgeExceeded");
    return fresh < 0 ? undefined : { ...present, deliveries: deliveries.slice(fresh) };
  }

  /** B2. Of a window's last invocation that is given up, what the window held is named; S3 gets the state, which is lost else. */
  async #discard(tried: Attempt, given: readonly Delivery[], condition: Discard["condition"]): Promise<void> {
    const window = tried.ends === undefined ? undefined : this.#window;
    const part = this.#windowPart(this.#window, tried.ends);
    window?.dropState();
    this.#held.push({
      given,
      window: part,
      discard: {
        shardId: this.#context.shardId,
        condition,
        first: window?.first ?? given[0]!,
        last: window?.last ?? given.at(-1)!,
        count: given.length,
        invokeCount: tried.invocations,
        hasFunctionError: tried.hasFunctionError,
      },
    });
    if (this.#context.faults.joinsDiscards !== true) await this.#sendHeld();
  }

  async #sendHeld(): Promise<void> {
    const { streamArn, discard } = this.#context;
    for (const held of joinNeighbours(this.#held.splice(0), this.#batch)) {
      const texts = held.given.map(({ text }) => text);
      await discard({ ...held.discard, payload: kinesisEvent(texts, streamArn, held.window) });
      this.#finish(held.given);
    }
  }

  async #invoke({ deliveries, ends }: Attempt): Promise<CallOutcome> {
    const { clock } = this.#context;
    const last = deliveries.at(-1) ?? this.#window?.last;
    const part = this.#windowPart(this.#window, ends);
    const outcome = await this.#caller.call(deliveries, part, last?.arrivedAt ?? clock.now());
    this.#invokedAt = clock.now();
    return outcome;
  }

  #finish(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) delivery.isDone = true;
    this.#history.push(...deliveries);
    this.#history.splice(0, this.#history.length - (this.#context.faults.goBackRecordsMax ?? 10));
    this.#context.onDone();
  }

  /** The fault: records that were done come again, in whatever batches. */
  #maybeGoBack(): void {
    const { random, faults, shardId, onEvent } = this.#context;
    if (this.#history.length === 0 || !random.chance(faults.goBackChance ?? 0)) return;
    const again = this.#history.splice(-1 - random.int(this.#history.length));
    this.#queue.unshift(...again);
    onEvent({ kind: "wentBack", shardId, sequenceNumbers: again.map(({ sequenceNumber }) => sequenceNumber) });
  }

  /** Exponential, with jitter of half of it. */
  async #backOff(failuresInARow: number, signal: AbortSignal): Promise<void> {
    const { clock, random, timings } = this.#context;
    const longest = Math.min(timings.backOffMsMax, timings.backOffMs * 2 ** Math.min(failuresInARow - 1, 30));
    await clock.sleep(longest / 2 + (random.next() * longest) / 2, signal);
  }

  #windowPart(window: TumblingWindow | undefined, ends?: Attempt["ends"]): WindowPart | undefined {
    if (window === undefined) return undefined;
    const { start, end, state } = window;
    const { shardId } = this.#context;
    return { start, end, state, shardId, isFinal: ends === "window", isTerminatedEarly: ends === "windowEarly" };
  }
}
