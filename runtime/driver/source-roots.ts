/** The shards of its sources that a generation begins with: who reads them are its first tasks; later shards follow from their parents. */
import type { Position, ShardId } from "../base/ids.ts";
import type { JobGraph } from "../plan/job-graph.ts";
import type { Shard } from "../ports/log.ts";
import type { Ports } from "../ports/ports.ts";
import type { Manifest } from "../snapshots/manifest.ts";
import { isPast } from "./shard-lineage.ts";
import type { Roots } from "./topology.ts";

/** How far a checkpoint has read a shard. */
interface Known {
  readonly position: Position | "horizon";
  readonly ended: boolean;
  readonly parents: readonly ShardId[];
}

/** Of a job that begins: the oldest shards. */
export function firstRoots(job: JobGraph, ports: Ports): Promise<Roots> {
  return rootsOf(job, ports, (shards) => shards.filter((shard) => shard.parents.length === 0));
}

/**
 * Of a job that goes on from a checkpoint: the shards that it stands in, and those it has not seen that have no parents in it. Reports the
 * deleted.
 */
export function rootsAfter(manifest: Manifest, job: JobGraph, ports: Ports): Promise<Roots> {
  return rootsOf(job, ports, (shards, source, stream) => {
    const known = new Map(manifest.tasks.flatMap((ack) => [...(ack.sources.get(source)?.shards ?? [])]));
    reportDeleted({ source, stream, shards, known }, job, ports);
    return shards.filter((shard) => isRoot(shard, shards, known));
  });
}

async function rootsOf(
  job: JobGraph,
  { source: readerOf }: Ports,
  choose: (shards: readonly Shard[], source: string, stream: string) => readonly Shard[],
): Promise<Roots> {
  const roots = new Map<string, { readonly shard: ShardId; readonly range: Shard["range"] }[]>();
  for (const { node } of job.operators.values()) {
    if (node.spec.kind !== "source") continue;
    const stream = node.spec.source.name;
    const chosen = choose(await readerOf(node.uid).shards(stream), node.uid, stream);
    roots.set(
      node.uid,
      chosen.map(({ id: shard, range }) => ({ shard, range })),
    );
  }
  return roots;
}

function isRoot(shard: Shard, shards: readonly Shard[], known: ReadonlyMap<ShardId, Known>): boolean {
  // A child that waited for its parents begins again as their child.
  const begun = (other: ShardId) => {
    const progress = known.get(other);
    return progress !== undefined && (progress.ended || progress.parents.every((parent) => known.get(parent)?.ended ?? true));
  };
  const progress = known.get(shard.id);
  if (progress === undefined)
    return (
      !shard.parents.some((parent) => shards.some((candidate) => candidate.id === parent)) &&
      !isPast(shard.id, (other) => known.has(other), shards)
    );
  if (!progress.ended) return begun(shard.id);
  const children = shards.filter((candidate) => candidate.parents.includes(shard.id));
  return children.length === 0 || children.some((child) => !begun(child.id));
}

/** Shards that are no longer listed and were not read to their end: nobody will read them where each has a task of its own. */
function reportDeleted(
  {
    source,
    stream,
    shards,
    known,
  }: {
    readonly source: string;
    readonly stream: string;
    readonly shards: readonly Shard[];
    readonly known: ReadonlyMap<ShardId, Known>;
  },
  job: JobGraph,
  { telemetry }: Ports,
): void {
  if (job.stages.some(({ kind }) => kind === "single")) return;
  for (const [shard, { position: after, ended }] of known) {
    if (ended || shards.some((listed) => listed.id === shard)) continue;
    const message = "records were lost at the source: their retention passed before they were read";
    telemetry.log("error", message, { source, stream, shard, after, before: "its end" });
    telemetry.add("sourceGap", 1, { source, shard });
  }
}
