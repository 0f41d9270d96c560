/** Reads rows and their changes (row-format.ts). Owns what the run has said last; rows are found by whoever reads. */
import type { Key } from "../api/key.ts";
import { type ByteReader, corrupt } from "../base/byte-reader.ts";
import { readValue } from "../base/message-pack.ts";
import type { Cell } from "./cell.ts";
import { keyProblem } from "./key.ts";
import { globalNamespace, type Namespace, voidNamespace } from "./namespace.ts";
import { flag, namespaceForm, op, opMask, sliceForm, timeForm } from "./row-format.ts";
import type { Row } from "./row.ts";
import type { SchemaMapping } from "./schema.ts";
import { SliceTable } from "./slice-table.ts";
import { Timer, type TimerDomain } from "./timer.ts";

/** What a row must answer while operations are laid over it. */
export interface RowTarget {
  row(key: Key): Row;
  /** Whether contents of the state may have been left out where they were stored: they had expired (E2). */
  mayBeGone?(state: number): boolean;
}

/** What a run has said before one of its rows: with it, that row can be read alone. */
export interface RunState {
  readonly namespace: Namespace;
  readonly start: number;
}

const runStart: RunState = { namespace: voidNamespace, start: 0 };

interface TimerKey {
  readonly at: number;
  readonly namespace: Namespace;
}

interface CellRead {
  readonly state: number;
  readonly namespace: Namespace;
  readonly known: Cell | undefined;
  readonly migrate: ((value: any) => any) | undefined;
}

export class RowReader {
  readonly reader: ByteReader;
  private namespace: Namespace;
  private start: number;

  constructor(reader: ByteReader, run = runStart) {
    this.reader = reader;
    this.namespace = run.namespace;
    this.start = run.start;
  }

  get done(): boolean {
    return this.reader.done;
  }

  /** How the run stands before the next row. */
  get run(): RunState {
    return { namespace: this.namespace, start: this.start };
  }

  /** Goes back to where the next row began. */
  returnTo(at: number, run: RunState): void {
    this.reader.at = at;
    this.namespace = run.namespace;
    this.start = run.start;
  }

  /** Lays one row's operations over it. `mapping` undefined: the bytes were written under today's schema. */
  apply(target: RowTarget, mapping: SchemaMapping | undefined): Row {
    const row = target.row(this.readKey());
    for (;;) {
      const code = this.reader.u8();
      this.applyOp(row, code, mapping, target);
      if ((code & flag.last) !== 0) return row;
    }
  }

  /** Passes over one row's operations; calls `onTimer` with each time that is set, or at which contents that stay are over (C2). */
  skip(onTimer: (domain: TimerDomain, at: number) => void, retentionMs: number): Key {
    const key = this.readKey();
    for (;;) {
      const code = this.reader.u8();
      this.skipOp(code, onTimer, retentionMs);
      if ((code & flag.last) !== 0) return key;
    }
  }

  private readKey(): Key {
    const key = readValue(this.reader);
    const problem = keyProblem(key);
    if (problem !== undefined) throw corrupt(`stored ${problem}`);
    return key as Key;
  }

  private readNamespace(flagged: number): Namespace {
    if ((flagged & flag.sameNamespace) !== 0) return this.namespace;
    this.namespace = this.readOther();
    return this.namespace;
  }

  private readOther(): Namespace {
    const { reader } = this;
    const form = reader.u8();
    if (form === namespaceForm.none) return voidNamespace;
    if (form === namespaceForm.global) return globalNamespace;
    if (form === namespaceForm.infinite) return { start: reader.f64(), end: reader.f64() };
    if (form !== namespaceForm.near) throw corrupt(`unknown namespace form ${form}`);
    const start = this.start + reader.int();
    this.start = start;
    return { start, end: start + reader.int() };
  }

  private readStoredName(flagged: number, namespace: Namespace): Namespace {
    if ((flagged & flag.renamed) === 0) return namespace;
    return { start: namespace.start + this.reader.int(), end: namespace.end + this.reader.int() };
  }

