/**
 * The child of the race test: told the number of an entry of one ring, it tries to write it, as others do at the same moment, and says
 * whether it "won" or "lost" it. With the first it opens the directory. Arguments: directory, name.
 */
import { createInterface } from "node:readline";
import { openLocal } from "../../../runtime/adapters/local/open-local.ts";
import { id, type AttemptId } from "../../../runtime/base/ids.ts";
import { crashJob, crashRing, crashTask } from "../crash-workload.ts";

const [directory, name] = process.argv.slice(2) as [string, string];
console.log("ready");
let opened: ReturnType<typeof openLocal> | undefined;
for await (const line of createInterface(process.stdin)) {
  const { journal } = await (opened ??= openLocal(directory, { job: crashJob, ringSize: crashRing }));
  const attempt = id<AttemptId>(`${name}/${line}`);
  const written = await journal.write(crashTask, { seq: Number(line), attempt, bytes: new TextEncoder().encode(attempt) });
  console.log(written.outcome === "written" ? "won" : "lost");
}
await (await opened)?.close();
