/**
 * An execution environment that is a process behind a Runtime API server of its own: initialised, invoked, frozen between invocations
 * and ended as Lambda does it.
 *
 * E1 Time is real: at the deadline the process is killed, or, as an option, left running as a zombie whose answers count no more, or left
 *    to a pool that does the same by its own clock.
 * E2 An invocation is over when the runtime asks for the next one, not when it answers: a process that ends in between gets no more.
 * E3 A function that fails to initialise is initialised once more with its first invocation, within the function's time; if that fails
 *    too, the invocation has failed with the function's own error.
 * E4 `stop` ends its process in any state, frozen and zombie too; no process outlives its owner (function-process.ts).
 *
 * Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
 */
import { randomUUID } from "node:crypto";
import { assert } from "../../runtime/base/assert.ts";
import type { ExecutionEnvironment, Invocation, InvocationResult } from "./execution-environment.ts";
import { checkEnvironment, environmentVariables, functionArn, type FunctionConfiguration } from "./function-configuration.ts";
import { type FailedInvocation, type ProcessEnd, processEnded, responseTooLarge, timedOut } from "./function-error.ts";
import { FunctionProcess } from "./function-process.ts";
import { lambdaLimits } from "./limits.ts";
import { RuntimeApi, type RuntimeEvent } from "./runtime-api.ts";
import { argumentsOf, type RuntimeClient } from "./runtime-client.ts";

/** A line that a function wrote. */
export interface LogLine {
  readonly functionName: string;
  readonly environment: string;
  /** The invocation under way; absent while it initialises. */
  readonly requestId?: string;
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

/** What an invocation took: what Lambda's REPORT line says, and what it bills. */
export interface InvocationReport {
  readonly functionName: string;
  readonly environment: string;
  readonly requestId: string;
  readonly durationMs: number;
  /** Of a cold start: given with the environment's first invocation. */
  readonly initMs?: number;
  readonly memoryMb: number;
  readonly maxMemoryUsedMb: number;
  readonly outcome: "returned" | FailedInvocation["cause"];
}

export interface ProcessEnvironmentOptions {
  readonly configuration: FunctionConfiguration;
  /** Default "own". */
  readonly runtime?: RuntimeClient;
  /** Default 10 s, as Lambda's. */
  readonly initMsMax?: number;
  /**
   * Default "killed". "zombie": runs on beside its successor until it answers, ends or is stopped. "leftToOwner": the deadline is told
   * to the function and kept by the owner, a pool, which stops the environment in its own time.
   */
  readonly afterTimeout?: "killed" | "zombie" | "leftToOwner";
  /** Whether the process stands still between invocations, as in Lambda; default true. */
  readonly freezes?: boolean;
  /** Whether stacks name the sources of a bundle instead of its code; as NODE_OPTIONS=--enable-source-maps does. Default false. */
  readonly sourceMaps?: boolean;
  readonly onLog?: (line: LogLine) => void;
  readonly onReport?: (report: InvocationReport) => void;
}

/** The longest time that a timer of Node can be set to. */
const timerMsMax = 2 ** 31 - 1;

/** One start of a process, with its Runtime API. */
interface Life {
  readonly process: FunctionProcess;
  readonly api: RuntimeApi;
  /** The next events of its kinds. */
  readonly events: EventQueue;
}

type InitFailure = { readonly initError: Buffer } | { readonly end: ProcessEnd } | "tooSlow";

/** Makes environments of a function. Throws `invalid` for environment variables that Lambda would refuse. */
export function processEnvironments(options: ProcessEnvironmentOptions): () => Promise<ProcessEnvironment> {
  checkEnvironment(options.configuration.environment);
  return () => ProcessEnvironment.start(options);
}

export class ProcessEnvironment implements ExecutionEnvironment {
  readonly id = randomUUID();
  readonly #options: ProcessEnvironmentOptions;
  readonly #logStream: string;
  #life: Life | undefined;
  #state: "idle" | "busy" | "zombie" | "ended" = "idle";
  #requestId: string | undefined;
  #initMs: number | undefined;
  #peakMemoryMb = 0;
  #isStopped = false;
  /** Of the invocation under way. */
  #deadline: AbortController | undefined;

