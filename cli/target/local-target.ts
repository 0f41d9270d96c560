/** A job on this machine: its state directory. Several processes may use it at once, so a job is looked at while it runs. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { openLocal } from "../../runtime/adapters/local/open-local.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import { parsePartFileName } from "../../runtime/connectors/files/part-name.ts";
import { moveJobRecord, readJobRing } from "../../runtime/driver/job-ring.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import { decideOrder, type Order } from "../../runtime/snapshots/decide-order.ts";
import type { JobRecord } from "../../runtime/snapshots/job-record.ts";
import { placeHere } from "../suggest.ts";
import type { LetterStore, Target } from "./target.ts";

export interface LocalTargetOptions {
  /** Where the job's sinks write: dead letters lie there. */
  readonly output: string;
}

/** Throws `invalid` when no job has kept its state there. */
export async function openLocalTarget(directory: string, { output }: LocalTargetOptions): Promise<Target> {
  const ports = await openLocal(directory);
  const { job, leases } = ports;
  return {
    kind: "local",
    job,
    place: `state directory ${directory}`,
    words: placeHere(directory, output),
    ports,
    runner: async () => {
      const holders = [...(await leases.held())].filter(([name]) => name === "job" || name.startsWith("member/"));
      return holders.length === 0 ? undefined : holders.map(([, { pid }]) => `process ${pid}`).join(", ");
    },
    order: (order) => takeOrder(ports as unknown as Ports, job, order),
    letters: letterFiles(join(output, "dead-letters")),
    close: () => ports.close(),
  };
}

/** Writes the order into the job record: the process that runs the job follows it. */
async function takeOrder(ports: Ports, job: string, order: Order): Promise<JobRecord> {
  for (;;) {
    const ring = await readJobRing(ports, job);
    const { record } = ring;
    if (record === undefined) throw new MillraceError("invalid", `job ${job} was never started`);
    if (record.phase === "restoring")
      throw new MillraceError("unavailable", `job ${job} is being restored, give the order once it runs: ${order.kind}`);
    const decided = decideOrder(record, order, true);
    if (decided.outcome === "known") return record;
    if (decided.outcome === "refused") throw new MillraceError("invalid", `${decided.reason}: ${order.kind} of ${job}`);
    if (decided.outcome === "restore")
      throw new MillraceError("invalid", `the job has stopped, its code begins again from there: millrace start JOB`);
    if (await moveJobRecord(ports, ring, decided.record, `order-${order.id}`)) return decided.record;
  }
}

function letterFiles(directory: string): LetterStore {
  return {
    place: directory,
    list: async () => {
      const names = await readdir(directory).catch(() => []);
      return names.filter((name) => parsePartFileName({ prefix: "", extension: "ndjson" }, name) !== undefined).sort();
    },
    read: (name) => readFile(join(directory, name), "utf8"),
  };
}
