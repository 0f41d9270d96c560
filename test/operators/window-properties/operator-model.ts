/**
 * A window operator for one key in plain lists: windows, their contents, their timers. Each step is done to its end before the next. Imports
 * nothing of the engine.
 */
import {
  type Answer,
  type Asked,
  type Choice,
  type Domain,
  type Item,
  mergeStates,
  type Span,
  triggerModel,
} from "./trigger-model.ts";

export interface Windows {
  /** Windows of a record by its own time ("event") or by the clock. */
  readonly by: Domain;
  readonly merging?: boolean;
  /** By the time in question. */
  of(time: number): readonly Span[];
}

interface Timer {
  readonly domain: Domain;
  readonly at: number;
  readonly window: Span;
}

interface Open {
  readonly window: Span;
  items: Item[];
}

const largest = Number.MAX_SAFE_INTEGER;
const nameOf = ({ start, end }: Span): string => `${start}:${end}`;

export class OperatorModel {
  /** The start of the window and the numbers of its records, for each firing. */
  readonly out: [start: number, ...ns: number[]][] = [];
  readonly late: number[] = [];
  readonly #windows: Windows;
  readonly #lateness: number;
  readonly #trigger;
  readonly #open = new Map<string, Open>();
  readonly #states = new Map<string, Map<string, number>>();
  readonly #asked: Asked;
  #timers: Timer[] = [];
  #watermark = -Infinity;
  #clock = 0;

  constructor(windows: Windows, choice: Choice, latenessMs: number) {
    this.#windows = windows;
    this.#lateness = latenessMs;
    this.#trigger = triggerModel(choice);
    const watermark = () => this.#watermark;
    const clock = () => this.#clock;
    this.#asked = {
      get watermark() {
        return watermark();
      },
      get clock() {
        return clock();
      },
      set: (domain, at, window) => this.#set({ domain, at, window }),
      // The clean-up is not the trigger's to cancel.
      cancel: (domain, at, window) => {
        if (!this.#isCleanup(domain, at, window)) this.#cancel({ domain, at, window });
      },
      stateOf: (window) => this.#stateOf(window),
    };
  }

  record(item: Item): void {
    let taken = false;
    for (const opened of this.#windows.of(this.#windows.by === "event" ? item.at : this.#clock)) {
      const window = this.#windows.merging ? this.#join(opened) : this.#isOver(opened) ? undefined : opened;
      if (window === undefined) continue;
      taken = true;
      const open = this.#open.get(nameOf(window)) ?? { window, items: [] };
      this.#open.set(nameOf(window), open);
      open.items.push(item);
      this.#carryOut(this.#trigger.record(item, window, this.#asked), window);
      const at = this.#cleanupAt(window);
      if (at < largest) this.#set({ domain: this.#windows.by, at, window });
    }
    if (!taken && this.#windows.by === "event" && item.at + this.#lateness <= this.#watermark) this.late.push(item.n);
    this.#fire("clock", this.#clock);
  }

  watermark(at: number): void {
    if (at <= this.#watermark) return;
    this.#watermark = at;
    this.#fire("event", at);
  }

  /** What is due on the way happens at its time. */
  clock(to: number): void {
    for (;;) {
      const [next] = this.#due("clock", to);
      if (next === undefined) break;
      this.#clock = Math.max(this.#clock, next.at);
      this.#fire("clock", this.#clock);
    }
    this.#clock = to;
  }

  #stateOf(window: Span): Map<string, number> {
    const known = this.#states.get(nameOf(window)) ?? new Map<string, number>();
    this.#states.set(nameOf(window), known);
    return known;
  }

  #set(timer: Timer): void {
    this.#cancel(timer);
    this.#timers.push(timer);
  }

  #cancel({ domain, at, window }: Timer): void {
    this.#timers = this.#timers.filter(
      (timer) => timer.domain !== domain || timer.at !== at || nameOf(timer.window) !== nameOf(window),
    );
  }

  #due(domain: Domain, upTo: number): Timer[] {
    return this.#timers.filter((timer) => timer.domain === domain && timer.at <= upTo).sort((a, b) => a.at - b.at);
  }

  #cleanupAt({ end }: Span): number {
    return this.#windows.by === "event" ? Math.min(end - 1 + this.#lateness, largest) : end - 1;
  }

  #isCleanup(domain: Domain, at: number, window: Span): boolean {
    return domain === this.#windows.by && at === this.#cleanupAt(window);
  }

  #isOver(window: Span): boolean {
    return this.#windows.by === "event" && this.#cleanupAt(window) <= this.#watermark;
  }

  /** The window with all that it touches; undefined: the record is late. */
  #join({ start, end }: Span): Span | undefined {
    const joined = [...this.#open.values()]
      .filter(({ window }) => window.start <= end && start <= window.end)
      .sort((a, b) => a.window.start - b.window.start);
    const spans = [{ start, end }, ...joined.map(({ window }) => window)];
    const whole = { start: Math.min(...spans.map((span) => span.start)), end: Math.max(...spans.map((span) => span.end)) };
    if (this.#isOver(whole)) return undefined;
    const gone = joined.map(({ window }) => window).filter((window) => nameOf(window) !== nameOf(whole));
    if (gone.length === 0) return whole;
    for (const { window } of joined) this.#open.delete(nameOf(window));
    this.#open.set(nameOf(whole), { window: whole, items: joined.flatMap(({ items }) => items) });
    for (const window of gone) mergeStates(this.#stateOf(whole), this.#stateOf(window));
    this.#trigger.merged?.(whole, this.#asked);
    for (const window of gone) {
      this.#trigger.clear(window, this.#asked);
      this.#cancel({ domain: this.#windows.by, at: this.#cleanupAt(window), window });
    }
    return whole;
  }

  #fire(domain: Domain, upTo: number): void {
    for (let [timer] = this.#due(domain, upTo); timer !== undefined; [timer] = this.#due(domain, upTo)) {
      const { at, window } = timer;
      this.#cancel(timer);
      if (this.#windows.merging && !this.#open.has(nameOf(window))) continue;
      this.#carryOut(this.#trigger.timer(domain, at, window, this.#asked), window);
      if (!this.#isCleanup(domain, at, window)) continue;
      this.#open.delete(nameOf(window));
      this.#trigger.clear(window, this.#asked);
    }
  }

  #carryOut(answer: Answer, window: Span): void {
    const open = this.#open.get(nameOf(window));
    if (open === undefined) return;
    if (answer !== "continue" && open.items.length > 0) this.out.push([window.start, ...open.items.map(({ n }) => n)]);
    if (answer === "fireAndPurge") open.items = [];
  }
}
