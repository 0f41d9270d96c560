/** Jobs of windows that are common: tumbling, sessions, overlapping. */
import { combine, count, sum } from "../../api/aggregators.ts";
import { millis } from "../../api/duration.ts";
import { triggers } from "../../api/triggers.ts";
import { countWindow, session, sliding as slidingWindows, tumbling } from "../../api/windows.ts";
import { appendSink, tableSink } from "./sinks.ts";
import { aligned, byKey, groupBy, read, startOf, type Topology } from "./topology.ts";
import { type Total, totalOf, totals, windowMs, type WindowRow, windowRows } from "./totals.ts";
import type { SimRecord } from "./workload.ts";

const gapMs = 45;

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

/**
 * The smallest of all: few records, one stage of windows, most often of one task, few payloads that are objects, never in batch mode. For
 * many seeds a second.
 */
export const small: Topology = {
  name: "small",
  draw: (random) => ({
    records: random.between(6, 14),
    parallelism: random.pick([1, 1, 2]),
    payload: { inlineBytesMax: random.pick([1_500, Infinity]), compressFromBytes: Infinity },
    restores: random.int(2),
    reshardings: random.int(2),
    redeployments: random.int(2),
    environments: random.between(1, 2),
    staysOpen: random.chance(0.2),
  }),
  sources: ["a"],
  asTheyCome: true,
  build(job, touch) {
    read(job, "a", touch)
      .keyBy((record) => record.key)
      .window(tumbling(millis(windowMs)))
      .aggregate("perWindow", totals(touch), (key, { start }, { n, total }): WindowRow => ({ key, start, n, total }))
      .sinkTo("rows", appendSink("rows"));
  },
  expect: (records) => ({
    lists: new Map([["rows", windowRows(records, (record) => record.key)]]),
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
export const sessions: Topology = {
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
export const overlapping: Topology = {
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
