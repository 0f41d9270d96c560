/** The shards of a job's sources, as they were listed last: asked for anew when one is not known. */
import { MillraceError } from "../base/errors.ts";
import type { ShardId } from "../base/ids.ts";
import type { JobGraph } from "../plan/job-graph.ts";
import type { Shard } from "../ports/log.ts";
import type { Ports } from "../ports/ports.ts";
import type { SourceInput } from "../task/source-input.ts";

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
    for (const source of this.known.keys()) this.ports.source(source).forgetShards?.();
    this.known.clear();
  }

  async find(source: string, shard: ShardId): Promise<Shard> {
    const known = this.known.get(source)?.find((candidate) => candidate.id === shard);
    if (known !== undefined) return known;
    this.ports.source(source).forgetShards?.();
    const found = (await this.list(source)).find((candidate) => candidate.id === shard);
    if (found === undefined) throw new MillraceError("invalid", `source ${source} has no shard ${shard}`);
    return found;
  }

  async list(source: string): Promise<readonly Shard[]> {
    const shards = await this.ports.source(source).shards(this.streamOf(source));
    this.known.set(source, shards);
    return shards;
  }

  /** Whether nobody brings the shard's records: its task must be rung again and again. */
  async isPolled(source: string, shard: ShardId): Promise<boolean> {
    return (await this.ports.source(source).polled?.(shard)) ?? false;
  }

  /** Whether one of the task's inputs must be read so, and has not come to its end. */
  async polls(sources: ReadonlyMap<string, Pick<SourceInput, "unended" | "isLive">>): Promise<boolean> {
    for (const [source, input] of sources) {
      if (this.ports.source(source).polled === undefined) continue;
      for (const shard of input.unended) if (input.isLive(shard) && (await this.isPolled(source, shard))) return true;
    }
    return false;
  }

  streamOf(source: string): string {
    const spec = this.job.operators.get(source)?.node.spec;
    return spec?.kind === "source" ? spec.source.name : source;
  }
}
