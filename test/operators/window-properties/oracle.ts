/**
 * What windows give, recomputed from all input by a program that keeps plain lists and goes through it step by step. Imports
 * nothing of the engine.
 */
export interface Event {
  readonly key: string | null;
  readonly at: number;
  /** Tells which record it is. */
  readonly n: number;
  /** Of sessions whose gap is the record's own. */
  readonly gap: number;
}
/** A record, or the clock is turned to a time. */
export type Step = Event | { readonly clock: number };

export type Result = readonly [key: string | null, start: number, end: number, ...ns: number[]];
export type Pair = readonly [start: number, end: number];

/** The steps in which watermarks advance. */
const gridMs = 1_000;

/** Time as the windows see it: the watermark and the clock. */
export interface Now {
  watermark: number;
  clock: number;
}

/** When one window fires: what a trigger is. Each call says how often. */
export interface Rule {
  /** A record has come into the window. */
  record(e: Event, now: Now, window: Open): number;
  /** The watermark passes from one time to another. */
  watermark?(from: number, to: number, window: Open): number;
  /** The clock does. */
  clock?(from: number, to: number, window: Open): number;
  /** The window begins earlier or ends later than before. */
  extended?(): void;
  /** The window took another one in, whose rule this was. */
  merge?(other: any): void;
}

/** A window that is there. `end` is infinite for that of all time. */
export interface Open {
  readonly key: string | null;
  start: number;
  end: number;
  all: readonly Event[];
  readonly rule: Rule;
}

export const defaultBoundMs = 3_000;

export interface Windowing {
  /** The windows of a record, by its own time or by the clock's. */
  windowsOf(time: number, e: Event): readonly Pair[];
  readonly by?: "event" | "clock";
  /** Windows that touch become one. */
  readonly merging?: boolean;
  readonly latenessMs?: number;
  /** How far watermarks stay behind the largest time. */
  readonly boundMs?: number;
  /** Default: the end of event time. */
  rule?(): Rule;
  /** What fires is dropped. */
  readonly purging?: boolean;
  /** Which records stay. */
  evict?(all: readonly Event[]): readonly Event[];
  /** After the results are given, not before. */
  readonly evictAfter?: boolean;
}

export interface Expected {
  readonly out: readonly Result[];
  /** The `n` of the records that came too late for all their windows. */
  readonly late: readonly number[];
}

export function expectedOf(input: readonly Step[], windowing: Windowing): Expected {
  const { by = "event", latenessMs = 0, boundMs = defaultBoundMs, rule = endOfEventTime } = windowing;
  const out: Result[] = [];
  const late: number[] = [];
  const now: Now = { watermark: -Infinity, clock: 0 };
  let open: Open[] = [];

  const give = (window: Open, times: number) => {
    for (; times > 0 && window.all.length > 0; times--) {
      const { evict = (all) => all, evictAfter = false } = windowing;
      const given = evictAfter ? window.all : evict(window.all);
      out.push([window.key, window.start, window.end, ...given.map(({ n }) => n)]);
      window.all = windowing.purging ? [] : evictAfter ? evict(given) : given;
    }
  };
  const isOver = (end: number) => by === "event" && end - 1 + latenessMs <= now.watermark;
  const advance = (to: number) => {
    if (to <= now.watermark) return;
    for (const window of open) give(window, window.rule.watermark?.(now.watermark, to, window) ?? 0);
    now.watermark = to;
    open = open.filter(({ end }) => !isOver(end));
  };
  const turn = (to: number) => {
    const until = (end: number) => (by === "clock" ? Math.min(to, end - 1) : to);
    for (const window of open) give(window, window.rule.clock?.(now.clock, until(window.end), window) ?? 0);
    now.clock = to;
    if (by === "clock") open = open.filter(({ end }) => end - 1 > to);
  };
  /** The record's window, with all that it touches. */
  const join = (key: string | null, start: number, end: number): Open | undefined => {
    const joins = windowing.merging
      ? open.filter((w) => w.key === key && w.start <= end && start <= w.end).sort((a, b) => a.start - b.start)
      : open.filter((w) => w.key === key && w.start === start && w.end === end);
    const whole = { start: Math.min(start, ...joins.map((w) => w.start)), end: Math.max(end, ...joins.map((w) => w.end)) };
    if (isOver(whole.end)) return undefined;
    const [first = { key, ...whole, all: [], rule: rule() }, ...others] = joins;
    for (const other of others) first.rule.merge?.(other.rule);
    if (first.start !== whole.start || first.end !== whole.end) first.rule.extended?.();
    open = [...open.filter((w) => !joins.includes(w)), first];
    return Object.assign(first, whole, { all: [...first.all, ...others.flatMap(({ all }) => all)] });
  };

  for (const step of input) {
    if ("clock" in step) {
      turn(step.clock);
      continue;
    }
    let taken = false;
    for (const [start, end] of windowing.windowsOf(by === "event" ? step.at : now.clock, step)) {
      const window = join(step.key, start, end);
      if (window === undefined) continue;
      taken = true;
      window.all = [...window.all, step];
      give(window, window.rule.record(step, now, window));
    }
    if (!taken && by === "event" && step.at + latenessMs <= now.watermark) late.push(step.n);
    advance(Math.floor((step.at - boundMs) / gridMs) * gridMs - 1);
  }
  advance(Infinity);
  return { out, late };
}

/** At the window's end, and at every record after it. */
export function endOfEventTime(): Rule {
  return {
    record: (_e, { watermark }, { end }) => (end - 1 <= watermark ? 1 : 0),
    watermark: (from, to, { end }) => (from < end - 1 && end - 1 <= to ? 1 : 0),
  };
}
