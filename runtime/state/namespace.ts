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

/**
 * A namespace of one cell's own, which is changed in place as its window grows: a session moves with each record, and a new object for
 * each would outlive the processor's cache and the young generation. Nobody else may keep it.
 */
export class MovingNamespace implements Namespace {
  start: number;
  end: number;

  constructor(start: number, end: number) {
    this.start = start;
    this.end = end;
  }
}

/** The namespace [start, end): the given one, where it may be changed in place. */
export function movedTo(namespace: Namespace | undefined, start: number, end: number): MovingNamespace {
  if (!(namespace instanceof MovingNamespace)) return new MovingNamespace(start, end);
  namespace.start = start;
  namespace.end = end;
  return namespace;
}

/** What stays when the cell's own moves on. */
export function keptNamespace(namespace: Namespace): Namespace {
  return namespace instanceof MovingNamespace ? { start: namespace.start, end: namespace.end } : namespace;
}
