/** The invocation with which each command on a job in a cloud begins: it says where everything is, and changes nothing. */
import type { FunctionCaller } from "../../runtime/adapters/aws/lambda-caller.ts";
import { isKind, MillraceError } from "../../runtime/base/errors.ts";
import type { Clock } from "../../runtime/ports/clock.ts";
import { describeCommand, type JobDescription, payloadVersion } from "../../functions/contract.ts";
import { failuresMax, retryMs } from "./attend.ts";

/**
 * What the coordinator says of its job; asked again where its invocation died, since it only reads. Throws `invalid` when the function is not
 * there or no coordinator, and `unavailable` when none of several invocations has answered.
 */
export async function describeJob(caller: FunctionCaller, coordinator: string, clock: Clock): Promise<JobDescription> {
  const answer = (await ask(caller, coordinator, clock)) as Partial<JobDescription> | null;
  if (answer?.version !== payloadVersion || answer.job === undefined)
    throw new MillraceError("invalid", `the function is no coordinator of a job, or of another version: ${coordinator}`);
  return answer as JobDescription;
}

async function ask(caller: FunctionCaller, coordinator: string, clock: Clock): Promise<unknown> {
  try {
    return await untilAnswered(() => caller.call(coordinator, describeCommand), clock);
  } catch (error) {
    if (!isKind(error, "invalid")) throw error;
    const advice = `the stack's output CoordinatorFunction names the function to ask, this is not it: ${coordinator}`;
    throw new MillraceError("invalid", `${advice} (${error.message})`, { cause: error });
  }
}

async function untilAnswered(call: () => Promise<unknown>, clock: Clock): Promise<unknown> {
  for (let failures = 1; ; failures++) {
    try {
      return await call();
    } catch (error) {
      if (!isKind(error, "unavailable") || failures === failuresMax) throw error;
    }
    await clock.sleep(retryMs(failures));
  }
}
