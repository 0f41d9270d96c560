/** When windows fire, trigger by trigger, in plain words. Imports nothing of the engine. */
import { endOfEventTime, type Event, type Rule } from "./oracle.ts";

/** When the clock passes the window's end, and at every record after it. */
export function endOfClockTime(): Rule {
  return {
    record: (_e, { clock }, { end }) => (end - 1 < clock ? 1 : 0),
    clock: (from, to, { end }) => (from < end - 1 && end - 1 <= to ? 1 : 0),
  };
}

export function never(): Rule {
  return { record: () => 0 };
}

export function endOfStream(): Rule {
  return { record: () => 0, watermark: (_from, to) => (to === Infinity ? 1 : 0) };
}

/** Every so many records; windows that merge add up what they have counted. */
export function count(every: number): Rule & { counted: number } {
  return {
    counted: 0,
    record() {
      if (++this.counted < every) return 0;
      this.counted = 0;
      return 1;
    },
    merge(other: { counted: number }) {
      this.counted += other.counted;
    },
  };
}

/** When a record is far from the one that fired last. */
export function delta(threshold: number, distance: (last: Event, current: Event) => number): Rule {
  let last: Event | undefined;
  return {
    record(e) {
      const far = last !== undefined && distance(last, e) > threshold;
      if (far || last === undefined) last = e;
      return far ? 1 : 0;
    },
  };
}

/** At every multiple of a length of time since the first record that the watermark passes, and at the end. */
export function continuousEventTime(every: number): Rule & { next: number } {
  let again = false;
  return {
    next: Infinity,
    // What is next is set anew, also where it was the end and has been passed.
    extended() {
      again = this.next < Infinity;
    },
    record(e, { watermark }, { end }) {
      if (end - 1 <= watermark) return 1;
      if (this.next === Infinity) this.next = Math.min((Math.trunc(e.at / every) + 1) * every, end - 1);
      return 0;
    },
    watermark(from, to, { end }) {
      if (end === Infinity && to === Infinity) return this.next === Infinity ? 0 : 1;
      const last = end - 1;
      let times = (from < last && last <= to) || (again && this.next === last && last <= from) ? 1 : 0;
      again = false;
      while (this.next < last && this.next <= to) {
        this.next = Math.min(this.next + every, last);
        // Where the end had passed before the window was extended to it, it is passed as the one time on the way that it is.
        times += this.next === last && last <= from ? 2 : 1;
      }
      return times;
    },
    merge(other: { next: number }) {
      this.next = Math.min(this.next, other.next);
    },
  };
}

/** At every multiple that the clock passes; at the end, where the clock comes to it. After it, at the one that follows a record. */
export function continuousClockTime(every: number): Rule & { next: number } {
  const following = (time: number, now: number, end: number) => (now < end - 1 ? Math.min(time + every, end - 1) : time + every);
  return {
    next: Infinity,
    record(_e, { clock }, { end }) {
      if (this.next === Infinity) this.next = following(Math.trunc(clock / every) * every, clock, end);
      return 0;
    },
    clock(_from, to, { end }) {
      let times = 0;
      for (; this.next <= to; times++) this.next = this.next < end - 1 ? following(this.next, this.next, end) : Infinity;
      return times;
    },
    merge(other: { next: number }) {
      this.next = Math.min(this.next, other.next);
    },
  };
}

/**
 * As the inner rule, and so long after the first record or the latest. Whatever fires without a record fires once: the inner rule,
 * the time-out, the end of the window's time.
 */
export function timeOut(make: () => Rule, after: number, options: { reset: boolean; clear: boolean; latenessMs: number }): Rule {
  let inner = make();
  let deadline: number | undefined;
  const clear = () => {
    inner = make();
    deadline = undefined;
  };
  return {
    record(e, now, window) {
      const fires = inner.record(e, now, window);
      if (fires > 0) clear();
      else if (deadline === undefined || options.reset) deadline = now.clock + after;
      return fires;
    },
    watermark(from, to, window) {
      const over = window.end - 1 + options.latenessMs;
      const fires = Math.max(inner.watermark?.(from, to, window) ?? 0, from < over && over <= to ? 1 : 0);
      if (fires > 0 && options.clear) clear();
      return fires;
    },
    clock(from, to) {
      if (deadline === undefined || !(from < deadline && deadline <= to)) return 0;
      if (options.clear) clear();
      return 1;
    },
  };
}

/**
 * One of one's own: what records weigh adds up, and what reaches 20 fires and begins anew; so long after a record the window fires
 * too, and the next record sets that time anew. At the end it fires as any.
 */
export function weighed(afterMs: number, latenessMs: number): Rule & { weight: number; due: number } {
  const atEnd = endOfEventTime();
  return {
    weight: 0,
    due: Infinity,
    record(e, now, window) {
      if (this.due === Infinity) this.due = e.at + afterMs;
      this.weight += weightOf(e);
      const full = this.weight >= 20;
      if (full) this.weight = 0;
      return full ? 1 : atEnd.record(e, now, window);
    },
    watermark(from, to, window) {
      const last = window.end - 1;
      const ends = atEnd.watermark!(from, to, window);
      if (this.due > Math.min(to, last + latenessMs)) return ends;
      const times = this.due === last ? 1 : ends + 1;
      this.due = Infinity;
      return times;
    },
    merge(other: { weight: number; due: number }) {
      this.weight += other.weight;
      this.due = Math.min(this.due, other.due);
    },
  };
}

export function weightOf({ n }: Event): number {
  return (n * 7) % 10;
}
