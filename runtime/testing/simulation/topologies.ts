/**
 * Small jobs with their oracles: each says by plain recomputation from all records what must come out. What they compute does not
 * depend on how records of different shards interleave, and no record is late.
 */
import type { DataStream } from "../../api/data-stream.ts";
import { boundedOutOfOrderness, customWatermarks } from "../../api/watermarks.ts";
import { combine, count, sum } from "../../api/aggregators.ts";
import { defineJob } from "../../api/define-job.ts";
import { millis } from "../../api/duration.ts";
import { keyedProcess, type, type ProcessFunction, type Timers } from "../../api/functions.ts";
import type { JobOptions } from "../../api/graph.ts";
import { evenSplitList, type OperatorStateDescriptor, unionList } from "../../api/operator-scoped-state.ts";
import { list, type ListState, map, type MapState, reducing, value } from "../../api/state.ts";
import { triggers } from "../../api/triggers.ts";
import { countWindow, session, sliding as slidingWindows, tumbling } from "../../api/windows.ts";
import type { Job } from "../../api/job.ts";
import { alarms } from "./alarm-topology.ts";
import { appendSink, tableSink } from "./sinks.ts";
import { aligned, byKey, groupBy, read, startOf, type Topology } from "./topology.ts";
import { outOfOrdernessMs, type SimRecord, type Touch } from "./workload.ts";
import { windowTopologies } from "./window-topologies.ts";

export function jobOf(topology: Topology, options: JobOptions, touch: Touch): Job {
  return defineJob("simulated", (job) => topology.build(job, touch), options);
}

const windowMs = 100;
const gapMs = 45;

/** The same as `inOrder`, as an author would write it: were its state another shard's, records would be late. */
const ownGenerator = customWatermarks<SimRecord, { highest: number }>({
  create: () => ({ highest: 0 }),
  onRecord: (state, _record, timestamp) => {
    if (timestamp <= state.highest) return undefined;
    state.highest = timestamp;
    return timestamp - outOfOrdernessMs - 1;
  },
});

const totals = (touch: Touch) =>
  combine({
    n: count(),
    total: sum<SimRecord>((record) => {
      touch(record, "keyed");
      return record.value;
    }),
  });

interface Total {
  readonly n: number;
  readonly total: number;
}

interface WindowRow extends Total {
  readonly key: string;
  readonly start: number;
}

function totalOf(records: readonly SimRecord[]): Total {
  return { n: records.length, total: records.reduce((total, record) => total + record.value, 0) };
}

function windowRows(records: readonly SimRecord[], key: (record: SimRecord) => string): WindowRow[] {
  const windows = groupBy(records, (record) => `${key(record)} ${startOf(record.at, windowMs)}`);
  return [...windows.values()].map((group) => {
    const first = group[0] as SimRecord;
    return { key: key(first), start: startOf(first.at, windowMs), ...totalOf(group) };
  });
}

/** One source, tumbling windows; every record also goes out as it came. */
export const windows: Topology = {
  name: "windows",
  sources: ["a"],
  build(job, touch) {
    const records = read(job, "a", touch);
    const ids = (record: SimRecord) => {
      // Here already, so that no record has been seen that is put aside later.
      touch(record, "keyed");
      return record.id;
    };
    records.map("ids", ids).sinkTo("seen", appendSink("seen"));
    records
      .keyBy((record) => record.key)
      .window(tumbling(millis(windowMs)))
      .aggregate("perWindow", totals(touch), (key, window, of): WindowRow => ({
        key,
        start: window.start,
        n: of.n,
        total: of.total,
      }))
      .sinkTo("rows", appendSink("rows"));
  },
  expect: (records) => ({
    lists: new Map<string, readonly unknown[]>([
      ["seen", records.map((record) => record.id)],
      ["rows", windowRows(records, (record) => record.key)],
    ]),
    tables: new Map(),
  }),
};

