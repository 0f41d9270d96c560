/** What a task stands on before its first commit: nothing, a restored checkpoint, or what its parents left. */
import type { ChannelId, Checkpoint, Position } from "../base/ids.ts";
import type { ChannelProgress, Progress } from "../state/commit.ts";
import type { Share } from "../state/operator-state.ts";
import type { TaskIndex } from "../state/state-index.ts";

export interface TaskStart {
  readonly index: TaskIndex;
  readonly held: readonly Uint8Array[];
  readonly progress: Progress;
  /** By operator uid: what it takes over of state outside keys. Of a task that has written a base, nothing any more. */
  readonly shares?: ReadonlyMap<string, Share> | undefined;
}

/** The progress of a task that has done nothing. */
export function emptyProgress(options: {
  readonly sources?: Progress["sources"];
  readonly channels?: Iterable<ChannelId>;
  readonly valves?: Progress["valves"];
  readonly lastCheckpoint?: Checkpoint;
  readonly now?: number;
  readonly versionOffset?: number;
}): Progress {
  const channels = new Map<ChannelId, ChannelProgress>();
  for (const channel of options.channels ?? []) channels.set(channel, { expected: 0, status: "live", parents: [] });
  return {
    sources: options.sources ?? new Map(),
    inbox: "horizon" as Position | "horizon",
    channels,
    sent: new Map(),
    valves: options.valves ?? new Map(),
    alignment: { last: options.lastCheckpoint ?? 0, current: undefined },
    sinks: new Map(),
    now: options.now ?? 0,
    ended: false,
    successors: [],
    versionOffset: options.versionOffset ?? 0,
    totals: { records: 0, deadLetters: 0, lateDropped: 0 },
  };
}
