/**
 * Event time in generated topologies: made anew in the midst of a stream, and *loose*, where sources fall idle or bounds are too tight. Then
 * which record is late goes by when what was read, so what comes out of windows is looked at only in what that cannot change: every
 * record is in one firing of each window that holds it, or put aside as late.
 */
import { millis, minutes } from "../../api/duration.ts";
import { outputTag } from "../../api/functions.ts";
import type { KeyedStream } from "../../api/keyed-stream.ts";
import { triggers } from "../../api/triggers.ts";
import { boundedOutOfOrderness, type WatermarkStrategy } from "../../api/watermarks.ts";
import { cumulating, session, type TimeWindow, tumbling } from "../../api/windows.ts";
import type { WindowedStream } from "../../api/windowed-stream.ts";
import type { SeededRandom } from "../../base/seeded-random.ts";
import { type Block, byKey, type End, type Row } from "./generated-rows.ts";
import { appendSink } from "./sinks.ts";

/** A bound that is kept however records of different shards, and results of different tasks, interleave. */
const anyOrder = boundedOutOfOrderness(minutes(1));

function timed(name: string, watermarks: WatermarkStrategy<Row>): Block {
  return {
    name,
    stage: false,
    build: (rows, uid) => rows.assignTimestamps(uid, { timestamps: ({ at }) => at, watermarks }),
    expect: (rows) => rows,
  };
}

/** Time is made anew, and nothing is late by it. */
export function timedBlock(): Block {
  return timed("timed", anyOrder);
}

/** Time is made anew, too tight, by operators that may be idle. */
export function tightBlock(random: SeededRandom): Block {
  return timed("tight", loose(boundedOutOfOrderness(millis(random.int(30))), random));
}

/** The same strategy of shards that fall idle, and that may follow the clock then. */
export function loose(watermarks: WatermarkStrategy<any>, random: SeededRandom): WatermarkStrategy<any> {
  const idle = watermarks.withIdleness(millis(random.pick([10, 40, 120])));
  return random.chance(0.2) ? idle.advanceWhenIdle() : idle;
}

type Windows = WindowedStream<Row, string, TimeWindow>;

/** Each row is in one window. */
const windows: readonly (readonly [name: string, (rows: KeyedStream<Row, string>) => Windows])[] = [
  ["tumbling", (rows) => rows.window(tumbling(millis(50)))],
  ["session", (rows) => rows.window(session(millis(20)))],
  ["dynamic session", (rows) => rows.window(session<Row>(({ value: n }) => millis(1 + (n % 40))))],
  ["cumulating", (rows) => rows.window(cumulating(millis(60), millis(60)))],
];

const whenTimeComes = () => triggers.eventTime();
/** By name, with whether windows that merge can have it; by event time, by the clock, by both. */
const ways: readonly (readonly [name: string, merges: boolean, trigger: (windows: Windows) => Windows])[] = [
  ["at its end", true, (rows) => rows.trigger(triggers.purging(whenTimeComes()))],
  ["continually", true, (rows) => rows.trigger(triggers.purging(triggers.continuousEventTime(millis(9))))],
  ["timed out", false, (rows) => rows.trigger(triggers.purging(triggers.timeOut(whenTimeComes(), millis(12))))],
  [
    "put off",
    false,
    (rows) =>
      rows.trigger(
        triggers.purging(
          triggers.timeOut(whenTimeComes(), millis(20), { resetTimerOnNewRecord: true, shouldClearOnTimeout: false }),
        ),
      ),
  ],
];

/** Where loose time shows: each row comes out once, in time or late. */
export function looseEnd(random: SeededRandom): End {
  const [name, open] = random.pick(windows);
  const [how, , fire] = random.pick(ways.filter(([, merges]) => merges || !name.includes("session")));
  const lateness = random.pick([0, 0, 25]);
  return {
    name: `loose ${name} ${how}`,
    byClock: true,
    build: (rows, uid) => {
      const late = outputTag<Row>(`${uid}-late`);
      const fired = fire(open(rows.keyBy(byKey)))
        .allowedLateness(millis(lateness))
        .sideOutputLate(late)
        .apply(`${uid}-windows`, (_key, _window, own) => own.map(({ id }) => id));
      fired.union(fired.sideOutput(late).map(`${uid}-late-ids`, ({ id }) => id)).sinkTo(uid, appendSink(uid));
    },
    expect: (rows) => rows.map(({ id }) => id),
  };
}
