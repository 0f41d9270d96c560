/** The example of docs/testing-jobs.md: one job, and two sinks for it. Only one of them is exactly-once. */
import {
  boundedOutOfOrderness,
  count,
  customSink,
  defineJob,
  files,
  type Job,
  minutes,
  ndjson,
  seconds,
  type Sink,
  tumbling,
  type,
} from "../../runtime/index.ts";

export interface View {
  readonly page: string;
  /** Epoch ms. */
  readonly at: number;
}

export interface PerMinute {
  readonly page: string;
  readonly start: number;
  readonly views: number;
}

export function pageCounts(sink: Sink<PerMinute>): Job {
  return defineJob("page-counts", (job) => {
    job
      .source("views", files({ paths: "views.ndjson", format: ndjson(type<View>()) }), {
        timestamps: ({ at }) => at,
        watermarks: boundedOutOfOrderness(seconds(60)),
      })
      .keyBy(({ page }) => page)
      .window(tumbling(minutes(1)))
      .aggregate("per-minute", count(), (page, { start }, views): PerMinute => ({ page, start, views }))
      .sinkTo("totals", sink);
  });
}

/** Adds to each page's total: a row that comes again is counted again. */
export function addingSink(totals: Map<string, number>): Sink<PerMinute> {
  return customSink<PerMinute>({
    name: "totals",
    guarantee: "exactlyOnce",
    write(rows) {
      for (const { value } of rows) totals.set(value.page, (totals.get(value.page) ?? 0) + value.views);
    },
  });
}

export interface Held {
  readonly row: PerMinute;
  readonly version: bigint;
}

/** Keeps a row per page and minute, and replaces it by a newer one alone: it may come again, however late. */
export function replacingSink(held: Map<string, Held>): Sink<PerMinute> {
  return customSink<PerMinute>({
    name: "totals",
    guarantee: "exactlyOnce",
    key: ({ page, start }) => [page, start],
    write(rows) {
      for (const { value: row, version } of rows) {
        const key = `${row.page} ${row.start}`;
        if ((held.get(key)?.version ?? -1n) < version) held.set(key, { row, version });
      }
    },
  });
}
