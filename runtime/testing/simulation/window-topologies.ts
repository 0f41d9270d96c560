/**
 * Jobs with every kind of window, trigger and evictor, and their oracles. What depends on the order in which a key's records come has
 * one source, which keeps it; what depends on when watermarks or the clock pass is looked at only in what they cannot change: each
 * record comes out once, or the last row of each window is that of all its records.
 */
import { combine, count } from "../../api/aggregators.ts";
import type { DataStream } from "../../api/data-stream.ts";
import { hours, millis } from "../../api/duration.ts";
import { evictors } from "../../api/evictors.ts";
import { outputTag } from "../../api/functions.ts";
import type { JobBuilder } from "../../api/job-builder.ts";
import { reducing, value } from "../../api/state.ts";
import { type Trigger, triggers } from "../../api/triggers.ts";
import { boundedOutOfOrderness } from "../../api/watermarks.ts";
import type { WindowedStream } from "../../api/windowed-stream.ts";
import {
  calendarDays,
  calendarWeeks,
  countWindow,
  cumulating,
  globalWindow,
  session,
  sliding,
  type TimeWindow,
  tumbling,
  type Window,
} from "../../api/windows.ts";
import { byClock, byClockOrAtTheEnd } from "./by-the-clock.ts";
import { appendSink, tableSink } from "./sinks.ts";
import { byKey, groupBy, read, restless, startOf, type Topology } from "./topology.ts";
import type { SimRecord, Touch } from "./workload.ts";

type Records = readonly SimRecord[];
type Windows<W extends Window = TimeWindow> = WindowedStream<SimRecord, any, W>;

/** Before the ways part, so that no window has seen a record that another has put aside. */
function alive(records: DataStream<SimRecord>, touch: Touch): DataStream<SimRecord> {
  return records.filter("alive", (record) => {
    touch(record, "keyed");
    return true;
  });
}

const idsOf = (records: Records) => records.map(({ id }) => id);
const ascending = (ids: readonly number[]) => ids.toSorted((a, b) => a - b);

/** All the ids of each firing, as they lie in the window or sorted, to a list of the operator's name. */
function listIds(windows: Windows<any>, uid: string, order: (ids: readonly number[]) => readonly number[] = (ids) => ids): void {
  windows
    .apply(`${uid}Windows`, (key, window: TimeWindow, own) => [{ key, end: window.end, ids: order(idsOf(own)) }])
    .sinkTo(uid, appendSink(uid));
}

interface Row {
  readonly key: string | null;
  readonly end: number;
  readonly ids: readonly number[];
}

/** The records of each key by windows of which `ends` tells; in their order. */
function rowsBy(
  records: Records,
  ends: (record: SimRecord) => readonly number[],
  keyOf = (r: SimRecord): string | null => r.key,
) {
  const shares = records.flatMap((record) => ends(record).map((end) => ({ record, end })));
  return [...groupBy(shares, ({ record, end }) => `${keyOf(record)} ${end}`).values()].map((own): Row => {
    const [{ record, end }] = own as [(typeof own)[number]];
    return { key: keyOf(record), end, ids: own.map((share) => share.record.id) };
  });
}

const sortedRows = (rows: readonly Row[]) => rows.map((row) => ({ ...row, ids: ascending(row.ids) }));

const sizeMs = 100;
const stepMs = 25;
const offsetMs = -30;
const endOf = ({ at }: SimRecord) => startOf(at - offsetMs, sizeMs) + offsetMs + sizeMs;
const gapOf = ({ value: n }: SimRecord) => 10 * n;

/** Records that stand together: each is followed, before its gap ends or as it ends, by the next. */
function sessionsOf(records: Records, key: string | null, gap: (record: SimRecord) => number): Row[] {
  const rows: { key: string | null; end: number; ids: number[] }[] = [];
  for (const record of records.toSorted((a, b) => a.at - b.at)) {
    const open = rows.at(-1);
    if (open === undefined || record.at > open.end) rows.push({ key, end: record.at + gap(record), ids: [record.id] });
    else {
      open.end = Math.max(open.end, record.at + gap(record));
      open.ids.push(record.id);
    }
  }
  return rows;
}

