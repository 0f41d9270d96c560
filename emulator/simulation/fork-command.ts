/** `millrace fork`, given on a simulated machine, which may die like any other: then it is given again. */
import { forkOnto } from "../../cli/commands/fork.ts";
import type { DeployedJob } from "./deployed-job.ts";
import type { DeploymentWorld } from "./deployment-world.ts";
import { giveCommand, openTarget } from "./operator-machine.ts";

/** How long what is ordered is waited for, before the command is given again. */
const timeoutMs = 60_000;

/** One run of the command. `from`: the number of a checkpoint; undefined: what it takes by itself. False: it has to be given again. */
export function giveFork(
  world: DeploymentWorld,
  source: DeployedJob,
  target: DeployedJob,
  from: string | undefined,
): Promise<boolean> {
  return giveCommand(world, "the fork", async (machine) => {
    const [of, onto] = [await openTarget(machine, source), await openTarget(machine, target)];
    await forkOnto(of, onto, { from, freshInput: false, replace: true, timeoutMs });
    return true;
  });
}
