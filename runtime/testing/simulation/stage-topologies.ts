/** Jobs of several stages, and of event time made in their midst. */
import { combine, count, sum } from "../../api/aggregators.ts";
import type { DataStream } from "../../api/data-stream.ts";
import { millis } from "../../api/duration.ts";
import { boundedOutOfOrderness } from "../../api/watermarks.ts";
import { tumbling } from "../../api/windows.ts";
import { appendSink, tableSink } from "./sinks.ts";
import { byKey, groupBy, read, startOf, type Topology } from "./topology.ts";
import { add, type KeyTotal, type Total, totalOf, totals, windowMs, type WindowRow, windowRows } from "./totals.ts";
import type { SimRecord } from "./workload.ts";

/** A bound that is kept however records of different shards interleave. */
const anyOrder = boundedOutOfOrderness(millis(60_000));

/** Event time made in the midst of the stream, behind the source and behind windows. */
export const assigned: Topology = {
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

/** Three stages: windows per key, then larger windows per group of keys over their results. */
export const threeStages: Topology = {
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
