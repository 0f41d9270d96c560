/**
 * All keyed state of one operator in one task: rows in memory, an index of what is not.
 *
 * Owns which key groups are loaded, which have changed since their durable copy, and the schedule of their timers.
 * Does not own any I/O: it names what it lacks (`missing`), the driver fetches it, `load` takes it in.
 *
 * T1 A row that is not empty is in memory exactly when its key group is loaded; a key group without durable parts counts as loaded.
 * T2 `dirtyRows` are the rows changed since the last commit; a group that has changed since its entry's version is ahead of its durable copy.
 * T3 Deltas for a group that is not loaded are kept until it is (catch-up), and are laid over it by seq (L7).
 */
import type { Key } from "../api/key.ts";
import type { StateDeclaration } from "../api/state.ts";
import { assert } from "../base/assert.ts";
import { ByteReader } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import type { KeyGroup, Seq } from "../base/ids.ts";
import { SparseTable } from "../base/sparse-table.ts";
import { TextTable } from "../base/text-table.ts";
import type { HashRange } from "../streaming/hash-range.ts";
import type { Activity } from "./activity.ts";
import { hashKeyOf, hashOf, type KeyHashing, tupleIdentity } from "./key.ts";
import { KeyGroupState } from "./key-group.ts";
import { RowReader, type RowTarget, type RunState } from "./row-reader.ts";
import { RowWriter } from "./row-writer.ts";
import { type ProcessingRow, Row, type RowCopy } from "./row.ts";
import { mapSchema, parseSchema, type SchemaMapping, schemaOf, schemaText } from "./schema.ts";
import type { IndexEntry, OperatorIndex } from "./state-index.ts";
import { dropExpired, halfExpiredAt, noteExpiries, type Ttls } from "./ttl.ts";

/** Where rows with timers stand in line; owned by the time layer. */
export interface TimerSchedule<R> {
  schedule(row: R, at: number): void;
  remove(row: R): void;
  /** The earliest time in line; Infinity when there is none. */
  peek(): number;
}

export interface StoreOptions {
  readonly operator: string;
  readonly states: ReadonlyMap<string, StateDeclaration>;
  readonly keyGroups: number;
  readonly hashing: KeyHashing;
  /** The part of the hash space whose rows belong to the task. */
  readonly range: HashRange;
  readonly eventTimers: TimerSchedule<Row>;
  readonly processingTimers: TimerSchedule<ProcessingRow>;
  /** Counts rows handed out. */
  readonly activity: Activity;
  /** C2: how long windows' contents stay after they have fired, in event time; default Infinity: until they are taken away. */
  readonly retentionMs?: number;
  /** When the job's generation began, epoch ms: what was stored without a time counts as written then. */
  readonly since?: number;
  /**
   * Of state outside keys: makes the task's row of those that tasks before it kept. Such rows are of no key, and there is nothing
   * else in the store.
   */
  readonly takeOver?: (parts: readonly Row[], row: Row) => void;
}

/** So many keys are looked ahead to at most: enough to hide the memory's delay, few enough to stay in the processor's cache. */
export const aheadMax = 64;

/** So many commits are a round after which empty rows may go. */
const idleCommits = 16;

/** A delta that waits for its key group to be loaded. */
interface PendingDelta {
  readonly seq: Seq;
  readonly bytes: Uint8Array;
  readonly run: RunState;
  readonly mapping: SchemaMapping | undefined;
}

/** One stored copy of a key group as the driver read it. */
export interface LoadedPart {
  readonly schema: string;
  readonly bytes: Uint8Array;
  /** The seq up to which it is complete, where that is newer than the index says (a page of the state table). */
  readonly version?: Seq;
}

/** The order in which timers of one time fire: by hash, then key, so that it depends on nothing else. */
export function compareRows(a: Pick<Row, "hash" | "key">, b: Pick<Row, "hash" | "key">): number {
  if (a.hash !== b.hash) return a.hash - b.hash;
  const x = identityOf(a.key);
  const y = identityOf(b.key);
  return x < y ? -1 : x > y ? 1 : 0;
}

