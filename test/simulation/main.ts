/**
 * `npm run simulate -- --seeds A..B [--world engine|deployment]`: runs the seeds in one of the two simulated worlds. "engine" (default) is the
 * engine on ports with faults (engine-world.ts), "deployment" the functions' handlers, the adapters of AWS and event source mappings on
 * simulated services (deployment-world.ts).
 */
import { enableCompileCache } from "node:module";

// Most of what a few seeds take is compiling.
enableCompileCache();
const args = process.argv;
const at = args.indexOf("--world");
const [, world = "engine"] = at < 0 ? [] : args.splice(at, 2);
if (world === "engine") await import("./engine-world.ts");
else if (world === "deployment")
  process.exitCode = await (await import("./deployment-world.ts")).simulateDeployments(args.slice(2));
else {
  console.error(`no such world: ${world}: there are engine and deployment`);
  process.exitCode = 2;
}
