/** Cells in the order of their windows' ends: what many windows of one key are found by. */
import type { Cell } from "./cell.ts";

/** The place of the first cell whose window ends at `end` or later. */
export function placeOf(end: number, cells: readonly Cell[]): number {
  let low = 0;
  let high = cells.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((cells[middle] as Cell).namespace.end < end) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function byEnd(a: Cell, b: Cell): number {
  return a.namespace.end - b.namespace.end;
}

/** Windows mostly come in the order of time: then it costs nothing. */
export function insertInOrder(cells: Cell[], cell: Cell): void {
  const last = cells.at(-1);
  if (last === undefined || byEnd(last, cell) <= 0) cells.push(cell);
  else cells.splice(placeOf(cell.namespace.end, cells), 0, cell);
}

/** They mostly go in the order of time, too. */
export function takeFromOrder(cells: Cell[], cell: Cell): void {
  let at = placeOf(cell.namespace.end, cells);
  while (at < cells.length && cells[at] !== cell) at++;
  if (at === 0) cells.shift();
  else cells.splice(at, 1);
}