function identityOf(key: Key): string {
  return tupleIdentity(typeof key === "object" ? key : [key]);
}

/**
 * Rows are scattered in memory, and so are their keys. Looking at several at once lets the processor fetch them side by side, where
 * writing one after the other would wait for each.
 */
const rowsAhead = 16;

function touchRows(rows: readonly (Row | undefined)[], from: number, to: number): number {
  let units = 0;
  for (let i = from; i < to; i++) {
    const { key, namespace } = rows[i] as Row;
    if (typeof key === "string") units += key.length;
    units += namespace.start;
  }
  return units & 1;
}

export class KeyedStore {
  readonly operator: string;
  readonly states: ReadonlyMap<string, StateDeclaration>;
  readonly index: OperatorIndex;
  /** Text of today's schema, stored beside everything written. */
  readonly schema: string;
  readonly eventTimers: TimerSchedule<Row>;
  readonly processingTimers: TimerSchedule<ProcessingRow>;
  readonly retentionMs: number;
  /** Its first `dirtyCount` are; the list is used again and again. */
  private readonly dirtyRows: (Row | undefined)[] = [];
  private dirtyCount = 0;
  /** Key groups that were asked for and are not loaded. */
  readonly missing = new Set<KeyGroup>();
  /** Counted by the task, one per turn. */
  turn = 0;
  /** Rows without state leave memory at the next commit: their keys will not come again (batch mode). */
  dropsEmptyRows = false;
  private readonly activity: Activity;
  private readonly hashing: KeyHashing;
  private readonly range: HashRange;
  private readonly shift: number;
  private readonly oneGroup: boolean;
  /** Rows by their keys: strings, other scalars, tuples by their identity. */
  private readonly texts = new TextTable<Row>();
  private readonly takeOver: StoreOptions["takeOver"];
  private readonly since: number;
  /** Undefined when no state has a ttl: nearly always. */
  private readonly ttls: Ttls | undefined;
  private readonly scalars = new Map<unknown, Row>();
  private readonly tuples = new TextTable<Row>();
  private readonly groups = new SparseTable<KeyGroupState>();
  private readonly pending = new Map<KeyGroup, PendingDelta[]>();
  private readonly mappings = new Map<string, SchemaMapping>();
  private readonly outdated = new Map<string, boolean>();
  private copies: Map<Row, RowCopy> | undefined;
  /** Rows found empty at a commit of this round, and of the one before. */
  private idleRows: Row[] = [];
  private idleBefore: Row[] = [];
  private commits = 0;
  /** What `lookAhead` has found, by the places of its keys. */
  private readonly aheadHashes = new Int32Array(aheadMax);
  private readonly ahead: (Row | undefined)[] = new Array<Row | undefined>(aheadMax).fill(undefined);
  /** Of no use but that looks at rows are not optimised away. */
  private touched = 0;

  constructor(options: StoreOptions, index: OperatorIndex = new SparseTable()) {
    this.operator = options.operator;
    this.states = options.states;
    this.schema = schemaText(schemaOf(options.states));
    this.activity = options.activity;
    this.hashing = options.hashing;
    this.range = options.range;
    this.oneGroup = options.keyGroups === 1;
    this.takeOver = options.takeOver;
    this.since = options.since ?? 0;
    const ttls = [...options.states.values()].map(({ ttl }) => ttl);
    if (ttls.some((ttl) => ttl !== undefined)) this.ttls = ttls;
    this.shift = 32 - Math.log2(options.keyGroups);
    this.index = index;
    this.retentionMs = options.retentionMs ?? Infinity;
    this.eventTimers = options.eventTimers;
    this.processingTimers = options.processingTimers;
  }

  groupOf(hash: number): KeyGroup {
    return this.oneGroup ? 0 : hash >>> this.shift;
  }

  /** The key's row, made when new; undefined when its key group must be loaded first (it is then in `missing`). */
  find(key: Key): Row | undefined {
    const row = this.known(key);
    if (row === undefined) return this.make(key);
    this.use(row);
    return row;
  }

