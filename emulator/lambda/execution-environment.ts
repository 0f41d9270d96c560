/**
 * One execution environment of a function: what runs one invocation at a time, stays warm between them, and may outlive its time-out
 * as a zombie. Made by processes behind a Runtime API server, or in process for tests under a virtual clock; handed out by a pool.
 *
 * Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
 */

/** An invocation, as Lambda's front end hands it to an environment. */
export interface Invocation {
  readonly requestId: string;
  /** JSON. */
  readonly payload: Uint8Array;
  /** Epoch milliseconds at which the function's time is over. */
  readonly deadline: number;
}

/** What came of an invocation. */
export type InvocationResult =
  | { readonly outcome: "returned"; readonly payload: Uint8Array }
  /** The function failed, by an exception, its time, its memory or its end. `payload`: JSON {errorType, errorMessage, …}. */
  | {
      readonly outcome: "failed";
      readonly cause: "exception" | "timeout" | "memory" | "exit" | "responseTooLarge";
      readonly payload: Uint8Array;
    };

export interface ExecutionEnvironment {
  readonly id: string;
  /** One at a time. Rejects only when the emulator itself fails. */
  invoke(invocation: Invocation): Promise<InvocationResult>;
  /** Whether it may get another invocation: false after its process ended, and of a zombie. */
  readonly usable: boolean;
  /** Ends it, as Lambda does with environments without use; at once, whatever it does. */
  stop(): Promise<void>;
}

/** Makes environments: a cold start each. Rejects when the function cannot be started. */
export type ExecutionEnvironmentFactory = () => Promise<ExecutionEnvironment>;

/** How a function is invoked: by a mapping, by a coordinator's poke, by `lambda:Invoke`. */
export interface FunctionInvoker {
  /** `throttled`: no environment may be added, by the function's reserved concurrency. */
  invoke(payload: Uint8Array): Promise<InvocationResult | { readonly outcome: "throttled" }>;
}
