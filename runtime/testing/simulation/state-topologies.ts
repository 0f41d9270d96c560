/** Jobs of state and timers, also over sources that are keyed already. */
import { millis } from "../../api/duration.ts";
import { keyedProcess, type, type ProcessFunction } from "../../api/functions.ts";
import { evenSplitList, type OperatorStateDescriptor, unionList } from "../../api/operator-scoped-state.ts";
import { list, type ListState, map, reducing, value } from "../../api/state.ts";
import { customWatermarks } from "../../api/watermarks.ts";
import { appendSink, tableSink } from "./sinks.ts";
import { byKey, groupBy, read, restless, startOf, type Topology } from "./topology.ts";
import { add, from, keyTotals, type KeyTotal, one, touched, windowMs } from "./totals.ts";
import { outOfOrdernessMs, type SimRecord, type Touch } from "./workload.ts";

/** The same as `inOrder`, as an author would write it: were its state another shard's, records would be late. */
const ownGenerator = customWatermarks<SimRecord, { highest: number }>({
  create: () => ({ highest: 0 }),
  onRecord: (state, _record, timestamp) => {
    if (timestamp <= state.highest) return undefined;
    state.highest = timestamp;
    return timestamp - outOfOrdernessMs - 1;
  },
});

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
export const rolling: Topology = {
  name: "rolling",
  sources: ["a", "b"],
  build(job, touch) {
    read(job, "a", touch, restless)
      .union(read(job, "b", touch, restless))
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

export const collecting: Topology = {
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

/** Sources that are keyed already: one task per shard; state, and the versions of rows, follow splits and merges. */
export const keyedSources: Topology = {
  name: "keyedSources",
  keyedSource: true,
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
export const keyedRolling: Topology = {
  name: "keyedRolling",
  keyedSource: true,
  sources: ["a"],
  build(job, touch) {
    read(job, "a", touch)
      .assumeKeyed((record) => record.key)
      .process("total", rollingTotal(touch))
      .sinkTo("table", tableSink("table", byKey, false));
  },
  expect: (records) => ({ lists: new Map(), tables: new Map([["table", keyTotals(records)]]) }),
};
