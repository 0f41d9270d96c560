/**
 * Rings of commits and mailboxes in DynamoDB: one partition per task, one item per slot and message.
 *
 * R1 The condition of the put is the slot's (adapters/ring.ts): an entry is written at most once. What its failure means is decided
 *    over the item that stands there.
 * Q1 A query is no snapshot of the ring: it counts only if every entry up to its head is there. Entry n+1 is written after n, so what
 *    lies below a head that was seen before the query began must be there: if not, entries are missing for good.
 * Q2 Reading on from a known head begins at the slot of the next entry, which holds nothing newer most of the time: one item is read.
 *    Only when the ring has gone round since, or nothing is known, is all of it read.
 * Q3 Messages are no older than the entries beside them: who wrote an entry may have followed a message that was posted before. Where
 *    others have written of late they are read behind the entries; else side by side with them, and once more if there is a new one after all.
 */
import { MillraceError } from "../../base/errors.ts";
import { type AttemptId, id, type Seq, type TaskId } from "../../base/ids.ts";
import type { Journal, JournalTail, Message, StoredEntry, WriteResult } from "../../ports/journal.ts";
import { together } from "../../ports/together.ts";
import { decideSlot } from "../ring.ts";
import { type Condition, DynamoTable, type Range } from "./dynamo-table.ts";
import type { Item } from "./item-size.ts";
import { attribute, messagePrefix, messageSort, ringPartition, slotPrefix, slotSort } from "./names.ts";

/** How often a read that shows a torn ring is repeated. */
const tornReadsMax = 5;
/** Sorts after every name. */
const lastCharacter = "\u{10ffff}";

/** What a page of slots, read in their order from the one of entry `next` on, says of the entries from `next` on. */
interface Reading {
  readonly fresh: readonly StoredEntry[];
  /**
   * - end: the slot after the fresh ones holds nothing newer.
   * - more: all that was read is fresh, there may be others.
   * - passed: the ring has gone round: the entry asked for is no longer there.
   * - torn: an entry is not there, a later one is.
   */
  readonly then: "end" | "more" | "passed" | "torn";
}

export class DynamoJournal implements Journal {
  readonly ringSize: number;
  readonly #table: DynamoTable;
  readonly #job: string;
  /** The highest seq seen of each task: how much there is to read at least. Never decides anything. */
  readonly #heads = new Map<TaskId, Seq>();
  /** How many entries beyond the known head were found of late. */
  readonly #foreign = new Map<TaskId, number>();

  constructor(table: DynamoTable, job: string, ringSize: number) {
    this.#table = table;
    this.#job = job;
    this.ringSize = ringSize;
  }