interface SessionRow extends Total {
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

function sessionRows(records: readonly SimRecord[]): SessionRow[] {
  const rows: SessionRow[] = [];
  for (const [key, own] of groupBy(records, (record) => record.key)) {
    let open: SimRecord[] = [];
    const close = () => {
      const first = open[0];
      const last = open[open.length - 1];
      if (first !== undefined && last !== undefined) rows.push({ key, start: first.at, end: last.at + gapMs, ...totalOf(open) });
      open = [];
    };
    for (const record of [...own].sort((a, b) => a.at - b.at)) {
      const last = open[open.length - 1];
      if (last !== undefined && record.at > last.at + gapMs) close();
      open.push(record);
    }
    close();
  }
  return rows;
}

/** Two sources as one, sessions; results as a list and as a table. */
const sessions: Topology = {
  name: "sessions",
  sources: ["a", "b"],
  build(job, touch) {
    const rows = read(job, "a", touch, aligned)
      .union(read(job, "b", touch, aligned))
      .keyBy((record) => record.key)
      .window(session(millis(gapMs)))
      .aggregate("perSession", totals(touch), (key, window, of): SessionRow => ({
        key,
        start: window.start,
        end: window.end,
        n: of.n,
        total: of.total,
      }));
    rows.sinkTo("rows", appendSink("rows"));
    rows.sinkTo(
      "table",
      tableSink("table", (row: SessionRow) => `${row.key}@${row.start}`),
    );
  },
  expect: (records) => {
    const rows = sessionRows(records);
    return {
      lists: new Map([["rows", rows]]),
      tables: new Map([["table", new Map(rows.map((row) => [`${row.key}@${row.start}`, row]))]]),
    };
  },
};

/** A bound that is kept however records of different shards interleave. */
const anyOrder = boundedOutOfOrderness(millis(60_000));

/** Event time made in the midst of the stream, behind the source and behind windows. */
const assigned: Topology = {
  name: "assigned",
  sources: ["a"],
  build(job, touch) {
    const perWindow = read(job, "a", touch)
      .assignTimestamps("again", { timestamps: (record) => record.at, watermarks: anyOrder })
      .keyBy((record) => record.key)
      .window(tumbling(millis(windowMs)))
      .aggregate("perWindow", totals(touch), (key, window, of): WindowRow => ({
        key,
        start: window.start,
        n: of.n,
        total: of.total,
      }));
    perWindow
      .assignTimestamps("ofRows", { timestamps: (row, before) => Math.max(row.start, before ?? 0), watermarks: anyOrder })
      .keyBy((row) => row.key)
      .window(tumbling(millis(windowMs)))
      .reduce("one", (row) => row)
      .sinkTo("rows", appendSink("rows"));
  },
  expect: (records) => ({
    lists: new Map([["rows", windowRows(records, (record) => record.key)]]),
    tables: new Map(),
  }),
};

interface KeyTotal extends Total {
  readonly key: string;
}

const one = (record: SimRecord): KeyTotal => ({ key: record.key, n: 1, total: record.value });
const touched = (touch: Touch) => (record: SimRecord) => {
  touch(record, "keyed");
  return one(record);
};
const add = (a: KeyTotal, b: KeyTotal): KeyTotal => ({ key: a.key, n: a.n + b.n, total: a.total + b.total });

function keyTotals(records: readonly SimRecord[]): Map<string, KeyTotal> {
  return new Map([...groupBy(records, byKey)].map(([key, own]) => [key, { key, ...totalOf(own) }]));
}

/**
 * Lets through what the task has not seen. Every record comes once, so it holds nothing back, unless a task goes on with a state that
 * has seen what its sources have not.
 */
function unseen(): ProcessFunction<
  SimRecord,
  SimRecord,
  { seen: OperatorStateDescriptor<ListState<number>>; all: OperatorStateDescriptor<ListState<number>> }
> {
  return {
    operatorState: { seen: evenSplitList<number>(), all: unionList<number>() },
    output: type<SimRecord>(),
    onRecord(record, ctx) {
      const { seen, all } = ctx.operatorState;
      if (seen.get().includes(record.id) || all.get().includes(record.id)) return;
      seen.add(record.id);
      all.add(record.id);
      ctx.emit(record);
    },
  };
}

/** Two sources as one, a total that rolls on: the table's rows are written again and again. */
const rolling: Topology = {
  name: "rolling",
  sources: ["a", "b"],
  build(job, touch) {
    read(job, "a", touch)
      .union(read(job, "b", touch))
      .process("unseen", unseen())
      .map("one", touched(touch))
      .keyBy(byKey)
      .reduce("total", add)
      .sinkTo("table", tableSink("table", byKey));
  },
  expect: (records) => ({
    lists: new Map(),
    tables: new Map([["table", keyTotals(records)]]),
  }),
};

/**
 * State of every kind and timers: every window's ids as they were collected, by hand. Beside them state that expires, of which only so
 * much is certain that what was just written is there.
 */
function collector(touch: Touch) {
  const ttl = { after: millis(30), update: "onReadAndWrite" } as const;
  return keyedProcess({
    key: type<string>(),
    state: {
      items: list<SimRecord>(),
      byWindow: map<number, number>(),
      seen: value<number>(),
      recent: list<number>({ ttl: ttl.after }),
      lately: map<number, number>({ ttl }),
      sum: reducing<number>((a, b) => a + b, { ttl }),
    },
    output: type<{ key: string; end: number; ids: number[]; n: number; seen: number }>(),
    onRecord(record: SimRecord, { state, timers }) {
      touch(record, "keyed");
      const end = startOf(record.at, windowMs) + windowMs;
      state.recent.add(record.id);
      state.lately.set(record.id % 5, record.id);
      state.sum.add(1);
      const kept = state.recent.get().includes(record.id) && state.lately.get(record.id % 5) === record.id;
      if (!kept || !(state.sum.get() ?? 0)) throw new Error("what was just written has expired");
      if (record.id % 3 === 0) state.lately.delete(record.id % 5);
      state.items.add(record);
      state.byWindow.set(end, (state.byWindow.get(end) ?? 0) + 1);
      state.seen.set((state.seen.get() ?? 0) + 1);
      timers.eventTime(end);
    },
    onTimer(at, ctx) {
      const { state, key } = ctx;
      const items = state.items.get();
      const due = items.filter((record) => record.at < at);
      const ids = due.map((record) => record.id).sort((a, b) => a - b);
      // What was seen depends on the interleaving; that it is no less than what was due does not.
      const enough = (state.seen.get() ?? 0) >= ids.length ? 1 : 0;
      ctx.emit({ key, end: at, ids, n: state.byWindow.get(at) ?? 0, seen: enough });
      state.items.update(items.filter((record) => record.at >= at));
      state.byWindow.delete(at);
    },
  });
}

/** A total that rolls on, as state of a process function. */
function rollingTotal(touch: Touch) {
  return keyedProcess({
    key: type<string>(),
    state: { total: value<KeyTotal>() },
    output: type<KeyTotal>(),
    onRecord(record: SimRecord, ctx) {
      touch(record, "keyed");
      const { state } = ctx;
      const before = state.total.get();
      const total = before === undefined ? one(record) : add(before, one(record));
      state.total.set(total);
      ctx.emit(total);
    },
  });
}

function collected(records: readonly SimRecord[]) {
  const groups = groupBy(records, (record) => `${record.key} ${startOf(record.at, windowMs)}`);
  return [...groups.values()].map((own) => {
    const first = own[0] as SimRecord;
    const ids = own.map((record) => record.id).sort((a, b) => a - b);
    return { key: first.key, end: startOf(first.at, windowMs) + windowMs, ids, n: ids.length, seen: 1 };
  });
}

const collecting: Topology = {
  name: "collecting",
  sources: ["a", "b"],
  build(job, touch) {
    read(job, "a", touch, ownGenerator)
      .union(read(job, "b", touch, ownGenerator))
      .keyBy((record) => record.key)
      .process("collect", collector(touch))
      .sinkTo("rows", appendSink("rows"));
  },
  expect: (records) => ({ lists: new Map([["rows", collected(records)]]), tables: new Map() }),
};

/** Three stages: windows per key, then larger windows per group of keys over their results. */
const threeStages: Topology = {
  name: "threeStages",
  sources: ["a", "b"],
  build(job, touch) {
    const records: DataStream<SimRecord> = read(job, "a", touch).union(read(job, "b", touch));
    const first = records
      .keyBy((record) => [record.key, record.group] as const)
      .window(tumbling(millis(windowMs)))
      .aggregate("perKey", totals(touch), ([key, group], window, of) => ({
        key,
        group,
        start: window.start,
        n: of.n,
        total: of.total,
      }));
    const second = first
      .keyBy((row) => row.group)
      .window(tumbling(millis(3 * windowMs)))
      .aggregate(
        "perGroup",
        combine({ keys: count(), n: sum<Total>((row) => row.n), total: sum<Total>((row) => row.total) }),
        (group, window, of) => ({ group, start: window.start, keys: of.keys, n: of.n, total: of.total }),
      );
    second.sinkTo("rows", appendSink("rows"));
    first
      .map("rolled", (row): KeyTotal => ({ key: row.group, n: row.n, total: row.total }))
      .keyBy(byKey)
      .reduce("rolling", add)
      .sinkTo("table", tableSink("table", byKey));
  },
  expect: (records) => {
    const firsts = [...groupBy(records, (r) => `${r.key} ${r.group} ${startOf(r.at, windowMs)}`).values()].map((own) => {
      const { group, at } = own[0] as SimRecord;
      return { group, start: startOf(at, windowMs), ...totalOf(own) };
    });
    const addUp = (rows: readonly Total[]): Total => ({
      n: rows.reduce((n, row) => n + row.n, 0),
      total: rows.reduce((n, row) => n + row.total, 0),
    });
    const seconds = [...groupBy(firsts, (row) => `${row.group} ${startOf(row.start, 3 * windowMs)}`).values()].map((rows) => {
      const { group, start } = rows[0] as (typeof firsts)[number];
      return { group, start: startOf(start, 3 * windowMs), keys: rows.length, ...addUp(rows) };
    });
    return {
      lists: new Map([["rows", seconds]]),
      tables: new Map([
        ["table", new Map([...groupBy(firsts, (row) => row.group)].map(([key, rows]) => [key, { key, ...addUp(rows) }]))],
      ]),
    };
  },
};

/** Sources that are keyed already: one task per shard; state, and the versions of rows, follow splits and merges. */
const keyedSources: Topology = {
  name: "keyedSources",
  sources: ["a", "b", "c"],
  build(job, touch) {
    read(job, "a", touch)
      .assumeKeyed((record) => record.key)
      .process("collect", collector(touch))
      .sinkTo("rows", appendSink("rows"));
    read(job, "b", touch)
      .map("ones", touched(touch))
      .keyBy(byKey)
      .reduce("spreadTotal", add)
      .sinkTo("spread", tableSink("spread", byKey));
    read(job, "c", touch)
      .assumeKeyed((record) => record.key)
      .process("total", rollingTotal(touch))
      .sinkTo("table", tableSink("table", byKey, false));
  },
  expect: (records) => ({
    lists: new Map([["rows", collected(from(records, "a"))]]),
    tables: new Map([
      ["spread", keyTotals(from(records, "b"))],
      ["table", keyTotals(from(records, "c"))],
    ]),
  }),
};

/** The smallest of them: a total per key over a source that is keyed already, written to a table by the source's own tasks. */
const keyedRolling: Topology = {
  name: "keyedRolling",
  sources: ["a"],
  build(job, touch) {
    read(job, "a", touch)
      .assumeKeyed((record) => record.key)
      .process("total", rollingTotal(touch))
      .sinkTo("table", tableSink("table", byKey, false));
  },
  expect: (records) => ({ lists: new Map(), tables: new Map([["table", keyTotals(records)]]) }),
};

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
const connected: Topology = {
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
const broadcasting: Topology = {
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

function from(records: readonly SimRecord[], source: string): SimRecord[] {
  return records.filter((record) => record.source === source);
}

const slideMs = 40;
const slidingMs = 3 * slideMs;

/** The records of each key in each sliding window. */
function slides(records: readonly SimRecord[]): { key: string; start: number; own: SimRecord[] }[] {
  const shares = records.flatMap((record) =>
    [0, 1, 2].map((back) => ({ record, start: startOf(record.at, slideMs) - back * slideMs })),
  );
  const windows = new Map<string, { key: string; start: number; own: SimRecord[] }>();
  for (const { record, start } of shares) {
    const name = `${record.key} ${start}`;
    const window = windows.get(name) ?? { key: record.key, start, own: [] };
    window.own.push(record);
    windows.set(name, window);
  }
  return [...windows.values()];
}

const sums = () => combine({ n: count(), total: sum<SimRecord>((record) => record.value) });

/** Windows that overlap, in slices that they share and each for itself, by a trigger that purges; windows of counts, and of all keys. */
const overlapping: Topology = {
  name: "overlapping",
  sources: ["a", "b"],
  build(job, touch) {
    const records = read(job, "a", touch)
      .union(read(job, "b", touch))
      .filter("alive", (record) => {
        // Before the ways part, so that no window has seen a record that another has put aside.
        touch(record, "keyed");
        return true;
      });
    const keyed = records.keyBy((record) => record.key);
    const sliding = keyed.window(slidingWindows(millis(slidingMs), millis(slideMs)));
    sliding
      .aggregate("inSlices", sums(), (key, window, of): WindowRow => ({ key, start: window.start, n: of.n, total: of.total }))
      .sinkTo("sliced", appendSink("sliced"));
    sliding
      .trigger(triggers.purging(triggers.eventTime()))
      .apply("each", (key, { start }, own) => [{ key, start, ids: own.map(({ id }) => id).sort((a, b) => a - b) }])
      .sinkTo("whole", appendSink("whole"));
    keyed
      .window(countWindow(3))
      .aggregate("threes", count(), (key, _window, n) => ({ key, n }))
      .sinkTo("counted", appendSink("counted"));
    records
      .windowAll(tumbling(millis(windowMs)))
      .aggregate("together", sums(), (key, { start }, of) => ({ key, start, n: of.n, total: of.total }))
      .sinkTo("all", appendSink("all"));
  },
  expect: (records) => ({
    lists: new Map<string, readonly unknown[]>([
      ["sliced", slides(records).map(({ key, start, own }) => ({ key, start, ...totalOf(own) }))],
      [
        "whole",
        slides(records).map(({ key, start, own }) => ({ key, start, ids: own.map(({ id }) => id).sort((a, b) => a - b) })),
      ],
      [
        "counted",
        [...groupBy(records, byKey)].flatMap(([key, own]) =>
          Array.from({ length: Math.floor(own.length / 3) }, () => ({ key, n: 3 })),
        ),
      ],
      ["all", windowRows(records, () => "").map((row) => ({ ...row, key: null }))],
    ]),
    tables: new Map(),
  }),
};

export const topologies: readonly Topology[] = [
  assigned,
  windows,
  sessions,
  rolling,
  collecting,
  threeStages,
  keyedSources,
  keyedRolling,
  connected,
  broadcasting,
  overlapping,
  ...windowTopologies,
  alarms,
];