/** Windows of event time that each fire once, at their ends. */
const windowKinds: Topology = {
  name: "windowKinds",
  sources: ["a", "b"],
  build(job, touch) {
    const records = alive(read(job, "a", touch).union(read(job, "b", touch)), touch);
    const keyed = records.keyBy((record) => record.key);
    const lasting = keyed.window(tumbling(millis(sizeMs), { offset: millis(offsetMs) })).allowedLateness(millis(70));
    listIds(lasting, "shifted", ascending);
    keyed
      .window(cumulating(millis(stepMs), millis(sizeMs)))
      .aggregate("growingWindows", combine({ n: count() }), (key, { end }, { n }) => ({ key, end, n }))
      .sinkTo("growing", appendSink("growing"));
    listIds(
      keyed.window(session<SimRecord>((record) => millis(gapOf(record)))).allowedLateness(millis(30)),
      "dynamic",
      ascending,
    );
    listIds(records.windowAll(session(millis(3))), "together", ascending);
    listIds(keyed.window(calendarDays({ timeZone: "Asia/Tokyo" })), "days", ascending);
    listIds(keyed.window(calendarWeeks({ timeZone: "America/New_York", startsOn: "sunday" })), "weeks", ascending);
    listIds(keyed.window(globalWindow()).trigger(triggers.never()), "nothing");
  },
  expect(records) {
    const own = [...groupBy(records, byKey)];
    const steps = ({ at }: SimRecord) =>
      [0, 1, 2, 3].map((n) => startOf(at, sizeMs) + (n + 1) * stepMs).filter((end) => end > at);
    // Midnight in Tokyo, and of a Sunday in New York, after these first seconds of 1970.
    const [day, week] = [hours(15), Date.UTC(1970, 0, 4, 5)];
    return {
      lists: new Map<string, readonly unknown[]>([
        ["shifted", sortedRows(rowsBy(records, (record) => [endOf(record)]))],
        ["growing", rowsBy(records, steps).map(({ key, end, ids }) => ({ key, end, n: ids.length }))],
        ["dynamic", sortedRows(own.flatMap(([key, list]) => sessionsOf(list, key, gapOf)))],
        ["together", sortedRows(sessionsOf(records, null, () => 3))],
        ["days", sortedRows(rowsBy(records, () => [day]))],
        ["weeks", sortedRows(rowsBy(records, () => [week]))],
        ["nothing", []],
      ]),
      tables: new Map(),
    };
  },
};

const farMs = 25;
const apart = (a: SimRecord, b: SimRecord) => Math.abs(a.at - b.at);

/** Windows, triggers and evictors that go by the order of a key's records. */
const inSequence: Topology = {
  name: "inSequence",
  asTheyCome: true,
  sources: ["a"],
  build(job, touch) {
    const keyed = alive(read(job, "a", touch), touch).keyBy((record) => record.key);
    const always = keyed.window(globalWindow());
    const shifted = keyed.window(tumbling(millis(sizeMs), { offset: millis(offsetMs) }));
    listIds(keyed.window(countWindow(3)), "threes");
    listIds(keyed.window(countWindow(4, 2)), "fours");
    listIds(always.trigger(triggers.delta<SimRecord>(farMs, apart)), "far");
    listIds(always.trigger(triggers.endOfStream()), "atLast");
    listIds(always.trigger(triggers.count(2)).evictor(evictors.count(1, { after: true })), "oneKept");
    listIds(shifted.evictor(evictors.count(2)), "lastTwo");
    listIds(shifted.evictor(evictors.time(millis(farMs))), "recent");
    listIds(shifted.evictor(evictors.delta<SimRecord>(farMs, apart)), "near");
    latest(shifted.trigger(triggers.continuousEventTime(millis(20))), "continuous");
    latest(shifted.trigger(weighed()), "weighed");
  },
  expect(records) {
    const own = [...groupBy(records, byKey)];
    const always = (firings: (list: Records) => readonly Records[]) =>
      own.flatMap(([key, list]) => firings(list).map((fired) => ({ key, end: 2 ** 53, ids: idsOf(fired) })));
    const every = (n: number) => (list: Records) =>
      list.flatMap((_record, i) => ((i + 1) % n === 0 ? [list.slice(0, i + 1)] : []));
    const whole = rowsBy(records, (record) => [endOf(record)]);
    const byId = new Map(records.map((record) => [record.id, record]));
    const kept = (evict: (list: Records) => Records) =>
      whole.map((row) => ({ ...row, ids: idsOf(evict(row.ids.map((id) => byId.get(id) as SimRecord))) }));
    const latestRows = new Map(whole.map((row) => [`${row.key}@${row.end}`, { ...row, ids: ascending(row.ids) }]));
    return {
      lists: new Map<string, readonly unknown[]>([
        ["threes", always((list) => every(3)(list).map((all) => all.slice(-3)))],
        ["fours", always((list) => every(2)(list).map((all) => all.slice(-4)))],
        ["far", always(farFirings)],
        ["atLast", always((list) => [list])],
        ["oneKept", always((list) => every(2)(list).map((all) => all.slice(-3)))],
        ["lastTwo", kept((list) => list.slice(-2))],
        ["recent", kept((list) => list.filter(({ at }) => at > Math.max(...list.map((other) => other.at)) - farMs))],
        ["near", kept((list) => list.filter((record) => apart(record, list.at(-1) as SimRecord) < farMs))],
      ]),
      tables: new Map([
        ["continuous", latestRows],
        ["weighed", latestRows],
      ]),
    };
  },
};

function farFirings(list: Records): Records[] {
  const firings: Records[] = [];
  let last = list[0] as SimRecord;
  for (const [i, record] of list.entries()) {
    if (apart(last, record) <= farMs) continue;
    last = record;
    firings.push(list.slice(0, i + 1));
  }
  return firings;
}

