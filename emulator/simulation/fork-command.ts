/** `millrace fork`, given on a simulated machine, which may die like any other: then it is given again. */
import { forkOnto } from "../../cli/commands/fork.ts";
import { openAwsTarget } from "../../cli/target/aws-target.ts";
import { answerOf, type FunctionCaller } from "../../runtime/adapters/aws/lambda-caller.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import type { DeployedJob } from "./deployed-job.ts";
import type { DeploymentWorld } from "./deployment-world.ts";
import { ProcessClock } from "./function-environment.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

/** How long what is ordered is waited for, before the command is given again. */
const timeoutMs = 60_000;

/** One run of the command. `from`: the number of a checkpoint; undefined: what it takes by itself. False: it has to be given again. */
export async function giveFork(
  world: DeploymentWorld,
  source: DeployedJob,
  target: DeployedJob,
  from: string | undefined,
): Promise<boolean> {
  const process = world.newProcess("operator");
  const died = process.died.then(() => "died" as const);
  try {
    return (await Promise.race([run(world, process, source, target, from), died])) === "done";
  } catch (error) {
    if (!(error instanceof MillraceError) || (error.kind !== "unavailable" && error.kind !== "invalid")) throw error;
    world.note(`the fork comes to nothing: ${error.message}`);
    return false;
  }
}

async function run(
  world: DeploymentWorld,
  process: SimulatedProcess,
  source: DeployedJob,
  target: DeployedJob,
  from: string | undefined,
): Promise<"done"> {
  const random = world.newRandom();
  const parts = {
    clients: world.clientsOf(process, random),
    clock: new ProcessClock(process, world.clock, world.calls, 0),
    random: () => random.next(),
    ringSize: world.settings.ringSize,
  };
  const open = (job: DeployedJob) => openAwsTarget(job.coordinator, { ...parts, caller: callerOf(world, process, job) });
  await forkOnto(await open(source), await open(target), { from, freshInput: false, replace: true, timeoutMs });
  return "done";
}

function callerOf({ calls }: DeploymentWorld, process: SimulatedProcess, { functions }: DeployedJob): FunctionCaller {
  return {
    call: async (name, event) => {
      const payload = new TextEncoder().encode(JSON.stringify(event));
      const what = `call ${name} to ${(event as { readonly kind?: string }).kind}`;
      const result = await calls.request(process, what, 30, () => functions.get(name)!.invoke(payload));
      if ("failed" in result) throw new MillraceError("unavailable", `simulated: ${result.failed}`);
      const answer = await result.answer;
      if (answer.outcome === "throttled") throw new MillraceError("unavailable", `function ${name} is throttled`);
      return answerOf(name, answer.outcome === "failed" ? "Unhandled" : undefined, answer.payload);
    },
    close: () => undefined,
  };
}
