/**
 * The window that a piece of state or a timer belongs to: [start, end), epoch ms. Windows are shared objects, so that neither a cell
 * nor a timer carries numbers of its own; two are the same when their edges are.
 */
export interface Namespace {
  readonly start: number;
  readonly end: number;
}

/** Of state outside windows: start after end, so no real window equals it. */
export const voidNamespace: Namespace = { start: 1, end: 0 };

/** Of state in the one window for all time: no other reaches as far. */
export const globalNamespace: Namespace = { start: Number.MIN_SAFE_INTEGER, end: Number.MAX_SAFE_INTEGER + 1 };

export function sameNamespace(a: Namespace, b: Namespace): boolean {
  return a === b || (a.start === b.start && a.end === b.end);
}
