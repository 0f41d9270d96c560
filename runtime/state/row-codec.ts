/**
 * Rows as bytes: the delta of a commit, and a key group's page.
 *
 * A delta is a list of operations on one row; a page holds whole rows. Both name states by index into the schema beside them.
 * B1 Operations of a row are written deletes first, so a state that was cleared and set again ends up set.
 * B3 Every operation on a cell that stays says whether the timer at its window's end is set.
 * B2 Whatever the bytes, reading ends with rows or `corrupt`.
 */
import type { Key } from "../api/key.ts";
import { ByteReader, corrupt } from "../base/byte-reader.ts";
import { type ByteWriter, fitsInt } from "../base/byte-writer.ts";
import { readValue, writeValue } from "../base/message-pack.ts";
import { keyProblem } from "./key.ts";
import type { Cell } from "./cell.ts";
import { globalNamespace, type Namespace, voidNamespace } from "./namespace.ts";
import type { DeletedCell, Row } from "./row.ts";
import type { SchemaMapping } from "./schema.ts";
import { Timer, type TimerDomain } from "./timer.ts";

const op = {
  end: 0,
  put: 1,
  delete: 2,
  append: 3,
  putEntry: 4,
  deleteEntry: 5,
  setEvent: 6,
  setProcessing: 7,
  cancelEvent: 8,
  cancelProcessing: 9,
  replace: 10,
  putMap: 11,
  /** Nothing but what the flags say. */
  keep: 12,
} as const;

/** Added to the code of every operation on a cell that stays: how it stands afterwards. */
const flag = { endTimer: 0x10, renamed: 0x20 } as const;
const opMask = 0x0f;

/** What a row must answer while operations are laid over it. */
export interface RowTarget {
  row(key: Key): Row;
  /** Whether contents of the state may have been left out where they were stored: they had expired (E2). */
  mayBeGone?(state: number): boolean;
}

/** Writes what has changed in the row, and settles it. Nothing is written when nothing has changed. Returns true when it wrote. */
export function writeDelta(writer: ByteWriter, row: Row): boolean {
  const start = writer.length;
  writeValue(writer, row.key);
  const opsFrom = writer.length;
  const { deleted, others, touchedTimers } = row;
  for (let i = 0; i < deleted.length; i++) writeDelete(writer, deleted[i] as DeletedCell);
  if (!row.present && row.stored) writeDelete(writer, { state: row.state, namespace: row.storedNamespace ?? row.namespace });
  if (row.present && row.unsettled) writeCellChange(writer, row);
  for (let i = 0; i < others.length; i++) if ((others[i] as Cell).unsettled) writeCellChange(writer, others[i] as Cell);
  for (let i = 0; i < touchedTimers.length; i++) writeTimerChange(writer, touchedTimers[i] as Timer);
  row.settleRow();
  if (writer.length === opsFrom) {
    writer.length = start;
    return false;
  }
  writer.u8(op.end);
  return true;
}

function writeDelete(writer: ByteWriter, { state, namespace }: DeletedCell): void {
  writer.u8(op.delete);
  writer.u8(state);
  writeNamespace(writer, namespace);
}

/** `code`, the state and its namespace; the namespace under which it is stored when that is another. */
function writeCellHead(writer: ByteWriter, code: number, cell: Cell): void {
  const { storedNamespace } = cell;
  writer.reserve(40);
  writer.u8(code | (cell.endTimer ? flag.endTimer : 0) | (storedNamespace === undefined ? 0 : flag.renamed));
  writer.u8(cell.state);
  writeNamespace(writer, cell.namespace);
  if (storedNamespace === undefined) return;
  writeNamespace(writer, storedNamespace);
  cell.storedNamespace = undefined; // said once
}

/** 0: no window; 1: [start, end) as numbers; 2: with an edge that is none; 3: the window for all time. */
function writeNamespace(writer: ByteWriter, namespace: Namespace): void {
  if (namespace === voidNamespace) return writer.u8(0);
  const { start, end } = namespace;
  if (fitsInt(start) && fitsInt(end - start)) {
    writer.u8(1);
    writer.int(start);
    return writer.int(end - start);
  }
  if (start === globalNamespace.start && end === globalNamespace.end) return writer.u8(3);
  writer.u8(2);
  writer.f64(start);
  writer.f64(end);
}

function writeCellChange(writer: ByteWriter, cell: Cell): void {
  if (cell.dirty) writeContentsChange(writer, cell);
  else writeCellHead(writer, op.keep, cell);
  cell.settle();
}

