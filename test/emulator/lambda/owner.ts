/** Starts a function that spins and one that is frozen, prints the ids of their processes, and is killed by its parent. */
import { functionsDirectory } from "./environments.ts";
import { processEnvironments } from "../../../emulator/lambda/process-environment.ts";

const start = processEnvironments({
  configuration: {
    name: "owned",
    codeDirectory: functionsDirectory,
    handler: "index.handler",
    memoryMb: 512,
    timeoutMs: 600_000,
    region: "us-east-1",
    account: "000000000000",
    environment: {},
  },
  initMsMax: 600_000,
});
const [spinning, frozen] = [await start(), await start()];
const payload = Buffer.from(JSON.stringify({ act: "spin" }));
void spinning.invoke({ requestId: "spins", payload, deadline: Date.now() + 600_000 });
console.log(JSON.stringify([spinning.pid, frozen.pid]));
