/** Writes rows and their changes (row-format.ts). Owns what the run has said last; the bytes are the caller's. */
import { type ByteWriter, fitsInt } from "../base/byte-writer.ts";
import { writeValue } from "../base/message-pack.ts";
import type { Cell } from "./cell.ts";
import { globalNamespace, type Namespace, sameNamespace, voidNamespace } from "./namespace.ts";
import { flag, namespaceForm, op, sliceForm, timeForm } from "./row-format.ts";
import type { DeletedCell, Row } from "./row.ts";
import type { SliceTable } from "./slice-table.ts";
import type { Timer } from "./timer.ts";

/** More than any operation takes before its payload. */
const headBytes = 64;

export class RowWriter {
  readonly out: ByteWriter;
  /** The namespace written last in this run, and the last start of one that has one. */
  private namespace: Namespace = voidNamespace;
  private start = 0;
  /** Where the row's last operation opens; -1: it has none yet. */
  private last = -1;

  constructor(out: ByteWriter) {
    this.out = out;
  }

  /** What follows is a run of its own. */
  startRun(): void {
    this.namespace = voidNamespace;
    this.start = 0;
  }

  /** Writes what has changed in the row, and settles it. Nothing is written when nothing has changed. Returns true when it wrote. */
  writeChange(row: Row): boolean {
    const { out } = this;
    const from = out.length;
    this.startRow(row);
    if (row.changedAside) this.writeChanges(row);
    else this.writeOwnChange(row);
    row.settleRow();
    return this.endRow(from);
  }

  private writeOwnChange(row: Row): void {
    if (row.present) {
      if (row.unsettled) this.writeCellChange(row);
    } else if (row.stored) this.writeDelete(row.state, row.storedNamespace);
  }

  private writeChanges(row: Row): void {
    const { deleted, touchedTimers } = row;
    for (let i = 0; i < deleted.length; i++) {
      const { state, namespace } = deleted[i] as DeletedCell;
      this.writeDelete(state, namespace);
    }
    // Each cell looked at costs a cache miss, and windows that wait for late records are many.
    const length = row.othersChanged ? row.otherCount : 0;
    // Who reads this finds a cell by the name that it had, which another may have by now: that one comes behind it.
    const waits = row.othersRenamed && row.present && !row.renamed;
    if (!waits) this.writeOwnChange(row);
    for (let i = 0; row.othersRenamed && i < length; i++) {
      const cell = row.otherAt(i);
      if (cell.unsettled && cell.renamed) this.writeCellChange(cell);
    }
    if (waits) this.writeOwnChange(row);
    for (let i = 0; i < length; i++) {
      const cell = row.otherAt(i);
      if (cell.unsettled) this.writeCellChange(cell);
    }
    for (let i = 0; i < touchedTimers.length; i++) this.writeTimerChange(touchedTimers[i] as Timer);
  }

  /** Writes a whole row, for a page. Nothing is written of a row that has nothing. Returns true when it wrote. */
  writeRow(row: Row): boolean {
    const from = this.out.length;
    this.startRow(row);
    const { timers, otherCount } = row;
    if (row.present) this.writeCell(row);
    for (let i = 0; i < otherCount; i++) this.writeCell(row.otherAt(i));
    for (let i = 0; i < timers.length; i++) this.writeTimer(timers[i] as Timer, true);
    return this.endRow(from);
  }

  private startRow(row: Row): void {
    this.last = -1;
    writeValue(this.out, row.key);
  }

  private endRow(from: number): boolean {
    const { out, last } = this;
    if (last < 0) out.length = from;
    else out.buffer[last] = (out.buffer[last] as number) | flag.last;
    return last >= 0;
  }

  // ---- operations ----

  private writeHead(code: number, namespace: Namespace): void {
    const { out } = this;
    out.reserve(headBytes);
    this.last = out.length;
    out.u8(sameNamespace(namespace, this.namespace) ? code | flag.sameNamespace : code);
  }

  private writeNamespace(namespace: Namespace): void {
    if (sameNamespace(namespace, this.namespace)) return;
    this.namespace = namespace;
    const { out } = this;
    if (namespace === voidNamespace) return out.u8(namespaceForm.none);
    const { start, end } = namespace;
    if (fitsInt(start - this.start) && fitsInt(end - start)) {
      out.u8(namespaceForm.near);
      out.int(start - this.start);
      out.int(end - start);
      this.start = start;
      return;
    }
    if (sameNamespace(namespace, globalNamespace)) return out.u8(namespaceForm.global);
    out.u8(namespaceForm.infinite);
    out.f64(start);
    out.f64(end);
  }

  private writeDelete(state: number, namespace: Namespace): void {
    this.writeHead(op.delete, namespace);
    this.out.u8(state);
    this.writeNamespace(namespace);
  }

