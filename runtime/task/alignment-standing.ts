/**
 * What a source's task tells of its watermark, so that sources of its alignment group that run ahead can wait for it (Flink's watermark
 * alignment). The single task knows the sources of all groups itself, and tells nothing.
 */
import type { AlignmentReport, AlignmentTold, Effect } from "../state/commit.ts";
import type { SourceInput } from "./source-input.ts";
import type { TaskPlan } from "./task-plan.ts";

export class AlignmentStanding {
  private readonly plan: TaskPlan;
  private readonly sources: ReadonlyMap<string, SourceInput>;
  /** What was told last. */
  told: AlignmentTold | undefined;

  constructor(plan: TaskPlan, sources: ReadonlyMap<string, SourceInput>, told: AlignmentTold | undefined) {
    this.plan = plan;
    this.sources = sources;
    this.told = told;
  }

  /** Processing time: when the others are to be told; Infinity: they know. */
  dueAt(): number {
    const { standing, told } = this;
    if (standing === undefined || standing.at === told?.at) return Infinity;
    // That others need not wait for this task any longer, or again, is told at once.
    if (standing.at === undefined || told?.at === undefined) return -Infinity;
    return told.toldAt + this.intervalMs;
  }

  report(now: number): Effect {
    const standing = this.standing as AlignmentReport;
    this.told = { at: standing.at, toldAt: now };
    return { effect: "align", ...standing };
  }

  /** Of the one source of a task that reads a shard. */
  private get standing(): AlignmentReport | undefined {
    if (this.plan.stage.kind !== "source") return undefined;
    for (const source of this.sources.values()) {
      const { alignment, slowest } = source;
      if (alignment !== undefined) return { group: alignment.group, at: slowest === Infinity ? undefined : slowest };
    }
    return undefined;
  }

  private get intervalMs(): number {
    for (const { alignment } of this.sources.values()) if (alignment !== undefined) return alignment.updateIntervalMs;
    return 0;
  }
}
