/** The machine of whoever gives commands to a simulated deployment: it may die, and what it asks for may come to nothing. */
import { type AwsTarget, openAwsTarget } from "../../cli/target/aws-target.ts";
import { answerOf, type FunctionCaller } from "../../runtime/adapters/aws/lambda-caller.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import type { SeededRandom } from "../../runtime/base/seeded-random.ts";
import type { DeployedJob } from "./deployed-job.ts";
import type { DeploymentWorld } from "./deployment-world.ts";
import { ProcessClock } from "./function-environment.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

export interface Machine {
  readonly world: DeploymentWorld;
  readonly process: SimulatedProcess;
  readonly random: SeededRandom;
}

/** One run of a command. False: it has to be given again. `name`: what it is called in the trace. */
export async function giveCommand(
  world: DeploymentWorld,
  name: string,
  run: (machine: Machine) => Promise<boolean>,
): Promise<boolean> {
  const process = world.newProcess("operator");
  const died = process.died.then(() => false);
  try {
    return await Promise.race([run({ world, process, random: world.newRandom() }), died]);
  } catch (error) {
    if (!(error instanceof MillraceError) || (error.kind !== "unavailable" && error.kind !== "invalid")) throw error;
    world.note(`${name} comes to nothing: ${error.message}`);
    return false;
  }
}

/** A job as the command finds it. */
export function openTarget({ world, process, random }: Machine, job: DeployedJob): Promise<AwsTarget> {
  return openAwsTarget(job.coordinator, {
    clients: world.clientsOf(process, random).clients,
    clock: new ProcessClock(process, world.clock, world.calls, 0),
    random: () => random.next(),
    ringSize: world.settings.ringSize,
    caller: callerOf(world, process, job),
  });
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
