/**
 * What all handlers share: what is made once per execution environment, and how failures leave it.
 *
 * G1 A failure to make it is not kept: the next invocation tries again.
 * G2 Every failure is counted, logged and thrown as a HandlerError; what was counted is written whatever happens.
 * G3 Every invocation counts what Lambda bills for it: itself, and its time with the memory it has.
 */
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import { variable } from "./contract.ts";
import { FunctionTelemetry, type InvocationTelemetry } from "./function-telemetry.ts";
import { fieldsOf, HandlerError, millraceError } from "./handler-error.ts";
import { InvocationClock } from "./invocation-clock.ts";
import type { LambdaContext } from "./lambda-context.ts";
import type { FunctionParts } from "./task.ts";

export interface Made {
  readonly clock: InvocationClock;
  readonly telemetry: InvocationTelemetry;
}

/** `open` makes what answers events, once; `stage` stands in logs where the deployment names none. */
export function guardedHandler<F, A>(
  job: JobGraph,
  parts: FunctionParts,
  stage: string,
  open: (made: Made) => Promise<F>,
  answer: (opened: F, event: unknown, context: LambdaContext) => Promise<A>,
): (event: unknown, context: LambdaContext) => Promise<A> {
  const clock = parts.clock ?? new InvocationClock();
  let telemetry = parts.telemetry;
  const memoryMb = Number((parts.variables ?? process.env).AWS_LAMBDA_FUNCTION_MEMORY_SIZE ?? 0);
  let opened: F | undefined;
  return async (event, context) => {
    clock.begin(context);
    const from = clock.now();
    telemetry ??= createTelemetry(job, parts, stage);
    try {
      opened ??= await open({ clock, telemetry });
      return await answer(opened, event, context);
    } catch (error) {
      const known = millraceError(error);
      telemetry.add(`failed.${known.kind}`, 1);
      telemetry.log(known.kind === "unavailable" ? "warn" : "error", "the invocation failed", fieldsOf(known));
      throw new HandlerError(known);
    } finally {
      telemetry.add("lambda.requests", 1);
      if (memoryMb > 0) telemetry.add("lambda.gbSeconds", gbSeconds(clock.now() - from, memoryMb));
      telemetry.flush();
    }
  };
}

/** As Lambda bills: by whole milliseconds, one at least. What a cold start takes before the handler is called comes on top. */
function gbSeconds(ms: number, memoryMb: number): number {
  return (Math.max(1, Math.ceil(ms)) / 1_000) * (memoryMb / 1_024);
}

/** Of variables that are not yet known to be right. */
function createTelemetry(
  { name: job }: JobGraph,
  { variables = process.env }: FunctionParts,
  stage: string,
): InvocationTelemetry {
  const cell = Number(variables[variable.cell] ?? 0);
  return new FunctionTelemetry({ job, stage: variables[variable.stage] || stage, cell });
}
