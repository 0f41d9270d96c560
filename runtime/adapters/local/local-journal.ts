/** Rings of commits and mailboxes in the embedded store. */
import type { StatementSync } from "node:sqlite";
import type { AttemptId, Seq, TaskId } from "../../base/ids.ts";
import type { Journal, JournalTail, Message, StoredEntry, WriteResult } from "../../ports/journal.ts";
import { checkNoGaps, decideSlot } from "../ring.ts";
import type { Store } from "./store.ts";

interface Held {
  readonly seq: Seq;
  readonly attempt: AttemptId;
}

export class LocalJournal implements Journal {
  readonly ringSize: number;
  readonly #store: Store;
  readonly #held: StatementSync;
  readonly #put: StatementSync;
  readonly #entries: StatementSync;
  readonly #head: StatementSync;
  readonly #messages: StatementSync;
  readonly #post: StatementSync;
  readonly #withdraw: StatementSync;
  readonly #forgetEntries: StatementSync;
  readonly #forgetMessages: StatementSync;

  constructor(store: Store, ringSize: number) {
    this.ringSize = ringSize;
    this.#store = store;
    this.#held = store.prepare("SELECT seq, attempt FROM entries WHERE task = ? AND slot = ?");
    this.#put = store.prepare(
      `INSERT INTO entries (task, slot, seq, attempt, bytes) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET seq = excluded.seq, attempt = excluded.attempt, bytes = excluded.bytes`,
    );
    this.#entries = store.prepare("SELECT seq, bytes FROM entries WHERE task = ? AND seq > ? ORDER BY seq");
    this.#head = store.prepare("SELECT seq, bytes FROM entries WHERE task = ? ORDER BY seq DESC LIMIT 1");
    this.#messages = store.prepare("SELECT name, version, bytes FROM messages WHERE task = ? ORDER BY name");
    this.#withdraw = store.prepare("DELETE FROM messages WHERE task = ? AND name = ?");
    this.#forgetEntries = store.prepare("DELETE FROM entries WHERE task = ?");
    this.#forgetMessages = store.prepare("DELETE FROM messages WHERE task = ?");
    this.#post = store.prepare(
      `INSERT INTO messages (task, name, version, bytes) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET version = excluded.version, bytes = excluded.bytes WHERE excluded.version > version`,
    );
  }

  async tail(task: TaskId, after: Seq | "head"): Promise<JournalTail> {
    const tail = await this.#store.read(() => ({
      entries: (after === "head" ? this.#head.all(task) : this.#entries.all(task, after)) as unknown as StoredEntry[],
      messages: this.#messages.all(task) as unknown as Message[],
    }));
    checkNoGaps(
      task,
      tail.entries.map(({ seq }) => seq),
    );
    return {
      entries: tail.entries.map(({ seq, bytes }) => ({ seq, bytes })),
      messages: tail.messages.map(({ name, version, bytes }) => ({ name, version, bytes })),
    };
  }

  write(
    task: TaskId,
    entry: { readonly seq: Seq; readonly attempt: AttemptId; readonly bytes: Uint8Array },
  ): Promise<WriteResult> {
    const slot = entry.seq % this.ringSize;
    return this.#store.write((): WriteResult => {
      const held = this.#held.get(task, slot) as unknown as Held | undefined;
      if (decideSlot(task, entry.seq, this.ringSize, held?.seq) === "lost") {
        return { outcome: "lost", seq: held!.seq, by: held!.attempt };
      }
      this.#put.run(task, slot, entry.seq, entry.attempt, entry.bytes);
      return { outcome: "written" };
    });
  }

  withdraw(task: TaskId, names: readonly string[]): Promise<void> {
    return this.#store.write(() => {
      for (const name of names) this.#withdraw.run(task, name);
    });
  }

  forget(task: TaskId): Promise<void> {
    return this.#store.write(() => {
      this.#forgetEntries.run(task);
      this.#forgetMessages.run(task);
    });
  }

  post(task: TaskId, message: Message): Promise<"posted" | "superseded"> {
    return this.#store.write(() => {
      const { changes } = this.#post.run(task, message.name, message.version, message.bytes);
      return changes > 0 ? "posted" : "superseded";
    });
  }
}