/** The last row of each window, as a table. */
function latest(windows: Windows, uid: string): void {
  windows
    .apply(`${uid}Windows`, (key: string, { end }, own): Row[] => [{ key, end, ids: ascending(idsOf(own)) }])
    .sinkTo(
      uid,
      tableSink(uid, (row: Row) => `${row.key}@${row.end}`),
    );
}

/** One of the author's own, with state and timers, for windows that merge too: it fires in between by what it has weighed. */
function weighed(): Trigger<SimRecord, TimeWindow> {
  return triggers.custom({
    state: { weight: reducing<number>((a, b) => a + b), last: value<number>() },
    onElement(record: SimRecord, _timestamp, window: TimeWindow, { state, timers, watermark }) {
      if (window.maxTimestamp <= watermark) return "fire";
      timers.eventTime(window.maxTimestamp);
      state.weight.add(record.value);
      state.last.set(record.id);
      if ((state.weight.get() ?? 0) < 12) return "continue";
      state.weight.clear();
      return "fire";
    },
    onEventTime: (at, window) => (at === window.maxTimestamp ? "fire" : "continue"),
    onMerge: (window, { timers, watermark }) => {
      if (window.maxTimestamp > watermark) timers.eventTime(window.maxTimestamp);
    },
    onClear: (window, { timers }) => timers.cancelEventTime(window.maxTimestamp),
  });
}

const tooTight = boundedOutOfOrderness(millis(5)).withIdleness(millis(25));

/** Each record on its way: in one of the window's firings, which are purged, or late. */
function once(windows: Windows, uid: string): void {
  const late = outputTag<SimRecord>(`${uid}Late`);
  const fired = windows.sideOutputLate(late).apply(`${uid}Windows`, (_key, _window, own) => idsOf(own));
  fired.union(fired.sideOutput(late).map(`${uid}LateIds`, ({ id }) => id)).sinkTo(uid, appendSink(uid));
}

const onceEach = (uids: readonly string[], records: Records, times = 1) =>
  uids.map((uid) => [uid, idsOf(records).flatMap((id) => Array<number>(times).fill(id))] as const);

const purging = (trigger: Trigger<any, any>) => triggers.purging(trigger);

/** Watermarks run ahead of many records: they are late, or fire their windows again. */
const latecomers: Topology = {
  name: "latecomers",
  asTheyCome: true,
  sources: ["a", "b"],
  build(job, touch) {
    const records = alive(read(job, "a", touch, tooTight).union(read(job, "b", touch, tooTight)), touch);
    const keyed = records.keyBy((record) => record.key);
    const fixed = () => keyed.window(tumbling(millis(30)));
    once(fixed().trigger(purging(triggers.eventTime())), "late");
    once(fixed().trigger(purging(triggers.eventTime())).allowedLateness(millis(15)), "belated");
    once(
      fixed()
        .trigger(purging(triggers.continuousEventTime(millis(7))))
        .allowedLateness(millis(9)),
      "continual",
    );
    once(fixed().trigger(purging(triggers.timeOut(triggers.eventTime(), millis(10)))), "timedOut");
    once(
      fixed()
        .trigger(purging(triggers.timeOut(triggers.count(2), millis(8))))
        .allowedLateness(millis(12)),
      "pairs",
    );
    const sessions = () => keyed.window(session<SimRecord>((record) => millis(gapOf(record))));
    once(sessions().trigger(purging(triggers.eventTime())).allowedLateness(millis(15)), "sessions");
    once(sessions().trigger(purging(weighed())).allowedLateness(millis(10)), "weighedSessions");
    once(sessions().trigger(purging(triggers.eventTime())).evictor(evictors.count(1_000)), "evicted");
  },
  expect: (records) => ({
    lists: new Map<string, readonly unknown[]>(
      onceEach(["late", "belated", "continual", "timedOut", "pairs", "sessions", "weighedSessions", "evicted"], records),
    ),
    tables: new Map(),
  }),
};

/** Windows that go by the clock: which records share one is chance, but each is in as many as overlap. */
const clockwork: Topology = {
  name: "clockwork",
  asTheyCome: true,
  sources: ["a", "b"],
  build(job: JobBuilder, touch) {
    const records = alive(read(job, "a", touch, restless).union(read(job, "b", touch, restless)), touch);
    const keyed = records.keyBy((record) => record.key);
    const trigger = byClockOrAtTheEnd();
    once(keyed.window(tumbling(millis(40), byClock)).trigger(trigger), "minutes");
    once(keyed.window(sliding(millis(60), millis(20), byClock)).trigger(trigger), "threefold");
    once(keyed.window(session(millis(15), byClock)).trigger(trigger), "busy");
    once(keyed.window(session<SimRecord>((record) => millis(gapOf(record)), byClock)).trigger(trigger), "busier");
    once(records.windowAll(tumbling(millis(25), byClock)).trigger(trigger), "together");
  },
  expect: (records) => ({
    lists: new Map<string, readonly unknown[]>([
      ...onceEach(["minutes", "busy", "busier", "together"], records),
      ...onceEach(["threefold"], records, 3),
    ]),
    tables: new Map(),
  }),
};

export const windowTopologies: readonly Topology[] = [windowKinds, inSequence, latecomers, clockwork];
