/** Jobs whose operators have two inputs: connected streams, and streams that every task is given. */
import { type, type Timers } from "../../api/functions.ts";
import { map, type MapState } from "../../api/state.ts";
import { appendSink } from "./sinks.ts";
import { byKey, groupBy, read, startOf, type Topology } from "./topology.ts";
import { from, totalOf, windowMs, windowRows } from "./totals.ts";
import type { SimRecord } from "./workload.ts";

interface Pairing {
  readonly key: string;
  readonly end: number;
  readonly left: readonly number[];
  readonly right: readonly number[];
}

/** The ids of each side in each window of a key, collected by hand. */
const pairing = {
  state: { left: map<number, number[]>(), right: map<number, number[]>() },
  output: type<Pairing>(),
  onLeft: (record: SimRecord, { state, timers }: CollectContext) => collect(record, state.left, timers),
  onRight: (record: SimRecord, { state, timers }: CollectContext) => collect(record, state.right, timers),
};

interface CollectContext {
  readonly state: { readonly left: MapState<number, number[]>; readonly right: MapState<number, number[]> };
  readonly timers: Timers;
}

function collect(record: SimRecord, into: MapState<number, number[]>, timers: Timers): void {
  const end = startOf(record.at, windowMs) + windowMs;
  into.set(
    end,
    [...(into.get(end) ?? []), record.id].sort((a, b) => a - b),
  );
  timers.eventTime(end);
}

function pairings(records: readonly SimRecord[]): Pairing[] {
  const groups = groupBy(records, (record) => `${record.key} ${startOf(record.at, windowMs)}`);
  return [...groups.values()].map((own) => {
    const first = own[0] as SimRecord;
    const ids = (source: string) =>
      from(own, source)
        .map((record) => record.id)
        .sort((a, b) => a - b);
    return { key: first.key, end: startOf(first.at, windowMs) + windowMs, left: ids("a"), right: ids("b") };
  });
}

/** Two sources side by side, with keys and without; what they give goes in turn to several tasks, and then to one. */
export const connected: Topology = {
  name: "connected",
  sources: ["a", "b"],
  build(job, touch) {
    const here = (record: SimRecord) => {
      // Before it goes both ways, so that no record is seen on one that is put aside on the other.
      touch(record, "keyed");
      return true;
    };
    const [a, b] = [read(job, "a", touch).filter("here-a", here), read(job, "b", touch).filter("here-b", here)];
    a.keyBy(byKey)
      .connect(b.keyBy(byKey))
      .process("pair", {
        ...pairing,
        onTimer(at, ctx) {
          const { left, right } = ctx.state;
          ctx.emit({ key: ctx.key, end: at, left: left.get(at) ?? [], right: right.get(at) ?? [] });
          left.delete(at);
          right.delete(at);
        },
      })
      .sinkTo("pairs", appendSink("pairs"));
    a.connect(b)
      .map(
        "sides",
        (record) => `left ${record.id}`,
        (record) => `right ${record.id}`,
      )
      .rebalance()
      .map("spread", (side) => side)
      .global()
      .map("one", (side) => side)
      .sinkTo("seen", appendSink("seen"));
  },
  expect: (records) => ({
    lists: new Map<string, readonly unknown[]>([
      ["pairs", pairings(records)],
      ["seen", records.map(({ id, source }) => `${source === "a" ? "left" : "right"} ${id}`)],
    ]),
    tables: new Map(),
  }),
};

interface Known {
  readonly key: string;
  readonly end: number;
  readonly n: number;
  /** What had been broadcast before the window's end. */
  readonly rules: number;
  readonly total: number;
}

/** Every task keeps all of one source beside its keys of the other. */
export const broadcasting: Topology = {
  name: "broadcasting",
  sources: ["a", "b"],
  build(job, touch) {
    const rules = read(job, "b", touch).broadcast("rules", { rules: map<number, readonly [at: number, value: number]>() });
    read(job, "a", touch)
      .keyBy(byKey)
      .connect(rules)
      .process("known", {
        state: { byWindow: map<number, number>() },
        output: type<Known>(),
        onRecord(record, { state, timers }) {
          touch(record, "keyed");
          const end = startOf(record.at, windowMs) + windowMs;
          state.byWindow.set(end, (state.byWindow.get(end) ?? 0) + 1);
          timers.eventTime(end);
        },
        onBroadcast: (record, { broadcast }) => {
          touch(record, "keyed");
          broadcast.rules.set(record.id, [record.at, record.value]);
        },
        onTimer(end, ctx) {
          const values = [...ctx.broadcast.rules.entries()].flatMap(([, [at, value]]) => (at < end ? [value] : []));
          const total = values.reduce((sum, value) => sum + value, 0);
          ctx.emit({ key: ctx.key, end, n: ctx.state.byWindow.get(end) ?? 0, rules: values.length, total });
          ctx.state.byWindow.delete(end);
        },
      })
      .sinkTo("rows", appendSink("rows"));
  },
  expect: (records) => ({
    lists: new Map([["rows", known(from(records, "a"), from(records, "b"))]]),
    tables: new Map(),
  }),
};

function known(records: readonly SimRecord[], broadcast: readonly SimRecord[]): Known[] {
  return windowRows(records, byKey).map(({ key, start, n }) => {
    const { n: rules, total } = totalOf(broadcast.filter(({ at }) => at < start + windowMs));
    return { key, end: start + windowMs, n, rules, total };
  });
}