  // ---- cells ----

  private applyOp(row: Row, flagged: number, mapping: SchemaMapping | undefined, target: RowTarget): void {
    const code = flagged & opMask;
    if (isTimerOp(code)) return this.applyTimer(row, code, flagged);
    const stored = this.reader.u8();
    const namespace = this.readNamespace(flagged);
    const from = this.readStoredName(flagged, namespace);
    const state = mapping === undefined ? stored : mapping.index[stored];
    const migrate = mapping?.migrate[stored];
    if (state === undefined) return this.skipPayload(code);
    if (from !== namespace) forgetLeftover(row, state, namespace);
    let known = row.find(state, from);
    if (known === undefined && changesCell(code) && target.mayBeGone?.(state) === true) {
      if (code === op.keep || code === op.deleteEntry) return this.skipPayload(code);
      known = row.make(state, from, code === op.append ? "list" : "map", code === op.append ? [] : new Map());
      known.stored = true;
    }
    if (from !== namespace && known !== undefined) renameRead(row, known, namespace);
    const cell = this.applyToCell(row, code, { state, namespace, known, migrate });
    if (cell === undefined) return;
    cell.endTimer = (flagged & flag.endTimer) !== 0;
    row.noteChange(cell);
  }

  /** Returns the cell as it is afterwards; undefined when it has gone. */
  private applyToCell(row: Row, code: number, read: CellRead): Cell | undefined {
    const { reader } = this;
    const { known, migrate } = read;
    switch (code) {
      case op.put:
        return setCell(row, read, "value", migrated(readValue(reader), migrate));
      case op.replace:
        return setCell(row, read, "list", this.readItems([], migrate));
      case op.putMap:
        return setCell(row, read, "map", this.readEntries(migrate));
      case op.delete:
        if (known !== undefined) forgetRead(row, known);
        return undefined;
      case op.append:
        if (!Array.isArray(known?.value)) throw corrupt("list elements added to a list that is not there");
        this.readItems(known.value, migrate);
        known.storedLength = known.value.length;
        return known;
      case op.putEntry:
        if (!(known?.value instanceof Map)) throw corrupt("map entry put into a map that is not there");
        known.value.set(readValue(reader), migrated(readValue(reader), migrate));
        return known;
      case op.deleteEntry:
        if (!(known?.value instanceof Map)) throw corrupt("map entry deleted from a map that is not there");
        known.value.delete(readValue(reader));
        return known;
      case op.putSlices:
        return setCell(row, read, "slices", this.readSlices(new SliceTable(), read.namespace, migrate));
      case op.changeSlices:
        if (!(known?.value instanceof SliceTable)) throw corrupt("slices changed of a state that has none");
        this.readSlices(known.value, read.namespace, migrate);
        return known;
      case op.keep:
        if (known === undefined) throw corrupt("a state is kept that is not there");
        return known;
      default:
        throw corrupt(`unknown row operation ${code}`);
    }
  }

  private readItems(into: unknown[], migrate: ((value: any) => any) | undefined): unknown[] {
    const count = this.reader.count();
    for (let i = 0; i < count; i++) into.push(migrated(readValue(this.reader), migrate));
    return into;
  }

  private readSlices(into: SliceTable, { start }: Namespace, migrate: ((value: any) => any) | undefined): SliceTable {
    const { reader } = this;
    const form = reader.u8();
    if (form > (sliceForm.gone | sliceForm.far)) throw corrupt(`unknown form of slices ${form}`);
    const far = (form & sliceForm.far) !== 0;
    let count = reader.count();
    let last = start;
    if ((form & sliceForm.gone) !== 0) into.dropBefore((last = far ? reader.f64() : last + reader.int()));
    for (; count > 0; count--) {
      last = far ? reader.f64() : last + reader.int();
      into.put(last, migrated(readValue(reader), migrate));
    }
    return into;
  }

