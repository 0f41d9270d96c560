/**
 * The child of the race test: told to start, it opens a directory that others open at the same moment and tries to write every
 * entry of one ring. Prints `won n` for each that it wrote. Arguments: directory, name, entries.
 */
import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { openLocal } from "../../../runtime/adapters/local/open-local.ts";
import { id, type AttemptId } from "../../../runtime/base/ids.ts";
import { crashJob, crashRing, crashTask } from "../crash-workload.ts";

const [directory, name, entries] = process.argv.slice(2) as [string, string, string];
process.stdout.write("ready\n");
await once(process.stdin, "data");
process.stdin.unref();
const ports = await openLocal(directory, { job: crashJob, ringSize: crashRing });
for (let seq = 1; seq <= Number(entries); seq += 1) {
  const attempt = id<AttemptId>(`${name}/${seq}`);
  const written = await ports.journal.write(crashTask, { seq, attempt, bytes: new TextEncoder().encode(attempt) });
  if (written.outcome === "written") {
    console.log(`won ${seq}`);
    // Lets the others catch up, so that they race for the next one.
    await wait(1);
  }
}
await ports.close();