function writeContentsChange(writer: ByteWriter, cell: Cell): void {
  if (cell.kind === "value") {
    writeCellHead(writer, op.put, cell);
    return writeValue(writer, cell.value);
  }
  if (cell.changed !== undefined) return writeMapChange(writer, cell, cell.changed);
  if (cell.storedLength > 0 && !cell.replaced) {
    writeCellHead(writer, op.append, cell);
    return writeItems(writer, cell.value, cell.storedLength);
  }
  writeCell(writer, cell);
}

function writeItems(writer: ByteWriter, items: readonly unknown[], from: number): void {
  writer.uint(items.length - from);
  for (let i = from; i < items.length; i++) writeValue(writer, items[i]);
}

function writeMapChange(writer: ByteWriter, cell: Cell, changed: Set<unknown>): void {
  if (!cell.stored) return writeCell(writer, cell);
  for (const key of changed) {
    const present = cell.value.has(key);
    writeCellHead(writer, present ? op.putEntry : op.deleteEntry, cell);
    writeValue(writer, key);
    if (present) writeValue(writer, cell.value.get(key));
  }
}

/** The whole contents of a cell. */
function writeCell(writer: ByteWriter, cell: Cell): void {
  const { value } = cell;
  if (cell.kind === "map") {
    writeCellHead(writer, op.putMap, cell);
    writer.uint(value.size);
    for (const [key, item] of value) {
      writeValue(writer, key);
      writeValue(writer, item);
    }
  } else if (cell.kind === "list") {
    writeCellHead(writer, op.replace, cell);
    writeItems(writer, value, 0);
  } else {
    writeCellHead(writer, op.put, cell);
    writeValue(writer, value);
  }
}

function writeTimerChange(writer: ByteWriter, timer: Timer): void {
  if (timer.live === timer.stored) return;
  writeTimer(writer, timer, timer.live);
}

/** The time's form: 0: just before its window ends (most are); 1: a whole number; 2: any other. */
function writeTimer(writer: ByteWriter, timer: Timer, set: boolean): void {
  const event = timer.domain === "eventTime";
  writer.reserve(24);
  writer.u8(set ? (event ? op.setEvent : op.setProcessing) : event ? op.cancelEvent : op.cancelProcessing);
  if (timer.at === timer.namespace.end - 1) writer.u8(0);
  else if (fitsInt(timer.at)) {
    writer.u8(1);
    writer.int(timer.at);
  } else {
    writer.u8(2);
    writer.f64(timer.at);
  }
  writeNamespace(writer, timer.namespace);
}

/** Writes a whole row, for a page. */
export function writeRow(writer: ByteWriter, row: Row): void {
  writeValue(writer, row.key);
  const { others, timers } = row;
  if (row.present) writeCell(writer, row);
  for (let i = 0; i < others.length; i++) writeCell(writer, others[i] as Cell);
  for (let i = 0; i < timers.length; i++) writeTimer(writer, timers[i] as Timer, true);
  writer.u8(op.end);
}

/** Lays one row's operations over it. `mapping` undefined: the bytes were written under today's schema. */
export function readDelta(reader: ByteReader, target: RowTarget, mapping: SchemaMapping | undefined): Row {
  const row = target.row(readKey(reader));
  for (let code = reader.u8(); code !== op.end; code = reader.u8()) applyOp(reader, row, code, mapping, target);
  return row;
}

/** Passes over one row's operations; calls `onTimer` with each time that is set. */
export function skipDelta(reader: ByteReader, onTimer: (domain: TimerDomain, at: number) => void): Key {
  const key = readKey(reader);
  for (let code = reader.u8(); code !== op.end; code = reader.u8()) skipOp(reader, code, onTimer);
  return key;
}

function readKey(reader: ByteReader): Key {
  const key = readValue(reader);
  const problem = keyProblem(key);
  if (problem !== undefined) throw corrupt(`stored ${problem}`);
  return key as Key;
}

/** The window read last: neighbours mostly share it. */
let lastRead: Namespace = voidNamespace;

function readNamespace(reader: ByteReader): Namespace {
  const form = reader.u8();
  if (form === 0) return voidNamespace;
  if (form === 3) return globalNamespace;
  if (form !== 1 && form !== 2) throw corrupt(`unknown namespace form ${form}`);
  const start = form === 1 ? reader.int() : reader.f64();
  const end = form === 1 ? start + reader.int() : reader.f64();
  if (lastRead.start !== start || lastRead.end !== end) lastRead = { start, end };
  return lastRead;
}

interface TimerKey {
  readonly at: number;
  readonly namespace: Namespace;
}

function readTimer(reader: ByteReader): TimerKey {
  const form = reader.u8();
  if (form > 2) throw corrupt(`unknown timer form ${form}`);
  const at = form === 1 ? reader.int() : form === 2 ? reader.f64() : undefined;
  const namespace = readNamespace(reader);
  return { at: at ?? namespace.end - 1, namespace };
}

