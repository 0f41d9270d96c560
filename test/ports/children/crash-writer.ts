/**
 * The child of the crash test: goes on where the directory stands and writes until it is killed. Each line it prints is an
 * acknowledgement: `entry n`, `record n`, `blob n`, `page n`. Arguments: directory, durability.
 */
import { writeSync } from "node:fs";
import { openLocal } from "../../../runtime/adapters/local/open-local.ts";
import {
  crashJob,
  crashRing,
  entryOf,
  headOf,
  pageOf,
  recordOf,
  blobName,
  blobBytes,
  crashTask,
  readAll,
} from "../crash-workload.ts";

const [directory, durability] = process.argv.slice(2) as [string, "process" | "power"];
const ports = await openLocal(directory, { job: crashJob, ringSize: crashRing, durability });
await ports.log.createStream("inbox", 1);
const acknowledge = (what: string, n: number) => writeSync(1, `${what} ${n}\n`);

let record = (await readAll(ports.log)).length;
for (let seq = (await headOf(ports.journal)) + 1; ; seq += 1) {
  const writes = [
    ports.blobs.put(blobName(seq), blobBytes(seq)).then(() => acknowledge("blob", seq)),
    ports.pages.put(pageOf(seq)).then(() => acknowledge("page", seq)),
  ];
  await Promise.all(writes);
  await ports.journal.write(crashTask, entryOf(seq));
  acknowledge("entry", seq);
  record += 2;
  await ports.log.append("inbox", [recordOf(record - 1), recordOf(record)]);
  acknowledge("record", record);
}
