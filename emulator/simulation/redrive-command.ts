/** `millrace deadletters redrive`, given on a simulated machine, which may die like any other: then it is given again. */
import { redriveAway } from "../../cli/commands/redrive.ts";
import type { DeployedJob } from "./deployed-job.ts";
import type { DeploymentWorld } from "./deployment-world.ts";
import { giveCommand, openTarget } from "./operator-machine.ts";

/** In seconds, as the command is told. */
const timeout = 60;

/** One run of the command. False: it has to be given again. */
export function giveRedrive(world: DeploymentWorld, job: DeployedJob): Promise<boolean> {
  return giveCommand(world, "the redrive", async (machine) => {
    const { code = 0 } = await redriveAway(await openTarget(machine, job), { timeout });
    return code === 0;
  });
}
