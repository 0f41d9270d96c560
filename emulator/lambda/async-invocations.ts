/**
 * Asynchronous invocations (`InvocationType: Event`): taken at once, tried again when they fail, given up aloud.
 *
 * A1 A function that fails is invoked twice more, one and two minutes later; one that is throttled for as long as the event's age allows,
 *    with pauses of 1 s that double up to 5 minutes.
 *
 * Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
 */
import type { Clock } from "../clock.ts";
import type { FunctionInvoker, InvocationResult } from "./execution-environment.ts";

export interface AsyncInvocationsOptions {
  readonly clock: Clock;
  /** Pauses before the retries of a function that failed; default 1 and 2 minutes, as AWS has it. */
  readonly retryDelaysMs?: readonly number[];
  /** Default 6 hours. */
  readonly eventAgeMsMax?: number;
  readonly onDropped?: (dropped: DroppedEvent) => void;
}

/** An event that was given up. */
export interface DroppedEvent {
  readonly functionName: string;
  readonly payload: Uint8Array;
  readonly attempts: number;
  /** Of the last attempt. */
  readonly result: InvocationResult | { readonly outcome: "throttled" };
}

const defaultRetryDelaysMs = [60_000, 120_000];
const defaultAgeMsMax = 6 * 3_600_000;
const throttlePauseMs = 1_000;
const throttlePauseMsMax = 300_000;

export class AsyncInvocations {
  readonly #options: AsyncInvocationsOptions;
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<void>>();

  constructor(options: AsyncInvocationsOptions) {
    this.#options = options;
  }

  /** Returns at once. */
  put(functionName: string, invoker: FunctionInvoker, payload: Uint8Array): void {
    const running: Promise<void> = this.#deliver(functionName, invoker, payload).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Ends the pauses; what waits for a retry is given up silently, for its cloud is gone. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#running);
  }

  async #deliver(functionName: string, invoker: FunctionInvoker, payload: Uint8Array): Promise<void> {
    const { clock, retryDelaysMs = defaultRetryDelaysMs, eventAgeMsMax = defaultAgeMsMax, onDropped } = this.#options;
    const oldest = clock.now() + eventAgeMsMax;
    let pauseMs = throttlePauseMs;
    for (let failures = 0, attempts = 1; !this.#stopping.signal.aborted; attempts++) {
      const result = await invokeOnce(invoker, payload);
      if (result.outcome === "returned") return;
      const delayMs = result.outcome === "throttled" ? pauseMs : retryDelaysMs[failures];
      if (this.#stopping.signal.aborted) return;
      if (delayMs === undefined || clock.now() + delayMs > oldest)
        return onDropped?.({ functionName, payload, attempts, result });
      if (result.outcome === "throttled") pauseMs = Math.min(pauseMs * 2, throttlePauseMsMax);
      else failures++;
      await clock.sleep(delayMs, this.#stopping.signal);
    }
  }
}

/** A function whose pool has stopped is being replaced, or its cloud is ending: the event waits, as for one that is throttled. */
async function invokeOnce(invoker: FunctionInvoker, payload: Uint8Array): ReturnType<FunctionInvoker["invoke"]> {
  try {
    return await invoker.invoke(payload);
  } catch {
    return { outcome: "throttled" };
  }
}
