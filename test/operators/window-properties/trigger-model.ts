/**
 * Triggers with timers and state of their own, each in its own plain words: what a window operator asks of them. Imports nothing of the
 * engine. Beside the rules of trigger-oracles.ts, which say when a window fires, these say how it comes about, so that any trigger can be
 * put over any windows.
 */
export interface Item {
  readonly at: number;
  /** Tells which record it is. */
  readonly n: number;
}

export interface Span {
  readonly start: number;
  readonly end: number;
}

export type Domain = "event" | "clock";

/** What a trigger may ask and do. */
export interface Asked {
  readonly watermark: number;
  readonly clock: number;
  set(domain: Domain, at: number, window: Span): void;
  cancel(domain: Domain, at: number, window: Span): void;
  /** Of the window: plain numbers by name. */
  stateOf(window: Span): Map<string, number>;
}

export type Answer = "continue" | "fire" | "fireAndPurge";

export type Choice =
  | { readonly kind: "eventTime" | "processingTime" }
  | { readonly kind: "count"; readonly every: number }
  | { readonly kind: "delta"; readonly threshold: number }
  | { readonly kind: "continuousEventTime" | "continuousProcessingTime"; readonly every: number }
  | { readonly kind: "purging"; readonly inner: Choice }
  | {
      readonly kind: "timeOut";
      readonly inner: Choice;
      readonly after: number;
      readonly reset: boolean;
      readonly clear: boolean;
    };

export interface TriggerModel {
  record(item: Item, window: Span, asked: Asked): Answer;
  timer(domain: Domain, at: number, window: Span, asked: Asked): Answer;
  /** Windows have become this one; what they counted or waited for is in its state. */
  merged?(window: Span, asked: Asked): void;
  clear(window: Span, asked: Asked): void;
}

const last = ({ end }: Span): number => end - 1;

export function triggerModel(choice: Choice, place = ""): TriggerModel {
  switch (choice.kind) {
    case "eventTime":
      return eventTime;
    case "processingTime":
      return processingTime;
    case "count":
      return count(choice.every, `${place}count`);
    case "delta":
      return delta(choice.threshold, `${place}delta`);
    case "continuousEventTime":
      return continuous("event", choice.every, `${place}next`);
    case "continuousProcessingTime":
      return continuous("clock", choice.every, `${place}next`);
    case "purging":
      return purging(triggerModel(choice.inner, place));
    case "timeOut":
      return timeOut(choice, triggerModel(choice.inner, `${place}inner `), `${place}deadline`);
  }
}

const eventTime: TriggerModel = {
  record(_item, window, asked) {
    if (last(window) <= asked.watermark) return "fire";
    asked.set("event", last(window), window);
    return "continue";
  },
  timer: (domain, at, window) => (domain === "event" && at === last(window) ? "fire" : "continue"),
  merged(window, asked) {
    if (last(window) > asked.watermark) asked.set("event", last(window), window);
  },
  clear: (window, asked) => asked.cancel("event", last(window), window),
};

const processingTime: TriggerModel = {
  record(_item, window, asked) {
    if (last(window) < asked.clock) return "fire";
    asked.set("clock", last(window), window);
    return "continue";
  },
  timer: (domain) => (domain === "clock" ? "fire" : "continue"),
  merged(window, asked) {
    if (last(window) > asked.clock) asked.set("clock", last(window), window);
  },
  clear: (window, asked) => asked.cancel("clock", last(window), window),
};

function count(every: number, name: string): TriggerModel {
  return {
    record(_item, window, asked) {
      const state = asked.stateOf(window);
      const counted = (state.get(name) ?? 0) + 1;
      if (counted < every) state.set(name, counted);
      else state.delete(name);
      return counted < every ? "continue" : "fire";
    },
    timer: () => "continue",
    clear: (window, asked) => void asked.stateOf(window).delete(name),
  };
}

function delta(threshold: number, name: string): TriggerModel {
  return {
    record({ at }, window, asked) {
      const state = asked.stateOf(window);
      const known = state.get(name);
      const far = known !== undefined && at - known > threshold;
      if (far || known === undefined) state.set(name, at);
      return far ? "fire" : "continue";
    },
    timer: () => "continue",
    clear: (window, asked) => void asked.stateOf(window).delete(name),
  };
}

function continuous(own: Domain, every: number, name: string): TriggerModel {
  const setNext = (from: number, window: Span, asked: Asked, latest = last(window)) => {
    const next = Math.min(from + every, latest);
    asked.stateOf(window).set(name, next);
    asked.set(own, next, window);
  };
  return {
    record({ at }, window, asked) {
      const now = own === "event" ? at : asked.clock;
      if (own === "event" && last(window) <= asked.watermark) return "fire";
      if (own === "event") asked.set("event", last(window), window);
      if (!asked.stateOf(window).has(name))
        setNext(now - (now % every), window, asked, own === "clock" && now > last(window) ? Infinity : last(window));
      return "continue";
    },
    timer(domain, at, window, asked) {
      if (domain !== own) return "continue";
      if (own === "event" && at === last(window)) return "fire";
      const state = asked.stateOf(window);
      if (state.get(name) !== at) return "continue";
      state.delete(name);
      if (at < last(window)) setNext(at, window, asked);
      return "fire";
    },
    merged(window, asked) {
      const next = asked.stateOf(window).get(name);
      if (next !== undefined) asked.set(own, next, window);
    },
    clear(window, asked) {
      const state = asked.stateOf(window);
      const next = state.get(name);
      if (next !== undefined) asked.cancel(own, next, window);
      state.delete(name);
    },
  };
}

function purging(inner: TriggerModel): TriggerModel {
  const purge = (answer: Answer): Answer => (answer === "fire" ? "fireAndPurge" : answer);
  return {
    ...inner,
    record: (item, window, asked) => purge(inner.record(item, window, asked)),
    timer: (domain, at, window, asked) => purge(inner.timer(domain, at, window, asked)),
  };
}

/** Any timer of the window fires it, the inner trigger's and the clean-up's too. */
function timeOut({ after, reset, clear }: Choice & { kind: "timeOut" }, inner: TriggerModel, name: string): TriggerModel {
  const clearAll = (window: Span, asked: Asked) => {
    const state = asked.stateOf(window);
    const deadline = state.get(name);
    if (deadline !== undefined) asked.cancel("clock", deadline, window);
    state.delete(name);
    inner.clear(window, asked);
  };
  return {
    record(item, window, asked) {
      const answer = inner.record(item, window, asked);
      if (answer !== "continue") {
        clearAll(window, asked);
        return answer;
      }
      const state = asked.stateOf(window);
      const deadline = state.get(name);
      if (deadline !== undefined && !reset) return answer;
      if (deadline !== undefined) asked.cancel("clock", deadline, window);
      state.set(name, asked.clock + after);
      asked.set("clock", asked.clock + after, window);
      return answer;
    },
    timer(domain, at, window, asked) {
      const answer = inner.timer(domain, at, window, asked);
      if (clear) clearAll(window, asked);
      return answer === "fireAndPurge" ? answer : "fire";
    },
    clear: clearAll,
  };
}

/** What a state of windows that merge becomes: counts add up, of times the earliest holds. */
export function mergeStates(into: Map<string, number>, from: Map<string, number>): void {
  for (const [name, value] of from) {
    const known = into.get(name);
    const both = (known_: number) => (name.endsWith("count") ? known_ + value : Math.min(known_, value));
    into.set(name, known === undefined ? value : both(known));
  }
  from.clear();
}