  /** `code`, the state and its namespace; the namespace under which it is stored when that is another. */
  private writeCellHead(code: number, cell: Cell): void {
    const { namespace, renamed } = cell;
    const timed = cell.endTimer ? code | flag.endTimer : code;
    this.writeHead(renamed ? timed | flag.renamed : timed, namespace);
    const { out } = this;
    out.u8(cell.state);
    this.writeNamespace(namespace);
    if (!renamed) return;
    // Never −0.
    out.int(0 - cell.startMoved);
    out.int(0 - cell.endMoved);
  }

  private writeCellChange(cell: Cell): void {
    if (cell.dirty) this.writeContentsChange(cell);
    else this.writeCellHead(op.keep, cell);
    cell.settle();
  }

  private writeContentsChange(cell: Cell): void {
    if (cell.kind === "value") {
      this.writeCellHead(op.put, cell);
      return writeValue(this.out, cell.value);
    }
    if (cell.kind === "slices") return this.writeSlices(cell, cell.stored);
    if (cell.changed !== undefined) return this.writeMapChange(cell, cell.changed);
    if (cell.storedLength > 0 && !cell.replaced) {
      this.writeCellHead(op.append, cell);
      return this.writeItems(cell.value, cell.storedLength);
    }
    this.writeCell(cell);
  }

  private writeItems(items: readonly unknown[], from: number): void {
    this.out.uint(items.length - from);
    for (let i = from; i < items.length; i++) writeValue(this.out, items[i]);
  }

  private writeMapChange(cell: Cell, changed: Set<unknown>): void {
    if (!cell.stored) return this.writeCell(cell);
    for (const key of changed) {
      const present = cell.value.has(key);
      this.writeCellHead(present ? op.putEntry : op.deleteEntry, cell);
      cell.forgetStoredName(); // said once
      writeValue(this.out, key);
      if (present) writeValue(this.out, cell.value.get(key));
    }
  }

  /** A state's slices; with `changes`, only what of them has changed. */
  private writeSlices(cell: Cell, changes: boolean): void {
    const table: SliceTable = cell.value;
    const { namespace } = cell;
    const from = changes ? table.firstChange : table.first;
    const count = changes ? table.changeCount : table.end - from;
    const gone = changes ? table.droppedBefore : NaN;
    this.writeCellHead(changes ? op.changeSlices : op.putSlices, cell);
    const { out } = this;
    const near =
      isNear(namespace, gone) && (count === 0 || (isNear(namespace, table.startAt(from)) && isNear(namespace, table.latest)));
    out.u8((Number.isNaN(gone) ? 0 : sliceForm.gone) | (near ? 0 : sliceForm.far));
    out.uint(count);
    let last = namespace.start;
    if (!Number.isNaN(gone)) last = this.writeTime(gone, last, near);
    for (let place = from, left = count; left > 0; place++) {
      if (changes && !table.hasChangedAt(place)) continue;
      left--;
      last = this.writeTime(table.startAt(place), last, near);
      writeValue(out, table.valueAt(place));
    }
  }

  /** Returns the time. */
  private writeTime(time: number, last: number, near: boolean): number {
    if (near) this.out.int(time - last);
    else {
      this.out.reserve(8);
      this.out.f64(time);
    }
    return time;
  }

  /** The whole contents of a cell. */
  private writeCell(cell: Cell): void {
    const { value } = cell;
    if (cell.kind === "slices") this.writeSlices(cell, false);
    else if (cell.kind === "map") {
      this.writeCellHead(op.putMap, cell);
      this.out.uint(value.size);
      for (const [key, item] of value) {
        writeValue(this.out, key);
        writeValue(this.out, item);
      }
    } else if (cell.kind === "list") {
      this.writeCellHead(op.replace, cell);
      this.writeItems(value, 0);
    } else {
      this.writeCellHead(op.put, cell);
      writeValue(this.out, value);
    }
  }

  private writeTimerChange(timer: Timer): void {
    if (timer.live !== timer.stored) this.writeTimer(timer, timer.live);
  }

  private writeTimer(timer: Timer, set: boolean): void {
    const { out } = this;
    const { at, namespace } = timer;
    const event = timer.domain === "eventTime";
    this.writeHead(set ? (event ? op.setEvent : op.setProcessing) : event ? op.cancelEvent : op.cancelProcessing, namespace);
    if (at === namespace.end - 1) out.u8(timeForm.windowEnd);
    else if (fitsInt(at)) {
      out.u8(timeForm.whole);
      out.int(at);
    } else {
      out.u8(timeForm.any);
      out.f64(at);
    }
    this.writeNamespace(namespace);
  }
}

/** So far from its window's start a time is told by its distance; those of two such times fit as well. */
const nearMost = 2 ** 50;

/** True of NaN, which is no time. */
function isNear({ start }: Namespace, time: number): boolean {
  return !(Math.abs(time - start) > nearMost);
}