  private constructor(options: ProcessEnvironmentOptions) {
    this.#options = options;
    const day = new Date().toISOString().slice(0, 10).replaceAll("-", "/");
    this.#logStream = `${day}/[$LATEST]${this.id.replaceAll("-", "")}`;
  }

  /** A cold start. Throws `unavailable` when no process can be started; a function that fails is told of when it is invoked (E3). */
  static async start(options: ProcessEnvironmentOptions): Promise<ProcessEnvironment> {
    const environment = new ProcessEnvironment(options);
    const failure = await environment.#initialise(AbortSignal.timeout(options.initMsMax ?? lambdaLimits.initMsMax));
    if (failure === undefined) environment.#rest();
    return environment;
  }

  get functionName(): string {
    return this.#options.configuration.name;
  }

  /** Of its process; undefined when there is none. */
  get pid(): number | undefined {
    return this.#life?.process.hasEnded === false ? this.#life.process.pid : undefined;
  }

  get isBusy(): boolean {
    return this.#state === "busy";
  }

  get usable(): boolean {
    return this.#state !== "ended" && this.#state !== "zombie" && !(this.#life?.process.hasEnded ?? false);
  }

  async invoke(invocation: Invocation): Promise<InvocationResult> {
    assert(this.#state === "idle", "an environment runs one invocation at a time, and none when it is not usable");
    this.#state = "busy";
    this.#requestId = invocation.requestId;
    const begun = performance.now();
    const result = await this.#runUntil(invocation);
    this.#requestId = undefined;
    this.#report(invocation.requestId, performance.now() - begun, result);
    if (this.#state === "busy") this.#rest();
    return result;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#state = "ended";
    await this.#endLife();
  }

  /** Ends it as if its machine had failed: its invocation fails. For tests. */
  kill(): void {
    void this.#life?.process.kill();
  }

  /** Ends its invocation as its deadline does, and before it. For tests, which wait for no time. */
  timeOut(): void {
    this.#deadline?.abort();
  }

  /** Starts a process and waits until its runtime asks for work. Undefined: it did. */
  async #initialise(timeOut: AbortSignal): Promise<InitFailure | undefined> {
    const begun = performance.now();
    const life = await this.#begin();
    const event = await life.events.take(timeOut);
    this.#initMs = performance.now() - begun;
    if (event?.kind === "next") return undefined;
    if (event === undefined || event.kind !== "ended") await life.process.kill();
    await this.#endLife();
    if (event?.kind === "initError") return { initError: event.payload };
    return event?.kind === "ended" ? { end: event.end } : "tooSlow";
  }

  async #begin(): Promise<Life> {
    const { configuration, runtime, sourceMaps, onLog } = this.#options;
    const events = new EventQueue();
    const api = await RuntimeApi.start(functionArn(configuration), (event) => events.put(event));
    const process = await FunctionProcess.start({
      arguments: [...(sourceMaps ? ["--enable-source-maps"] : []), ...argumentsOf(runtime ?? "own", configuration.handler)],
      directory: configuration.codeDirectory,
      variables: environmentVariables(configuration, { logStream: this.#logStream, runtimeApi: api.address }),
      memoryMb: configuration.memoryMb,
      onLine: (stream, text) => {
        const request = this.#requestId === undefined ? {} : { requestId: this.#requestId };
        onLog?.({ functionName: configuration.name, environment: this.id, ...request, stream, text });
      },
    }).catch(async (error: unknown) => {
      await api.stop();
      throw error;
    });
    void process.ended.then((end) => events.put({ kind: "ended", end }));
    this.#life = { process, api, events };
    if (this.#isStopped) await this.#endLife();
    return this.#life ?? { process, api, events };
  }

  async #runUntil(invocation: Invocation): Promise<InvocationResult> {
    const deadline = new AbortController();
    this.#deadline = deadline;
    if (this.#options.afterTimeout === "leftToOwner") return this.#run(invocation, deadline.signal);
    const timer = setTimeout(() => deadline.abort(), Math.max(0, Math.min(invocation.deadline - Date.now(), timerMsMax)));
    try {
      return await this.#run(invocation, deadline.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  async #run(invocation: Invocation, deadline: AbortSignal): Promise<InvocationResult> {
    if (this.#life === undefined) {
      const failure = await this.#initialise(deadline);
      if (failure !== undefined) return this.#failToInitialise(invocation, failure);
    }
    const { api, events, process } = this.#life!;
    process.thaw();
    api.give(invocation);
    const answer = await events.take(deadline);
    if (answer === undefined) return this.#passDeadline(invocation);
    if (answer.kind === "ended") return this.#endWith(processEnded(invocation.requestId, answer.end));
    const after = await events.take(deadline);
    if (after?.kind !== "next") {
      this.#state = "ended";
      await this.#endLife();
    }
    return resultOf(answer);
  }

  async #failToInitialise({ requestId }: Invocation, failure: InitFailure): Promise<InvocationResult> {
    if (failure === "tooSlow") return this.#endWith(timedOut(requestId, this.#options.configuration.timeoutMs));
    if ("end" in failure) return this.#endWith(processEnded(requestId, failure.end));
    return this.#endWith({ outcome: "failed", cause: "exception", payload: failure.initError });
  }

  async #passDeadline({ requestId }: Invocation): Promise<InvocationResult> {
    const failure = timedOut(requestId, this.#options.configuration.timeoutMs);
    if (this.#options.afterTimeout !== "zombie") return this.#endWith(failure);
    this.#state = "zombie";
    const { api, events } = this.#life!;
    api.withdraw();
    // It may finish what it does, and then gets nothing more to do.
    void events.take(undefined).then(() => this.#endLife());
    return failure;
  }

  async #endWith(failure: FailedInvocation): Promise<FailedInvocation> {
    this.#state = "ended";
    await this.#endLife();
    return failure;
  }

  async #endLife(): Promise<void> {
    const life = this.#life;
    this.#life = undefined;
    if (life === undefined) return;
    await life.process.kill();
    await life.api.stop();
    this.#peakMemoryMb = Math.max(this.#peakMemoryMb, life.process.peakMemoryMb);
  }

  #rest(): void {
    this.#state = "idle";
    if (this.#options.freezes ?? true) this.#life?.process.freeze();
  }

  #report(requestId: string, durationMs: number, result: InvocationResult): void {
    const { configuration, onReport } = this.#options;
    const init = this.#initMs === undefined ? {} : { initMs: this.#initMs };
    this.#initMs = undefined;
    onReport?.({
      functionName: configuration.name,
      environment: this.id,
      requestId,
      durationMs,
      ...init,
      memoryMb: configuration.memoryMb,
      maxMemoryUsedMb: Math.ceil(Math.max(this.#peakMemoryMb, this.#life?.process.peakMemoryMb ?? 0)),
      outcome: result.outcome === "returned" ? "returned" : result.cause,
    });
  }
}

function resultOf(answer: RuntimeEvent): InvocationResult {
  if (answer.kind === "response") return { outcome: "returned", payload: answer.payload };
  if (answer.kind === "responseTooLarge") return responseTooLarge();
  assert(answer.kind === "error", "a runtime answers before it asks for more");
  return { outcome: "failed", cause: "exception", payload: answer.payload };
}

type LifeEvent = RuntimeEvent | { readonly kind: "ended"; readonly end: ProcessEnd };

/** What happens to a process, in order; one taker at a time. */
class EventQueue {
  readonly #events: LifeEvent[] = [];
  #wake: (() => void) | undefined;

  put(event: LifeEvent): void {
    this.#events.push(event);
    this.#wake?.();
  }

  /** Undefined when the signal came first. */
  async take(signal: AbortSignal | undefined): Promise<LifeEvent | undefined> {
    while (this.#events.length === 0) {
      if (signal?.aborted) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal?.addEventListener("abort", () => resolve(), { once: true });
      });
    }
    return this.#events.shift();
  }
}