  /** Looks at the rows of the first `count` keys, at most `aheadMax`, all of them texts: `findAhead` is asked for them next, in this order. */
  lookAhead(keys: readonly string[], count: number): void {
    const { ahead, aheadHashes, texts } = this;
    let seen = texts.lookAhead(keys, count, aheadHashes, ahead);
    for (let i = 0; i < count; i++) {
      const row = ahead[i];
      if (row !== undefined) seen += row.usedAt + row.state;
    }
    for (let i = 0; i < count; i++) seen += ahead[i]?.namespace.end ?? 0;
    this.touched = seen | 0;
  }

  /** As `find`, for key number `at` of those that were looked at. */
  findAhead(key: string, at: number): Row | undefined {
    const row = this.texts.find(key, this.aheadHashes[at] as number);
    if (row === undefined) return this.make(key);
    this.use(row);
    return row;
  }

  private known(key: Key): Row | undefined {
    if (typeof key === "string") return this.texts.get(key);
    return typeof key === "object" ? this.tuples.get(tupleIdentity(key)) : this.scalars.get(key);
  }

  /** A unit of work begins to use the row. */
  use(row: Row): void {
    this.activity.count++;
    row.usedAt = this.turn;
    if (this.copies !== undefined) this.keepCopy(row);
  }

  private make(key: Key): Row | undefined {
    const hash = hashOf(key, this.hashing);
    const group = this.loadedGroup(this.groupOf(hash));
    if (group === undefined) {
      this.activity.count++;
      return undefined;
    }
    const row = new Row(key === 0 ? 0 : key, hash, group);
    this.keep(row);
    this.use(row);
    this.markDirty(row); // so that a row which is only read is dropped at the commit
    return row;
  }

  private keep(row: Row): void {
    const { key } = row;
    if (typeof key === "string") this.texts.set(key, row);
    else if (typeof key === "object") this.tuples.set(tupleIdentity(key), row);
    else this.scalars.set(key, row);
    row.group.add(row);
  }

  /** The group when its rows are in memory; else notes it as missing. */
  private loadedGroup(id: KeyGroup): KeyGroupState | undefined {
    const group = this.groups.get(id);
    if (group !== undefined) return group;
    if (this.index.has(id) || this.pending.has(id)) {
      this.missing.add(id);
      return undefined;
    }
    const fresh = new KeyGroupState(id);
    this.groups.set(id, fresh);
    return fresh;
  }

  /** Notes the key's group as missing when it is not loaded: lets a batch ask for all it will need at once. */
  want(key: Key): void {
    if (this.known(key) === undefined) this.loadedGroup(this.groupOf(hashOf(key, this.hashing)));
  }

  /** Notes as missing every group that has a timer at or before `upTo` and is not loaded. Returns whether there is one. */
  wantDue(domain: "eventTime" | "processingTime", upTo: number): boolean {
    if (this.coldEarliest(domain) > upTo) return false;
    for (const entry of this.index.values())
      if (!this.groups.has(entry.keyGroup) && earliestOf(entry, domain) <= upTo) this.missing.add(entry.keyGroup);
    for (const [id, timers] of this.pendingTimers) if (!this.groups.has(id) && timers[domain] <= upTo) this.missing.add(id);
    return this.missing.size > 0;
  }

  private readonly pendingTimers = new Map<KeyGroup, { eventTime: number; processingTime: number }>();
  private coldest: { eventTime: number; processingTime: number } | undefined;

  /** The earliest timer among groups that are not loaded; Infinity when there is none. */
  private coldEarliest(domain: "eventTime" | "processingTime"): number {
    if (this.coldest === undefined) {
      const coldest = { eventTime: Infinity, processingTime: Infinity };
      for (const entry of this.index.values()) {
        if (this.groups.has(entry.keyGroup)) continue;
        coldest.eventTime = Math.min(coldest.eventTime, entry.earliestEventTimer);
        coldest.processingTime = Math.min(coldest.processingTime, entry.earliestProcessingTimer);
      }
      for (const [id, timers] of this.pendingTimers) {
        if (this.groups.has(id)) continue;
        coldest.eventTime = Math.min(coldest.eventTime, timers.eventTime);
        coldest.processingTime = Math.min(coldest.processingTime, timers.processingTime);
      }
      this.coldest = coldest;
    }
    return this.coldest[domain];
  }

