/**
 * Rings of commits and mailboxes in memory. Bytes handed over are kept as they are, since the caller never changes them
 * afterwards; bytes handed out are copies, since they belong to the caller.
 */
import type { AttemptId, Seq, TaskId } from "../../base/ids.ts";
import type { Journal, JournalTail, Message, WriteResult } from "../../ports/journal.ts";
import { defaultRingSize } from "../limits.ts";
import { checkNoGaps, decideSlot } from "../ring.ts";

interface Slot {
  readonly seq: Seq;
  readonly attempt: AttemptId;
  readonly bytes: Uint8Array;
}

interface Partition {
  readonly slots: (Slot | undefined)[];
  readonly messages: Map<string, Message>;
}

export class MemoryJournal implements Journal {
  readonly ringSize: number;
  readonly #partitions = new Map<TaskId, Partition>();
  readonly #unsafeSkipSlotCondition: boolean;
  readonly #unsafeSkipMessageVersion: boolean;

  /**
   * `unsafeSkipSlotCondition` lets every write through, so that a zombie overwrites what a newer attempt committed. Only for tests
   * of the tests: a suite that claims to notice a broken R1 must fail when it is on. `unsafeSkipMessageVersion` does so with
   * messages (L12).
   */
  constructor(
    options: {
      readonly ringSize?: number;
      readonly unsafeSkipSlotCondition?: boolean;
      readonly unsafeSkipMessageVersion?: boolean;
    } = {},
  ) {
    this.ringSize = options.ringSize ?? defaultRingSize;
    this.#unsafeSkipSlotCondition = options.unsafeSkipSlotCondition ?? false;
    this.#unsafeSkipMessageVersion = options.unsafeSkipMessageVersion ?? false;
  }

  async tail(task: TaskId, after: Seq | "head"): Promise<JournalTail> {
    const partition = this.#partition(task);
    const held = partition.slots.filter((slot) => slot !== undefined);
    const from = after === "head" ? Math.max(...held.map(({ seq }) => seq)) - 1 : after;
    const entries = held.filter(({ seq }) => seq > from).sort((a, b) => a.seq - b.seq);
    if (!this.#unsafeSkipSlotCondition) {
      checkNoGaps(
        task,
        entries.map((entry) => entry.seq),
      );
    }
    return {
      entries: entries.map(({ seq, bytes }) => ({ seq, bytes: bytes.slice() })),
      messages: [...partition.messages.values()].map((message) => ({ ...message, bytes: message.bytes.slice() })),
    };
  }

  async write(
    task: TaskId,
    entry: { readonly seq: Seq; readonly attempt: AttemptId; readonly bytes: Uint8Array },
  ): Promise<WriteResult> {
    const { slots } = this.#partition(task);
    const slot = entry.seq % this.ringSize;
    const held = slots[slot];
    if (!this.#unsafeSkipSlotCondition && decideSlot(task, entry.seq, this.ringSize, held?.seq) === "lost") {
      return { outcome: "lost", seq: held!.seq, by: held!.attempt };
    }
    slots[slot] = { seq: entry.seq, attempt: entry.attempt, bytes: entry.bytes };
    return { outcome: "written" };
  }

  async post(task: TaskId, message: Message): Promise<"posted" | "superseded"> {
    const { messages } = this.#partition(task);
    const stored = messages.get(message.name);
    if (stored !== undefined && stored.version >= message.version && !this.#unsafeSkipMessageVersion) return "superseded";
    messages.set(message.name, { name: message.name, version: message.version, bytes: message.bytes });
    return "posted";
  }

  async withdraw(task: TaskId, names: readonly string[]): Promise<void> {
    for (const name of names) this.#partition(task).messages.delete(name);
  }

  async forget(task: TaskId): Promise<void> {
    this.#partitions.delete(task);
  }

  #partition(task: TaskId): Partition {
    let partition = this.#partitions.get(task);
    if (partition === undefined) {
      partition = { slots: new Array<Slot | undefined>(this.ringSize).fill(undefined), messages: new Map() };
      this.#partitions.set(task, partition);
    }
    return partition;
  }
}
