/**
 * Holds what tasks say of idle shards against what their streams had, independently of the engine.
 *
 * C21 A shard is found idle only where all that its stream had when the turn began has been taken in (L13).
 */
import type { ShardId, TaskId } from "../../base/ids.ts";
import type { StoredSourceWatermarks } from "../../time/source-watermarks.ts";
import type { CommitRead } from "./read-commit.ts";
import type { SimProcess } from "./scheduler.ts";
import type { SimSources } from "./sources.ts";

export class IdlenessChecker {
  private readonly fail: (message: string) => void;
  private readonly sources: Pick<SimSources, "cameBeyond">;
  /** By task: its idle shards, with their sources. */
  private readonly idle = new Map<TaskId, ReadonlySet<string>>();

  constructor(fail: (message: string) => void, sources: Pick<SimSources, "cameBeyond">) {
    this.fail = fail;
    this.sources = sources;
  }

  /** `by`: whose turn has written it. */
  onCommit({ task, seq, progress }: CommitRead, by: Pick<SimProcess, "rungAt">): void {
    const before = this.idle.get(task);
    const now = new Set<string>();
    for (const [source, { shards, watermarks }] of progress.sources)
      for (const { id, active, ended } of (watermarks as StoredSourceWatermarks | undefined)?.shards ?? []) {
        if (active || ended) continue;
        const name = `${source} ${id}`;
        now.add(name);
        if (before?.has(name) === true) continue;
        const { position } = shards.get(id as ShardId)!;
        const came = this.sources.cameBeyond(source, id as ShardId, position);
        if (came !== undefined && came < by.rungAt)
          this.fail(`C21: shard ${name} is idle at ${position}, entry ${seq} of ${task}, though more had come before that turn`);
      }
    this.idle.set(task, now);
  }
}