function applyOp(reader: ByteReader, row: Row, flagged: number, mapping: SchemaMapping | undefined, target: RowTarget): void {
  const code = flagged & opMask;
  if (isTimerOp(code)) return applyTimer(reader, row, code);
  const stored = reader.u8();
  const namespace = readNamespace(reader);
  const from = (flagged & flag.renamed) === 0 ? namespace : readNamespace(reader);
  const state = mapping === undefined ? stored : mapping.index[stored];
  const migrate = mapping?.migrate[stored];
  if (state === undefined) return skipPayload(reader, code);
  if (from !== namespace) forgetLeftover(row, state, namespace);
  let known = row.find(state, from);
  if (known === undefined && changesCell(code) && target.mayBeGone?.(state) === true) {
    if (code === op.keep || code === op.deleteEntry) return skipPayload(reader, code);
    known = row.make(state, from, code === op.append ? "list" : "map", code === op.append ? [] : new Map());
    known.stored = true;
  }
  if (from !== namespace && known !== undefined) renameRead(row, known, namespace);
  const cell = applyToCell(reader, row, code, { state, namespace, known, migrate });
  if (cell !== undefined) cell.endTimer = (flagged & flag.endTimer) !== 0;
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

interface CellRead {
  readonly state: number;
  readonly namespace: Namespace;
  readonly known: Cell | undefined;
  readonly migrate: ((value: any) => any) | undefined;
}

/** Returns the cell as it is afterwards; undefined when it has gone. */
function applyToCell(reader: ByteReader, row: Row, code: number, read: CellRead): Cell | undefined {
  const { known, migrate } = read;
  switch (code) {
    case op.put:
      return setCell(row, read, "value", migrated(readValue(reader), migrate));
    case op.replace:
      return setCell(row, read, "list", readItems(reader, [], migrate));
    case op.putMap:
      return setCell(row, read, "map", readEntries(reader, migrate));
    case op.delete:
      if (known !== undefined) forgetRead(row, known);
      return undefined;
    case op.append:
      if (!Array.isArray(known?.value)) throw corrupt("list elements added to a list that is not there");
      readItems(reader, known.value, migrate);
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
    case op.keep:
      if (known === undefined) throw corrupt("a state is kept that is not there");
      return known;
    default:
      throw corrupt(`unknown row operation ${code}`);
  }
}

function renameRead(row: Row, cell: Cell, namespace: Namespace): void {
  row.renameCell(cell, namespace);
  cell.storedNamespace = undefined;
}

function migrated(value: unknown, migrate: ((value: any) => any) | undefined): unknown {
  return migrate === undefined ? value : migrate(value);
}

function readItems(reader: ByteReader, into: unknown[], migrate: ((value: any) => any) | undefined): unknown[] {
  const count = reader.count();
  for (let i = 0; i < count; i++) into.push(migrated(readValue(reader), migrate));
  return into;
}

function readEntries(reader: ByteReader, migrate: ((value: any) => any) | undefined): Map<unknown, unknown> {
  const entries = new Map<unknown, unknown>();
  const count = reader.count();
  for (let i = 0; i < count; i++) entries.set(readValue(reader), migrated(readValue(reader), migrate));
  return entries;
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

function isTimerOp(code: number): boolean {
  return code >= op.setEvent && code <= op.cancelProcessing;
}

function applyTimer(reader: ByteReader, row: Row, code: number): void {
  const { at, namespace } = readTimer(reader);
  const domain = code === op.setEvent || code === op.cancelEvent ? "eventTime" : "processingTime";
  const known = row.findTimer(domain, at, namespace);
  if (code === op.setEvent || code === op.setProcessing) {
    if (known !== undefined) return;
    const timer = new Timer(domain, at, namespace);
    timer.stored = true;
    row.addTimer(timer);
  } else if (known !== undefined) row.dropTimer(known);
}

function skipOp(reader: ByteReader, flagged: number, onTimer: (domain: TimerDomain, at: number) => void): void {
  const code = flagged & opMask;
  if (isTimerOp(code)) {
    const { at } = readTimer(reader);
    if (code === op.setEvent) onTimer("eventTime", at);
    else if (code === op.setProcessing) onTimer("processingTime", at);
    return;
  }
  reader.u8();
  const { end } = readNamespace(reader);
  if ((flagged & flag.renamed) !== 0) readNamespace(reader);
  if ((flagged & flag.endTimer) !== 0) onTimer("eventTime", end - 1);
  skipPayload(reader, code);
}

function skipPayload(reader: ByteReader, code: number): void {
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
      readItems(reader, [], undefined);
      return;
    case op.putMap:
      readEntries(reader, undefined);
      return;
    case op.delete:
    case op.keep:
      return;
    default:
      throw corrupt(`unknown row operation ${code}`);
  }
}
