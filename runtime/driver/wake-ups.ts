/** Where tasks stand, and when they want to be rung without input, as they wrote into their mailboxes after their commits (L12). */
import { decodeValue } from "../base/message-pack.ts";
import * as is from "../base/shape.ts";
import type { Seq, TaskId } from "../base/ids.ts";
import type { Journal } from "../ports/journal.ts";
import { wakeUpMessage } from "../snapshots/names.ts";
import { together } from "./together.ts";

export interface WakeUp {
  readonly task: TaskId;
  /** Epoch ms: not before `at`, and by `by`. */
  readonly at: number;
  readonly by: number;
  /** The commit that asked for it. It stays in the mailbox until a later one takes its place, so it may be over. */
  readonly version: number;
}

/** What tasks have told of themselves. */
export interface HeardOf {
  readonly wakeUps: readonly WakeUp[];
  /** Those that have committed nothing yet: they have had no turn to say when they want to be rung. */
  readonly silent: readonly TaskId[];
  /** How many entries each has written. */
  readonly heads: ReadonlyMap<TaskId, Seq>;
}

const wakeUpShape = is.tuple(is.time, is.time);

/** Throws `corrupt`. */
export function decodeWakeUp(bytes: Uint8Array): readonly [at: number, by: number] {
  const value = decodeValue(bytes);
  is.checkShape("a wake-up", value, wakeUpShape);
  return value as [number, number];
}

export async function readWakeUps(tasks: readonly TaskId[], journal: Pick<Journal, "tail">): Promise<HeardOf> {
  const found = await together(
    tasks.map(async (task) => {
      const { entries, messages } = await journal.tail(task, "head");
      const message = messages.find(({ name }) => name === wakeUpMessage);
      const head = entries.at(-1)?.seq ?? 0;
      if (message === undefined) return { task, head, wakeUps: [] };
      const [at, by] = decodeWakeUp(message.bytes);
      return { task, head, wakeUps: [{ task, at, by, version: message.version }] };
    }),
  );
  return {
    wakeUps: found.flatMap(({ wakeUps }) => wakeUps),
    silent: found.flatMap(({ task, head }) => (head === 0 ? [task] : [])),
    heads: new Map(found.map(({ task, head }) => [task, head])),
  };
}