  /** The earliest timer of the operator in this domain, loaded or not; Infinity when there is none. */
  earliestTimer(domain: "eventTime" | "processingTime"): number {
    const queue = domain === "eventTime" ? this.eventTimers : this.processingTimers;
    return Math.min(queue.peek(), this.coldEarliest(domain));
  }

  /** Takes in what the driver read for a missing group: every part of its entry, in their order. */
  load(id: KeyGroup, parts: readonly LoadedPart[]): void {
    assert(!this.groups.has(id), `key group ${id} of ${this.operator} is loaded twice`);
    const group = new KeyGroupState(id);
    this.groups.set(id, group);
    this.missing.delete(id);
    this.coldest = undefined;
    const target = this.targetOf((key) => this.rowFor(key, group));
    if (this.takeOver !== undefined && this.index.get(id)?.version === 0) this.takeOverParts(parts, this.takeOver, group);
    else for (const part of parts) this.readPage(part, target);
    const version = Math.max(this.index.get(id)?.version ?? 0, ...parts.map((part) => part.version ?? 0));
    group.completeTo = version;
    for (const delta of this.pending.get(id) ?? []) {
      if (delta.seq <= version) continue;
      new RowReader(new ByteReader(delta.bytes), delta.run).apply(target, delta.mapping);
      group.droppedAt = delta.seq;
    }
    this.forgetPending(id);
    group.sizeBytes = parts.reduce((sum, part) => sum + part.bytes.length, 0);
    for (const row of group.rows) this.settleLoaded(row);
  }

  private targetOf(row: (key: Key) => Row): RowTarget {
    const { ttls } = this;
    return ttls === undefined ? { row } : { row, mayBeGone: (state) => ttls[state] !== undefined };
  }

  private takeOverParts(
    parts: readonly LoadedPart[],
    takeOver: (parts: readonly Row[], row: Row) => void,
    group: KeyGroupState,
  ): void {
    const rows = parts.map((part) => {
      const row = new Row(0, 0, new KeyGroupState(0));
      this.readPage(part, { row: () => row });
      return row;
    });
    takeOver(rows, this.rowFor(0, group));
  }

  private readPage(part: LoadedPart, target: RowTarget): void {
    const rows = new RowReader(new ByteReader(part.bytes));
    const mapping = this.mappingOf(part.schema);
    while (!rows.done) rows.apply(target, mapping);
  }

  private rowFor(key: Key, group: KeyGroupState): Row {
    const known = this.known(key);
    if (known !== undefined) return known;
    const row = new Row(key, hashOf(key, this.hashing), group);
    this.keep(row);
    return row;
  }

  /** Rows outside the task's own range are left out: a shard may be split in the middle of a key group. */
  private settleLoaded(row: Row): void {
    if (row.empty || !this.owns(row)) return this.drop(row);
    this.settleRead(row);
  }

  private settleRead(row: Row): void {
    for (const cell of row.cells) cell.settle();
    row.settleRow();
    row.usedAt = this.turn;
    this.schedule(row);
  }

  private owns(row: Row): boolean {
    if (this.takeOver !== undefined) return true;
    const from = this.range.from >> 96n;
    const to = this.range.to >> 96n;
    const hash = BigInt(row.hash);
    if (hash > from && hash < to) return true;
    const whole = hashKeyOf(row.key, this.hashing);
    return whole >= this.range.from && whole <= this.range.to;
  }

  private drop(row: Row): void {
    row.idle = false;
    const { key } = row;
    if (typeof key === "string") this.texts.delete(key);
    else if (typeof key === "object") this.tuples.delete(tupleIdentity(key));
    else this.scalars.delete(key);
    row.group.remove(row);
    this.unschedule(row);
  }