  private readEntries(migrate: ((value: any) => any) | undefined): Map<unknown, unknown> {
    const { reader } = this;
    const entries = new Map<unknown, unknown>();
    const count = reader.count();
    for (let i = 0; i < count; i++) entries.set(readValue(reader), migrated(readValue(reader), migrate));
    return entries;
  }

  private skipOp(flagged: number, onTimer: (domain: TimerDomain, at: number) => void, retentionMs: number): void {
    const code = flagged & opMask;
    if (isTimerOp(code)) {
      const { at } = this.readTimer(flagged);
      if (code === op.setEvent) onTimer("eventTime", at);
      else if (code === op.setProcessing) onTimer("processingTime", at);
      return;
    }
    this.reader.u8();
    const namespace = this.readNamespace(flagged);
    this.readStoredName(flagged, namespace);
    onTimer("eventTime", namespace.end - 1 + ((flagged & flag.endTimer) !== 0 ? 0 : retentionMs));
    this.skipPayload(code);
  }

  private skipPayload(code: number): void {
    const { reader } = this;
    switch (code) {
      case op.put:
      case op.deleteEntry:
        readValue(reader);
        return;
      case op.putEntry:
        readValue(reader);
        readValue(reader);
        return;
      case op.append:
      case op.replace:
        this.readItems([], undefined);
        return;
      case op.putMap:
        this.readEntries(undefined);
        return;
      case op.putSlices:
      case op.changeSlices:
        this.readSlices(new SliceTable(), voidNamespace, undefined);
        return;
      case op.delete:
      case op.keep:
        return;
      default:
        throw corrupt(`unknown row operation ${code}`);
    }
  }

  // ---- timers ----

  private readTimer(flagged: number): TimerKey {
    const { reader } = this;
    const form = reader.u8();
    if (form > timeForm.any) throw corrupt(`unknown timer form ${form}`);
    const at = form === timeForm.whole ? reader.int() : form === timeForm.any ? reader.f64() : undefined;
    const namespace = this.readNamespace(flagged);
    return { at: at ?? namespace.end - 1, namespace };
  }

  private applyTimer(row: Row, code: number, flagged: number): void {
    const { at, namespace } = this.readTimer(flagged);
    const domain = code === op.setEvent || code === op.cancelEvent ? "eventTime" : "processingTime";
    const known = row.findTimer(domain, at, namespace);
    if (code === op.setEvent || code === op.setProcessing) {
      if (known !== undefined) return;
      const timer = new Timer(domain, at, namespace);
      timer.stored = true;
      row.addTimer(timer);
    } else if (known !== undefined) row.dropTimer(known);
  }
}

function isTimerOp(code: number): boolean {
  return code >= op.setEvent && code <= op.cancelProcessing;
}

/** What had expired here was dropped by the writer without a word (E2), so that another could take its place. */
function forgetLeftover(row: Row, state: number, namespace: Namespace): void {
  const leftover = row.find(state, namespace);
  if (leftover !== undefined) forgetRead(row, leftover);
}

/** Whether the operation builds on contents that are there. */
function changesCell(code: number): boolean {
  return code === op.append || code === op.putEntry || code === op.deleteEntry || code === op.keep;
}

function migrated(value: unknown, migrate: ((value: any) => any) | undefined): unknown {
  return migrate === undefined ? value : migrate(value);
}

function renameRead(row: Row, cell: Cell, namespace: Namespace): void {
  row.renameCell(cell, namespace);
  cell.forgetStoredName();
}

function setCell(row: Row, { state, namespace, known }: CellRead, kind: Cell["kind"], value: any): Cell {
  if (known !== undefined) forgetRead(row, known);
  const cell = row.make(state, namespace, kind, value);
  cell.stored = true;
  if (kind === "list") cell.storedLength = value.length;
  return cell;
}

/** Takes away what the durable state has no longer. */
function forgetRead(row: Row, cell: Cell): void {
  cell.stored = false;
  row.forget(cell);
}
