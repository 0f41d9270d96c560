/** The shards of a job's sources, as they were listed last: asked for anew when one is not known. */
import { MillraceError } from "../base/errors.ts";
import type { ShardId } from "../base/ids.ts";
import type { JobGraph } from "../plan/job-graph.ts";
import type { Shard } from "../ports/log.ts";
import type { Ports } from "../ports/ports.ts";

export class SourceShards {
  private readonly job: JobGraph;
  private readonly ports: Ports;
  private readonly known = new Map<string, readonly Shard[]>();

  constructor(job: JobGraph, ports: Ports) {
    this.job = job;
    this.ports = ports;
  }

  /** Without asking for them. */
  listed(source: string): readonly Shard[] {
    return this.known.get(source) ?? [];
  }

  forget(): void {
    this.known.clear();
  }

  async find(source: string, shard: ShardId): Promise<Shard> {
    const known = this.known.get(source)?.find((candidate) => candidate.id === shard);
    if (known !== undefined) return known;
    const found = (await this.list(source)).find((candidate) => candidate.id === shard);
    if (found === undefined) throw new MillraceError("invalid", `source ${source} has no shard ${shard}`);
    return found;
  }

  async list(source: string): Promise<readonly Shard[]> {
    const shards = await this.ports.source(source).shards(this.streamOf(source));
    this.known.set(source, shards);
    return shards;
  }

  streamOf(source: string): string {
    const spec = this.job.operators.get(source)?.node.spec;
    return spec?.kind === "source" ? spec.source.name : source;
  }
}