  private unschedule(row: Row): void {
    this.eventTimers.remove(row);
    if (row.hasProcessing) this.processingTimers.remove(row.processing);
  }

  /** Puts the row at its earliest timers. */
  schedule(row: Row): void {
    const event = row.earliest(this.retentionMs);
    if (event !== Infinity) this.eventTimers.schedule(row, event);
    if (row.timers.length === 0) return;
    const processing = row.earliestOf("processingTime");
    if (processing !== Infinity) this.processingTimers.schedule(row.processing, processing);
  }

  markDirty(row: Row): void {
    if (row.listed) return;
    row.listed = true;
    this.dirtyRows[this.dirtyCount++] = row;
  }

  /** Whether a row may have changed since the last commit. */
  get isDirty(): boolean {
    return this.dirtyCount > 0;
  }

  /** Takes all state of a key away. */
  clear(row: Row): void {
    while (row.present) row.forget(row);
    this.markDirty(row);
  }

  /** Writes the changes of all dirty rows, which commit `seq` will hold, and settles them. Returns how many rows it wrote. */
  writeChanges(writer: RowWriter, seq: Seq): number {
    const { dirtyRows } = this;
    writer.startRun();
    let written = 0;
    for (let i = 0; i < this.dirtyCount; i++) {
      if (i % rowsAhead === 0) this.touched += touchRows(dirtyRows, i, Math.min(i + rowsAhead, this.dirtyCount));
      const row = dirtyRows[i] as Row;
      dirtyRows[i] = undefined;
      const { thinned } = row;
      const wrote = writer.writeChange(row);
      if (wrote) written++;
      if (wrote || thinned) row.changedAt = seq;
      if (row.empty && !row.idle) this.noteIdle(row);
    }
    this.dirtyCount = 0;
    if (this.dropsEmptyRows || ++this.commits % idleCommits === 0) this.dropIdle();
    return written;
  }

  private noteIdle(row: Row): void {
    row.idle = true;
    this.idleRows.push(row);
  }

  /** Drops the rows that are still empty after one to two rounds: a key whose window has closed mostly opens its next one soon. */
  private dropIdle(): void {
    for (const row of this.idleBefore) {
      if (!row.idle) continue;
      row.idle = false;
      if (row.empty) this.dropEmpty(row);
    }
    this.idleBefore = this.idleRows;
    this.idleRows = [];
  }

  /** What is stored of it may be more: its group goes on to say when it has changed. */
  private dropEmpty(row: Row): void {
    const { group, changedAt } = row;
    group.droppedAt = Math.max(group.droppedAt, changedAt);
    this.drop(row);
  }

  /** Lays the rows of a commit written elsewhere over this state (catch-up). */
  applyChanges(seq: Seq, schema: string, bytes: Uint8Array): void {
    const rows = new RowReader(new ByteReader(bytes));
    const mapping = this.mappingOf(schema);
    while (!rows.done) this.applyChange(rows, seq, mapping);
  }

  private applyChange(rows: RowReader, seq: Seq, mapping: SchemaMapping | undefined): void {
    const { reader, run } = rows;
    const start = reader.at;
    const timers = { eventTime: Infinity, processingTime: Infinity };
    const key = rows.skip((domain, at) => {
      timers[domain] = Math.min(timers[domain], at);
    }, this.retentionMs);
    const id = this.groupOf(hashOf(key, this.hashing));
    const group = this.groups.get(id) ?? (this.index.has(id) || this.pending.has(id) ? undefined : this.loadedGroup(id));
    if (group === undefined)
      return this.defer(id, { seq, bytes: reader.buffer.subarray(start, reader.at), run, mapping }, timers);
    if (seq <= group.completeTo) return;
    rows.returnTo(start, run);
    const row = rows.apply(
      this.targetOf((rowKey) => this.rowFor(rowKey, group)),
      mapping,
    );
    group.droppedAt = seq;
    if (row.empty) this.drop(row);
    else this.settleRead(row);
  }

