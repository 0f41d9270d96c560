/**
 * An environment that is no more than a function of this process, for tests under a virtual clock. Every environment has a handler of
 * its own, so what one keeps between invocations no other sees. Nothing is frozen between invocations, and a handler that never gives
 * up the thread cannot be timed out.
 */
import { messageOf } from "../../runtime/base/errors.ts";
import type { Clock } from "../clock.ts";
import type { ExecutionEnvironment, ExecutionEnvironmentFactory, Invocation, InvocationResult } from "./execution-environment.ts";

/** The largest answer of a synchronous invocation: 6 MB, and 100 bytes that Lambda allows. */
const responseBytesMax = 6_291_556;

/** What a handler learns of its invocation; the names are Lambda's. */
export interface InProcessContext {
  readonly awsRequestId: string;
  getRemainingTimeInMillis(): number;
  /** Aborted when the environment is stopped: a handler of ours that heeds it ends as one in a process would. */
  readonly signal: AbortSignal;
}

/** `event` is parsed JSON; what is returned becomes JSON, undefined becomes null. */
export type InProcessHandler = (event: any, context: InProcessContext) => unknown;

export interface InProcessEnvironmentOptions {
  readonly clock: Clock;
  /** A cold start: makes an environment's handler. It may take its time on the clock. */
  readonly start: (environmentId: string) => InProcessHandler | Promise<InProcessHandler>;
}

/** Environments are called "environment-1", "environment-2" and so on. */
export function inProcessEnvironments({ clock, start }: InProcessEnvironmentOptions): ExecutionEnvironmentFactory {
  let made = 0;
  return async () => {
    const id = `environment-${++made}`;
    return new InProcessEnvironment(id, clock, await start(id));
  };
}

class InProcessEnvironment implements ExecutionEnvironment {
  readonly id: string;
  readonly #clock: Clock;
  readonly #handler: InProcessHandler;
  readonly #stopped = new AbortController();

  constructor(id: string, clock: Clock, handler: InProcessHandler) {
    this.id = id;
    this.#clock = clock;
    this.#handler = handler;
  }

  get usable(): boolean {
    return !this.#stopped.signal.aborted;
  }

  async invoke({ requestId, payload, deadline }: Invocation): Promise<InvocationResult> {
    const context: InProcessContext = {
      awsRequestId: requestId,
      getRemainingTimeInMillis: () => Math.max(0, deadline - this.#clock.now()),
      signal: this.#stopped.signal,
    };
    try {
      const answer = await this.#handler(JSON.parse(new TextDecoder().decode(payload)), context);
      return returned(answer);
    } catch (error) {
      return failed("exception", error instanceof Error ? error.name : "Error", messageOf(error));
    }
  }

  stop(): Promise<void> {
    this.#stopped.abort();
    return Promise.resolve();
  }
}

function returned(answer: unknown): InvocationResult {
  const payload = new TextEncoder().encode(JSON.stringify(answer ?? null));
  if (payload.length <= responseBytesMax) return { outcome: "returned", payload };
  const limit = `Response payload size exceeded maximum allowed payload size (${responseBytesMax} bytes).`;
  return failed("responseTooLarge", "Function.ResponseSizeTooLarge", limit);
}

function failed(cause: "exception" | "responseTooLarge", errorType: string, errorMessage: string): InvocationResult {
  return { outcome: "failed", cause, payload: new TextEncoder().encode(JSON.stringify({ errorType, errorMessage, trace: [] })) };
}
