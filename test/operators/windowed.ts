/** Jobs of one window operator, for tests. */
import { count, type TimeWindow, type Window, type WindowAssigner, type WindowedStream } from "../../runtime/index.ts";
import { type Event, pipeline } from "./pipeline.ts";

export type Windowed<W extends Window = TimeWindow> = WindowedStream<Event, string, W>;
type Prepare<W extends Window> = (windows: Windowed<W>) => Windowed<W>;

/** Counts per key and window, after `prepare`; emits [key, start, end, count]. The uid is "count". */
export function counts(assigner: WindowAssigner<any, TimeWindow>, prepare: Prepare<TimeWindow> = (windows) => windows) {
  return pipeline((events) =>
    prepare(events.keyBy(({ key }) => key as string).window(assigner)).aggregate("count", count(), (key, { start, end }, n) => [
      key,
      start,
      end,
      n,
    ]),
  );
}

/** The `n` of each window's records, after `prepare`; emits [key, n, n, …]. The uid is "all". */
export function collected<W extends Window>(assigner: WindowAssigner<any, W>, prepare: Prepare<W> = (windows) => windows) {
  return pipeline((events) =>
    prepare(events.keyBy(({ key }) => key as string).window(assigner)).apply("all", (key, _window, values) => [
      [key, ...values.map(({ n }) => n)],
    ]),
  );
}