  private defer(id: KeyGroup, delta: PendingDelta, timers: { eventTime: number; processingTime: number }): void {
    const waiting = this.pending.get(id);
    if (waiting === undefined) this.pending.set(id, [delta]);
    else waiting.push(delta);
    const known = this.pendingTimers.get(id) ?? { eventTime: Infinity, processingTime: Infinity };
    known.eventTime = Math.min(known.eventTime, timers.eventTime);
    known.processingTime = Math.min(known.processingTime, timers.processingTime);
    this.pendingTimers.set(id, known);
    this.coldest = undefined;
  }

  private mappingOf(schema: string): SchemaMapping | undefined {
    if (schema === this.schema) return undefined;
    let mapping = this.mappings.get(schema);
    if (mapping === undefined) {
      mapping = mapSchema(this.operator, parseSchema(schema), this.states, this.since);
      this.mappings.set(schema, mapping);
    }
    return mapping;
  }

  // ---- writing to where rows stay ----

  /**
   * Groups that a new base must write whether or not their rows in memory have changed: those that deltas wait for, those taken over
   * together with rows of others, and with `pagesToo` those in the state table.
   */
  scattered(pagesToo: boolean): Set<KeyGroup> {
    const ids = new Set<KeyGroup>(this.pending.keys());
    for (const entry of this.index.values()) {
      const { keyGroup, parts } = entry;
      if (parts.length > 1 || this.isShared(entry) || (pagesToo && parts[0]?.kind === "page")) ids.add(keyGroup);
    }
    return ids;
  }

  /** Drops what is over at `at` (C2); the next commit says nothing of it. */
  dropOver(row: Row, at: number): void {
    if (row.dropOver(at, this.retentionMs)) this.markDirty(row);
  }

  /** Whether the group holds what is over at `at` without having it in memory, where it would go by itself. */
  liesWithOver({ keyGroup, earliestEventTimer }: IndexEntry, at: number): boolean {
    return this.retentionMs < Infinity && earliestEventTimer <= at && !this.groups.has(keyGroup);
  }

  /**
   * Drops from the group what has expired (E2), or is over at the watermark `at` (C2), before it is written to where it stays. The state
   * must stand at a commit.
   */
  dropExpired(group: KeyGroupState, now: number, at: number): void {
    const retains = this.retentionMs > 0 && this.retentionMs < Infinity;
    if (this.ttls === undefined && !retains) return;
    for (let row = group.first; row !== undefined;) {
      const { next } = row;
      if (this.ttls !== undefined) dropExpired(row, this.ttls, now);
      if (retains && row.dropOver(at, this.retentionMs)) row.settleRow();
      if (row.empty && !row.idle) this.dropEmpty(row);
      row = next;
    }
  }

  /** When it is worth writing the group again for what will have expired by then (E3). */
  cleanAt(group: KeyGroupState): number {
    if (this.ttls === undefined) return Infinity;
    const expiries: number[] = [];
    for (let row = group.first; row !== undefined; row = row.next) noteExpiries(row, this.ttls, expiries);
    return halfExpiredAt(expiries);
  }

  /**
   * Whether a group is worth writing again: for what has expired in it, or because it was written under a schema that must not stay
   * (`isOutdated`).
   */
  mustClean(entry: IndexEntry, now: number): boolean {
    return entry.cleanAt <= now || entry.parts.some((part) => this.isOutdated(part.schema));
  }

  /**
   * Whether bytes of this schema hold states that are no longer declared, which would come back if one of that name was declared again,
   * or have no times of writing where there must be some.
   */
  private isOutdated(schema: string): boolean {
    if (schema === this.schema) return false;
    let outdated = this.outdated.get(schema);
    if (outdated === undefined) {
      outdated = parseSchema(schema).some(({ name, ttl }) => {
        const declared = this.states.get(name);
        return declared === undefined || (declared.ttl !== undefined && ttl === undefined);
      });
      this.outdated.set(schema, outdated);
    }
    return outdated;
  }

  /** Whether the group's durable copy lacks something that its rows have. */
  isBehind(group: KeyGroupState): boolean {
    return group.hasChangedSince(this.index.get(group.id)?.version ?? 0);
  }