  async tail(task: TaskId, after: Seq | "head"): Promise<JournalTail> {
    if (after === "head") {
      const { entries, messages } = await this.tail(task, (this.#heads.get(task) ?? 0) - 1);
      return { entries: entries.slice(-1), messages };
    }
    if (after <= 0) return this.#readRing(task, 0);
    const known = this.#heads.get(task) ?? 0;
    const ahead = (this.#foreign.get(task) ?? 0) > 0 ? undefined : this.#readMessages(task);
    const [entries, messages] = await together<[readonly StoredEntry[] | undefined, readonly Message[] | undefined]>([
      this.#readOn(task, after),
      ahead ?? Promise.resolve(undefined),
    ]);
    if (entries === undefined) return this.#readRing(task, after);
    const head = entries.at(-1)?.seq ?? 0;
    this.#note(task, head);
    return { entries, messages: messages === undefined || head > known ? await this.#readMessages(task) : messages };
  }

  /** Throws `invalid` for an entry that does not fit into an item. */
  async write(
    task: TaskId,
    entry: { readonly seq: Seq; readonly attempt: AttemptId; readonly bytes: Uint8Array },
  ): Promise<WriteResult> {
    const item: Item = {
      ...this.#keyOf(task, slotSort(entry.seq % this.ringSize)),
      [attribute.number]: { N: String(entry.seq) },
      [attribute.attempt]: { S: entry.attempt },
      [attribute.bytes]: { B: entry.bytes },
    };
    const result = await this.#table.put(item, this.#slotCondition(entry.seq));
    if (result.outcome === "put") {
      this.#note(task, entry.seq);
      return { outcome: "written" };
    }
    const held = result.stored && numberOf(result.stored);
    if (decideSlot(task, entry.seq, this.ringSize, held) === "lost") {
      return { outcome: "lost", seq: held!, by: id<AttemptId>(result.stored?.[attribute.attempt]?.S ?? "") };
    }
    throw new MillraceError("unavailable", `the slot changed while it was looked at, write again: ${task}, entry ${entry.seq}`);
  }

  async post(task: TaskId, message: Message): Promise<"posted" | "superseded"> {
    const version = { N: String(message.version) };
    const { outcome } = await this.#table.put(
      {
        ...this.#keyOf(task, messageSort(message.name)),
        [attribute.number]: version,
        [attribute.bytes]: { B: message.bytes },
      },
      {
        expression: `attribute_not_exists(${attribute.sort}) OR ${attribute.number} < :version`,
        values: { ":version": version },
      },
    );
    return outcome === "put" ? "posted" : "superseded";
  }

  async withdraw(task: TaskId, names: readonly string[]): Promise<void> {
    await this.#table.deleteAll([...new Set(names)].map((name) => this.#keyOf(task, messageSort(name))));
  }

  async forget(task: TaskId): Promise<void> {
    const items = await this.#table.queryAll(this.#range(task, slotPrefix, messagePrefix + lastCharacter));
    await this.#table.deleteAll(items.map((item) => this.#keyOf(task, sortOf(item))));
    this.#heads.delete(task);
    this.#foreign.delete(task);
  }

  #keyOf(task: TaskId, sort: string): Item {
    return { [attribute.partition]: { S: ringPartition(this.#job, task) }, [attribute.sort]: { S: sort } };
  }

  #slotCondition(seq: Seq): Condition {
    if (seq <= this.ringSize) return { expression: `attribute_not_exists(${attribute.sort})` };
    return { expression: `${attribute.number} = :old`, values: { ":old": { N: String(seq - this.ringSize) } } };
  }

  /** Entries after `after` by reading on from its slot (Q2); undefined when the ring has gone round since. */
  async #readOn(task: TaskId, after: Seq): Promise<readonly StoredEntry[] | undefined> {
    const entries: StoredEntry[] = [];
    const known = Math.max(0, (this.#heads.get(task) ?? 0) - after);
    const foreign = this.#foreign.get(task) ?? 0;
    let limit = known + foreign + 1;
    let seen = 0;
    for (let torn = 0; ;) {
      const next = after + entries.length + 1;
      const { items, more } = await this.#table.query(this.#slotsFrom(task, next), Math.min(limit, this.ringSize));
      const { fresh, then } = readSlots(items, next, more, this.ringSize);
      entries.push(...fresh);
      if (then === "passed") return undefined;
      if (then === "torn") {
        const missing = after + entries.length + 1;
        if (missing <= seen) throw missingEntry(task, missing);
        seen = Math.max(...items.map(numberOf));
        if (++torn === tornReadsMax) throw tornForever(task);
      }
      if (then === "end") {
        this.#foreign.set(task, Math.max(entries.length - known, Math.floor(foreign / 2)));
        return entries;
      }
      limit *= 2;
    }
  }

  /** All of the ring, read again until it is whole (Q1), and the mailbox behind it. */
  async #readRing(task: TaskId, after: Seq): Promise<JournalTail> {
    let seen = 0;
    for (let attempt = 0; attempt < tornReadsMax; attempt++) {
      const slots = (await this.#table.queryAll(this.#range(task, slotPrefix, slotPrefix + lastCharacter))).map(entryOf);
      slots.sort((a, b) => a.seq - b.seq);
      const head = slots.at(-1)?.seq ?? 0;
      const entries = slots.filter(({ seq }) => seq > Math.max(after, head - this.ringSize));
      const missing = firstMissing(entries, head, Math.max(after, head - this.ringSize));
      if (missing === undefined) {
        this.#note(task, head);
        return { entries, messages: await this.#readMessages(task) };
      }
      if (missing <= seen) throw missingEntry(task, missing);
      seen = head;
    }
    throw tornForever(task);
  }

  async #readMessages(task: TaskId): Promise<readonly Message[]> {
    const items = await this.#table.queryAll(this.#range(task, messagePrefix, messagePrefix + lastCharacter));
    return items.map(messageOf);
  }

  #slotsFrom(task: TaskId, next: Seq): Range {
    return this.#range(task, slotSort(next % this.ringSize), slotSort(this.ringSize - 1));
  }

  #range(task: TaskId, from: string, to: string): Range {
    return { partition: ringPartition(this.#job, task), from, to };
  }

  #note(task: TaskId, head: Seq | undefined): void {
    if (head !== undefined && head > (this.#heads.get(task) ?? 0)) this.#heads.set(task, head);
  }
}

function readSlots(items: readonly Item[], next: Seq, more: boolean, ringSize: number): Reading {
  const isFresh = (item: Item, n: number) => sortOf(item) === slotSort((next + n) % ringSize) && numberOf(item) === next + n;
  const stale = items.findIndex((item, n) => !isFresh(item, n));
  const fresh = items.slice(0, stale === -1 ? items.length : stale).map(entryOf);
  if (stale !== -1) {
    const missing = next + stale;
    const newer = items.slice(stale).filter((item) => numberOf(item) > missing);
    if (newer.length === 0) return { fresh, then: "end" };
    const passed = newer.some((item) => numberOf(item) >= missing + ringSize);
    return { fresh, then: passed ? "passed" : "torn" };
  }
  const atLastSlot = (next + items.length) % ringSize === 0;
  return { fresh, then: more || (atLastSlot && items.length > 0) ? "more" : "end" };
}

/** The lowest entry above `from` that is not there although a later one is. */
function firstMissing(entries: readonly StoredEntry[], head: Seq, from: Seq): Seq | undefined {
  if (entries.length === head - from || head <= from) return undefined;
  const n = entries.findIndex(({ seq }, at) => seq !== from + 1 + at);
  return from + 1 + n;
}

function entryOf(item: Item): StoredEntry {
  return { seq: numberOf(item), bytes: bytesOf(item) };
}

function messageOf(item: Item): Message {
  return { name: sortOf(item).slice(messagePrefix.length), version: numberOf(item), bytes: bytesOf(item) };
}

function sortOf(item: Item): string {
  return item[attribute.sort]?.S ?? "";
}

function numberOf(item: Item): number {
  return Number(item[attribute.number]?.N);
}

function bytesOf(item: Item): Uint8Array {
  return item[attribute.bytes]?.B ?? new Uint8Array();
}

function missingEntry(task: TaskId, seq: Seq): MillraceError {
  return new MillraceError("corrupt", `entries are missing from the ring: ${task}, ${seq}`);
}

function tornForever(task: TaskId): MillraceError {
  return new MillraceError("unavailable", `the ring reads torn again and again, try again: ${task}`);
}
