/** What Lambda's front end says of a function that failed: the payload that callers and destinations see, in Lambda's words. */
import type { InvocationResult } from "./execution-environment.ts";
import { lambdaLimits } from "./limits.ts";

export type FailedInvocation = Extract<InvocationResult, { readonly outcome: "failed" }>;

function failure(cause: FailedInvocation["cause"], errorType: string, errorMessage: string): FailedInvocation {
  return { outcome: "failed", cause, payload: Buffer.from(JSON.stringify({ errorType, errorMessage })) };
}

export function timedOut(requestId: string, timeoutMs: number): FailedInvocation {
  const seconds = (timeoutMs / 1000).toFixed(2);
  return failure("timeout", "Sandbox.Timedout", `RequestId: ${requestId} Error: Task timed out after ${seconds} seconds`);
}

export function responseTooLarge(): FailedInvocation {
  const message = `Response payload size exceeded maximum allowed payload size (${lambdaLimits.responseBytesMax} bytes).`;
  return failure("responseTooLarge", "Function.ResponseSizeTooLarge", message);
}

/** How a process ended. */
export interface ProcessEnd {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
  /** It had grown beyond the function's memory. */
  readonly outOfMemory: boolean;
}

export function processEnded(requestId: string, end: ProcessEnd): FailedInvocation {
  const [cause, type] = end.outOfMemory ? (["memory", "Runtime.OutOfMemory"] as const) : (["exit", "Runtime.ExitError"] as const);
  return failure(cause, type, `RequestId: ${requestId} Error: Runtime exited ${describeEnd(end)}`);
}

const signalNames: Readonly<Record<string, string>> = {
  SIGKILL: "killed",
  SIGABRT: "aborted",
  SIGTERM: "terminated",
  SIGSEGV: "segmentation fault",
};

function describeEnd({ code, signal, outOfMemory }: ProcessEnd): string {
  if (outOfMemory) return "with error: signal: killed";
  if (signal !== null) return `with error: signal: ${signalNames[signal] ?? signal}`;
  return code === 0 ? "without providing a reason" : `with error: exit status ${code}`;
}