  /**
   * Whether the stored copy was taken over from before (version 0) and may hold rows of a neighbour, whose range the key group also
   * lies in: handed on as it is, it would bring back what the neighbour has changed since, when both are joined again.
   */
  private isShared({ keyGroup, version }: IndexEntry): boolean {
    if (version > 0) return false;
    if (this.takeOver !== undefined) return true;
    const width = 1n << BigInt(96 + this.shift);
    const from = BigInt(keyGroup) * width;
    return from < this.range.from || from + width - 1n > this.range.to;
  }

  /** Notes as missing those of the groups that are not loaded. */
  wantGroups(ids: Iterable<KeyGroup>): void {
    for (const id of ids) if (!this.groups.has(id)) this.missing.add(id);
  }

  /** The groups in memory in the order of their ids, so that neighbours lie side by side where they are written. */
  groupsInOrder(): readonly KeyGroupState[] {
    return this.groups.values();
  }

  group(id: KeyGroup): KeyGroupState | undefined {
    return this.groups.get(id);
  }

  /** How many rows are in memory. */
  get rowCount(): number {
    return this.texts.size + this.scalars.size + this.tuples.size;
  }

  /** Says where a group's durable copy now lies; `undefined`: it is empty and needs none. */
  place(id: KeyGroup, entry: IndexEntry | undefined): void {
    if (entry === undefined) this.index.delete(id);
    else this.index.set(id, entry);
    if (!this.groups.has(id)) this.coldest = undefined;
  }

  /**
   * Takes over the index of a base that another environment wrote at `seq`, at which this store has arrived or which lies behind it
   * (catch-up): what it no longer refers to may be collected. Newer pages of this store stay.
   */
  adopt(index: OperatorIndex | undefined, seq: Seq): void {
    for (const entry of this.index.values())
      if (entry.version <= seq && index?.has(entry.keyGroup) !== true) this.index.delete(entry.keyGroup);
    for (const entry of index?.values() ?? [])
      if ((this.index.get(entry.keyGroup)?.version ?? 0) <= seq) this.index.set(entry.keyGroup, entry);
    for (const [id, deltas] of this.pending) {
      const left = deltas.filter((delta) => delta.seq > seq);
      if (left.length > 0) this.pending.set(id, left);
      else this.forgetPending(id);
    }
    this.coldest = undefined;
  }

  private forgetPending(id: KeyGroup): void {
    this.pending.delete(id);
    this.pendingTimers.delete(id);
  }

  /** Drops a group's rows from memory. Its durable copy must not be behind. */
  evict(id: KeyGroup): void {
    const group = this.groups.get(id);
    if (group === undefined) return;
    const stored = this.index.get(id);
    assert(
      stored === undefined ? group.isEmpty : !group.hasChangedSince(stored.version),
      `key group ${id} of ${this.operator} is evicted before it is stored`,
    );
    for (const row of group.rows) this.drop(row);
    this.groups.delete(id);
    this.coldest = undefined;
  }

  // ---- taking back a unit of work ----

  /** From now on, rows are copied when they are first touched. */
  startUnit(): void {
    this.copies = new Map();
  }

  /** Throws `invalid` when a row that the unit has touched cannot be stored. */
  checkUnit(): void {
    const scratch = new RowWriter(new ByteWriter(256));
    for (const row of this.copies?.keys() ?? []) scratch.writeRow(row);
  }

  endUnit(): void {
    this.copies = undefined;
  }

  /** Brings every row touched in the unit back to what it was. */
  undoUnit(): void {
    for (const [row, copy] of this.copies ?? []) {
      row.restore(copy);
      this.unschedule(row);
      this.schedule(row);
      this.markDirty(row);
    }
    this.copies = undefined;
  }

  private keepCopy(row: Row): void {
    if (this.copies?.has(row) === false) this.copies.set(row, row.copyRow());
  }
}

function earliestOf(entry: IndexEntry, domain: "eventTime" | "processingTime"): number {
  return domain === "eventTime" ? entry.earliestEventTimer : entry.earliestProcessingTimer;
}
