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

/** Halves of a time, and windows that are shorter, are numbers that need no box. */
const halfMs = 2 ** 30;

/**
 * A namespace of one cell's own, which is changed in place as its window grows: a session moves with each record, and a new object for
 * each would outlive the young generation. Nobody else may keep it. It is one object in memory, where edges as they are would be three.
 */
export class MovingNamespace implements Namespace {
  private startHigh = 0;
  private startLow = 0;
  private length = 0;

  /** Whether such an object can say it: whole milliseconds, and shorter than twelve days. */
  static fits(start: number, end: number): boolean {
    return end - start < halfMs && Number.isSafeInteger(start) && Number.isSafeInteger(end) && end >= start;
  }

  get start(): number {
    return this.startHigh * halfMs + this.startLow;
  }

  get end(): number {
    return this.startHigh * halfMs + this.startLow + this.length;
  }

  moveTo(start: number, end: number): void {
    const high = Math.floor(start / halfMs);
    this.startHigh = high | 0;
    this.startLow = (start - high * halfMs) | 0;
    this.length = (end - start) | 0;
  }
}

/** The namespace [start, end): the given one, where it may be changed in place. */
export function movedTo(namespace: Namespace | undefined, start: number, end: number): Namespace {
  if (!MovingNamespace.fits(start, end)) return { start, end };
  const moving = namespace instanceof MovingNamespace ? namespace : new MovingNamespace();
  moving.moveTo(start, end);
  return moving;
}

/** What stays when the cell's own moves on. */
export function keptNamespace(namespace: Namespace): Namespace {
  return namespace instanceof MovingNamespace ? { start: namespace.start, end: namespace.end } : namespace;
}
