/**
 * An execution environment that can die: a handler of its own in this process, whose requests go through the faults. What has died
 * answers its invocation as a process that has ended.
 */
import { messageOf } from "../../runtime/base/errors.ts";
import { InvocationClock } from "../../functions/invocation-clock.ts";
import type { LambdaContext } from "../../functions/lambda-context.ts";
import type { Clock } from "../clock.ts";
import type { ExecutionEnvironment, Invocation, InvocationResult } from "../lambda/execution-environment.ts";
import type { ServiceCalls } from "./service-calls.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

export type Handler = (event: unknown, context: LambdaContext) => Promise<unknown>;

export class FunctionEnvironment implements ExecutionEnvironment {
  readonly id: string;
  readonly #process: SimulatedProcess;
  readonly #clock: Clock;
  readonly #handler: Handler;
  readonly #onAnswer: (process: SimulatedProcess, event: unknown, answer: unknown, error: unknown) => void;

  constructor(
    process: SimulatedProcess,
    clock: Clock,
    handler: Handler,
    onAnswer: (process: SimulatedProcess, event: unknown, answer: unknown, error: unknown) => void,
  ) {
    this.id = process.name;
    this.#process = process;
    this.#clock = clock;
    this.#handler = handler;
    this.#onAnswer = onAnswer;
  }

  get usable(): boolean {
    return this.#process.alive;
  }

  invoke({ requestId, payload, deadline }: Invocation): Promise<InvocationResult> {
    const process = this.#process;
    if (!process.alive) return Promise.resolve(ended(requestId));
    const event: unknown = JSON.parse(new TextDecoder().decode(payload));
    const context: LambdaContext = {
      awsRequestId: requestId,
      getRemainingTimeInMillis: () => Math.max(0, deadline - this.#clock.now()),
    };
    const answered = this.#handler(event, context).then(
      (answer) => {
        if (!process.alive) return ended(requestId);
        this.#onAnswer(process, event, answer, undefined);
        return returned(answer);
      },
      (error: unknown) => {
        if (!process.alive) return ended(requestId);
        this.#onAnswer(process, event, undefined, error);
        return failed("exception", error instanceof Error ? error.name : "Error", messageOf(error));
      },
    );
    return Promise.race([answered, process.died.then(() => ended(requestId))]);
  }

  stop(): Promise<void> {
    this.#process.die();
    return Promise.resolve();
  }
}

function returned(answer: unknown): InvocationResult {
  return { outcome: "returned", payload: new TextEncoder().encode(JSON.stringify(answer ?? null)) };
}

function ended(requestId: string): InvocationResult {
  return failed("exit", "Runtime.ExitError", `RequestId: ${requestId} Error: Runtime exited with error: exit status 1`);
}

function failed(cause: "exception" | "exit", errorType: string, errorMessage: string): InvocationResult {
  return { outcome: "failed", cause, payload: new TextEncoder().encode(JSON.stringify({ errorType, errorMessage })) };
}

/** The clock of a process: wrong by so much, and further on by the time that its code has taken. */
export class ProcessClock extends InvocationClock {
  readonly #process: SimulatedProcess;
  readonly #clock: Clock;
  readonly #calls: ServiceCalls;
  readonly #wrongByMs: number;

  constructor(process: SimulatedProcess, clock: Clock, calls: ServiceCalls, wrongByMs: number) {
    super();
    this.#process = process;
    this.#clock = clock;
    this.#calls = calls;
    this.#wrongByMs = wrongByMs;
  }

  override now(): number {
    return this.#clock.now() + this.#process.busyMs + this.#wrongByMs;
  }

  override remainingMs(): number {
    return Math.max(0, super.remainingMs() - this.#process.busyMs);
  }

  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms <= 0 || signal?.aborted === true) return Promise.resolve();
    return this.#calls.sleep(this.#process, ms, signal);
  }
}
