/**
 * The steps between a job record that says `restoring` and one that says `running`: seal the old rings (L1), take back what was put out
 * beyond the checkpoint, make the inboxes. Each may be repeated, by whoever goes on.
 */
import { id, type OperatorUid } from "../base/ids.ts";
import type { JobGraph } from "../plan/job-graph.ts";
import type { Ports } from "../ports/ports.ts";
import type { JobRecord } from "../snapshots/job-record.ts";
import type { Manifest } from "../snapshots/manifest.ts";
import { inboxName } from "../snapshots/names.ts";
import type { Safeguards } from "../task/safeguards.ts";
import { sealRings } from "./seal-rings.ts";

export interface RestoreWork {
  /** Of the coordinator that does it. */
  readonly id: string;
  readonly safeguards: Safeguards;
  readonly createStream: (stream: string, shards: number, mayGoOn: () => Promise<boolean>) => Promise<unknown>;
  /** Asked before each step; false: another goes on, or the job is further. */
  readonly mayGoOn: () => Promise<boolean>;
}

/** False: it may not go on, and has not come to its end. `manifest`: what the generation begins from; undefined: from nothing. */
export async function carryOutRestore(
  { generation, replaces, topology }: JobRecord,
  manifest: Manifest | undefined,
  job: JobGraph,
  ports: Ports,
  { id: by, safeguards, createStream, mayGoOn }: RestoreWork,
): Promise<boolean> {
  if (!(await mayGoOn())) return false;
  if (safeguards.holds("L1")) await sealRings(replaces, ports, by);
  // Of what another job put out, whose checkpoint this was, nothing is this job's: all that it put out itself is taken back.
  const own = manifest?.job === job.name ? manifest : undefined;
  const lastSeq = new Map(own?.tasks.map((ack) => [ack.task, ack.lastSeq]));
  const restored = { generation, from: own?.generation ?? 0, lastSeq };
  for (const { node } of job.operators.values()) {
    if (node.spec.kind !== "sink") continue;
    if (!(await mayGoOn())) return false;
    await ports.sinks.quarantine(id<OperatorUid>(node.uid), restored);
  }
  if (!(await mayGoOn())) return false;
  await ports.sinks.quarantineLetters?.(restored);
  for (const { node } of own === undefined ? [] : job.operators.values()) {
    if (node.spec.kind !== "source") continue;
    if (!(await mayGoOn())) return false;
    await ports.source(node.uid).leaveOut?.(restored);
  }
  for (const { stage, tasks, kind } of topology) {
    if (kind !== "keyed") continue;
    if (!(await mayGoOn())) return false;
    let goesOn = true;
    await createStream(inboxName(generation, stage), tasks.length, async () => (goesOn = await mayGoOn()));
    if (!goesOn) return false;
  }
  return true;
}
