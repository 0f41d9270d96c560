/**
 * State that expires. Contents carry the processing time at which they were written: a value `[writtenAt, value]`, a list such pairs, a
 * map such pairs by key. A state without ttl has none of it.
 *
 * E1 What was written at t is expired from t + ttl on; who reads it then finds nothing (or, with relaxed visibility, finds it once).
 * E2 Expired contents are no state: whoever writes rows to where they stay leaves them out, and drops them from memory, without saying
 *    so in a commit. Operations of later commits hold whether or not they are there.
 * E3 A group lies with expired contents no longer than until half of what can expire in it has, and the next base after that.
 */
import type { TtlDeclaration } from "../api/state.ts";
import type { Cell } from "./cell.ts";
import type { Row } from "./row.ts";

/** [written at, epoch ms; value]. Plain, since it is stored as it is. */
export type Timed = readonly [writtenAt: number, value: any];

export function isExpired([writtenAt]: Timed, { afterMs }: TtlDeclaration, now: number): boolean {
  return writtenAt + afterMs <= now;
}

/** By state number. */
export type Ttls = readonly (TtlDeclaration | undefined)[];

/** Drops what has expired from a row that is settled; it stays settled. */
export function dropExpired(row: Row, ttls: Ttls, now: number): void {
  if (!row.present) return;
  const { others } = row;
  // Backwards, the row's own cell last: what takes the place of a cell that goes was looked at already.
  for (let i = others.length - 1; i >= 0; i--) dropFromCell(row, others[i] as Cell, ttls, now);
  dropFromCell(row, row, ttls, now);
}

function dropFromCell(row: Row, cell: Cell, ttls: Ttls, now: number): void {
  const ttl = ttls[cell.state];
  if (ttl === undefined || !keepsNothing(cell, ttl, now)) return;
  // A window's state goes with its window, whose timer may be a flag of the cell.
  if (cell.endTimer) return;
  cell.stored = false;
  row.forget(cell);
}

/** Thins out the cell's contents; true when nothing is left. */
function keepsNothing(cell: Cell, ttl: TtlDeclaration, now: number): boolean {
  if (cell.kind === "value") return isExpired(cell.value, ttl, now);
  if (cell.kind === "list") {
    const items: readonly Timed[] = cell.value;
    if (!items.some((item) => isExpired(item, ttl, now))) return items.length === 0;
    cell.value = items.filter((item) => !isExpired(item, ttl, now));
    cell.storedLength = cell.value.length;
    return cell.storedLength === 0;
  }
  const entries: Map<unknown, Timed> = cell.value;
  for (const [key, item] of entries) if (isExpired(item, ttl, now)) entries.delete(key);
  return entries.size === 0;
}

/** Adds the times at which the row's contents expire. */
export function noteExpiries(row: Row, ttls: Ttls, into: number[]): void {
  for (const cell of row.cells) {
    const ttl = ttls[cell.state];
    if (ttl === undefined || cell.endTimer) continue;
    if (cell.kind === "value") into.push(cell.value[0] + ttl.afterMs);
    else for (const [writtenAt] of cell.value.values() as Iterable<Timed>) into.push(writtenAt + ttl.afterMs);
  }
}

/** When half of what expires at these times has; Infinity for none. */
export function halfExpiredAt(expiries: number[]): number {
  if (expiries.length === 0) return Infinity;
  return expiries.sort((a, b) => a - b)[Math.ceil(expiries.length / 2) - 1] as number;
}
