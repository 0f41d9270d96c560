/** Where generated topologies end: lists, tables, and what becomes of a stream on its way there. Each with its plain recomputation. */
import { average, combine, count, max, sum } from "../../api/aggregators.ts";
import type { Change } from "../../api/changelog-stream.ts";
import type { DataStream } from "../../api/data-stream.ts";
import { millis } from "../../api/duration.ts";
import { keyedProcess, type } from "../../api/functions.ts";
import type { KeyedStream } from "../../api/keyed-stream.ts";
import { aggregating, list, reducing } from "../../api/state.ts";
import { triggers } from "../../api/triggers.ts";
import { calendarDays, countWindow, globalWindow, session, sliding, type TimeWindow, tumbling } from "../../api/windows.ts";
import type { WindowedStream } from "../../api/windowed-stream.ts";
import type { SeededRandom } from "../../base/seeded-random.ts";
import { byClock, byClockOrAtTheEnd, atTheEnd } from "./by-the-clock.ts";
import { byId, byKey, type End, type Row, type Rows, total } from "./generated-rows.ts";
import { appendSink, changedTable, changesSink, customTable, tableSink } from "./sinks.ts";
import { groupBy } from "./topology.ts";

interface KeyTotal {
  readonly key: string;
  readonly n: number;
}

const keyOf = ({ key }: KeyTotal) => key;
const totalsOf = (rows: Rows) => new Map([...groupBy(rows, byKey)].map(([key, own]) => [key, { key, n: total(own) }]));
const tableOf = (rows: Rows) => new Map(rows.map((row) => [row.id, row]));

/** A table of what all of a key come to. */
function sumUp(each: DataStream<KeyTotal>, uid: string): void {
  each
    .keyBy(keyOf)
    .reduce(`${uid}-total`, (a, b) => ({ key: a.key, n: a.n + b.n }))
    .sinkTo(uid, tableSink<KeyTotal>(uid, keyOf));
}

/** What each key has come to, as it changes. */
const changing = (rows: DataStream<Row>, uid: string) =>
  rows.keyBy(byKey).aggregate(`${uid}-sum`, combine({ n: sum<Row>((row) => row.value) }), (key, { n }): KeyTotal => ({ key, n }));

const isShown = ({ n }: KeyTotal) => n % 3 !== 0;
const doubled = ({ key, n }: KeyTotal): KeyTotal => ({ key, n: 2 * n });

const added = ({ kind, value: { key, n } }: Change<KeyTotal>): KeyTotal => ({ key, n: kind === "-U" || kind === "-D" ? -n : n });

const ends: readonly End[] = [
  {
    name: "list",
    build: (rows, uid) => rows.sinkTo(uid, appendSink(uid)),
    expect: (rows) => rows,
  },
  {
    name: "table",
    build: (rows, uid) => rows.sinkTo(uid, tableSink<Row>(uid, byId)),
    expect: tableOf,
  },
  {
    name: "totals",
    build: (rows, uid) =>
      sumUp(
        rows.map(`${uid}-each`, ({ key, value: n }) => ({ key, n })),
        uid,
      ),
    expect: totalsOf,
  },
  {
    name: "own",
    build: (rows, uid, outside) => rows.sinkTo(uid, customTable<Row>(uid, byId, outside)),
    expect: tableOf,
  },
  {
    name: "threes",
    build: (rows, uid) =>
      rows
        .keyBy(byKey)
        .window(countWindow(3))
        .aggregate(`${uid}-three`, count(), (key, _window, n) => ({ key, n }))
        .sinkTo(uid, appendSink(uid)),
    expect: (rows) => everyFew(rows, 3, () => 3),
  },
  {
    name: "fours",
    build: (rows, uid) =>
      rows
        .keyBy(byKey)
        .window(countWindow(4, 2))
        .aggregate(`${uid}-four`, count(), (key, _window, n) => ({ key, n }))
        .sinkTo(uid, appendSink(uid)),
    expect: (rows) => everyFew(rows, 2, (firing) => (firing === 0 ? 2 : 4)),
  },
  {
    name: "all at last",
    build: (rows, uid) =>
      rows
        .keyBy(byKey)
        .window(globalWindow())
        .trigger(triggers.endOfStream())
        .aggregate(`${uid}-last`, count(), (key, _window, n) => ({ key, n }))
        .sinkTo(uid, appendSink(uid)),
    expect: (rows) => [...groupBy(rows, byKey)].map(([key, own]) => ({ key, n: own.length })),
  },
  {
    name: "upserts",
    // A key whose sum is odd has no row, whatever it had before.
    build: (rows, uid) =>
      changing(rows, uid)
        .toUpserts(`${uid}-upserts`, keyOf)
        .filter(`${uid}-even`, ({ n }) => n % 2 === 0)
        .sinkTo(uid, changedTable<KeyTotal>(uid, keyOf)),
    expect: (rows) => new Map([...totalsOf(rows)].filter(([, { n }]) => n % 2 === 0)),
  },
  {
    name: "reread",
    // Changes that are changes by what their records say alone.
    build: (rows, uid) =>
      changing(rows, uid)
        .toChanges(`${uid}-changes`)
        .asChangelog(`${uid}-read`, { mode: "upsert", key: keyOf })
        .map(`${uid}-doubled`, doubled)
        .sinkTo(uid, changedTable<KeyTotal>(uid, keyOf)),
    expect: (rows) => new Map([...totalsOf(rows)].map(([key, { n }]) => [key, { key, n: 2 * n }])),
  },
  {
    name: "retracted",
    shows: "changes",
    // Every row that was given is taken back before another takes its place.
    build: (rows, uid) =>
      changing(rows, uid).filter(`${uid}-some`, isShown).map(`${uid}-doubled`, doubled).sinkTo(uid, changesSink(uid)),
    expect: (rows) => [...totalsOf(rows).values()].filter(isShown).map(doubled),
  },
  {
    name: "retracted again",
    shows: "changes",
    build: (rows, uid) =>
      changing(rows, uid)
        .toChanges(`${uid}-changes`)
        .asChangelog(`${uid}-read`, { mode: "retract", key: keyOf })
        .filter(`${uid}-some`, isShown)
        .sinkTo(uid, changesSink(uid)),
    expect: (rows) => [...totalsOf(rows).values()].filter(isShown),
  },
  {
    name: "gathered",
    build: (rows, uid) => rows.keyBy(byKey).process(`${uid}-gathered`, gathered()).sinkTo(uid, appendSink(uid)),
    expect: (rows) =>
      [...groupBy(rows, byKey)].map(([key, own]) => ({
        key,
        n: own.length,
        mean: total(own) / own.length,
        most: Math.max(...own.map(({ value: n }) => n)),
      })),
  },
  {
    name: "changes",
    build: (rows, uid) => sumUp(changing(rows, uid).toChanges(`${uid}-changes`).map(`${uid}-added`, added), uid),
    expect: totalsOf,
  },
];

interface Gathered extends KeyTotal {
  readonly mean: number;
  readonly most: number;
}

/** All of a key at the end, in states that fold. */
function gathered() {
  const valueOf = ({ value: n }: Row) => n;
  return keyedProcess({
    key: type<string>(),
    state: {
      n: reducing<number>((a, b) => a + b),
      of: aggregating(combine({ mean: average<Row>(valueOf), most: max<Row>(valueOf) })),
    },
    output: type<Gathered>(),
    onRecord(row: Row, { state, timers }) {
      state.n.add(1);
      state.of.add(row);
      timers.eventTime(atTheEnd);
    },
    onTimer(_at, { key, state, emit }) {
      const { mean = NaN, most = NaN } = state.of.get() ?? {};
      emit({ key, n: state.n.get() ?? 0, mean, most });
    },
  });
}

/** Rows of each key for every so many of it. */
function everyFew(rows: Rows, size: number, n: (firing: number) => number): readonly KeyTotal[] {
  return [...groupBy(rows, byKey)].flatMap(([key, own]) =>
    Array.from({ length: Math.floor(own.length / size) }, (_, firing) => ({ key, n: n(firing) })),
  );
}

// ---- by the clock ----

type Windows = (rows: KeyedStream<Row, string>) => WindowedStream<Row, string, TimeWindow>;

/** By name, with how many windows hold a row. */
const clocked: readonly (readonly [name: string, copies: number, windows: Windows])[] = [
  ["tumbling", 1, (rows) => rows.window(tumbling(millis(40), byClock))],
  ["sliding", 3, (rows) => rows.window(sliding(millis(60), millis(20), byClock))],
  ["session", 1, (rows) => rows.window(session(millis(15), byClock))],
  ["dynamic", 1, (rows) => rows.window(session<Row>(({ value: n }) => millis(5 + (n % 20)), byClock))],
  ["days", 1, (rows) => rows.window(calendarDays({ timeZone: "Asia/Tokyo", ...byClock }))],
];

/** Which rows share a window is chance, but each is in as many as overlap. */
function clockEnd(random: SeededRandom): End {
  const [name, copies, windows] = random.pick(clocked);
  return {
    name: `clock ${name}`,
    byClock: true,
    build: (rows, uid) =>
      windows(rows.keyBy(byKey))
        .trigger(byClockOrAtTheEnd())
        .apply(`${uid}-windows`, (_key, _window, own) => own.map(({ id }) => id))
        .sinkTo(uid, appendSink(uid)),
    expect: (rows) => rows.flatMap(({ id }) => Array<string>(copies).fill(id)),
  };
}

/** By the clock alone: what it has not come to when the stream ends does not come out. */
const outOfTime: readonly (readonly [
  name: string,
  rows: (rows: KeyedStream<Row, string>) => WindowedStream<Row, string, any>,
])[] = [
  ["tumbling", (rows) => rows.window(tumbling(millis(30), byClock)).trigger(triggers.processingTime())],
  ["session", (rows) => rows.window(session(millis(12), byClock))],
  [
    "continuous",
    (rows) =>
      rows.window(tumbling(millis(200), byClock)).trigger(triggers.purging(triggers.continuousProcessingTime(millis(15)))),
  ],
  ["all", (rows) => rows.window(globalWindow()).trigger(triggers.purging(triggers.continuousProcessingTime(millis(25))))],
];

function clockAloneEnd(random: SeededRandom): End {
  const [name, windows] = random.pick(outOfTime);
  return {
    name: `clock alone ${name}`,
    byClock: true,
    shows: "some",
    build: (rows, uid) =>
      windows(rows.keyBy(byKey))
        .apply(`${uid}-windows`, (_key, _window, own) => own.map(({ id }) => id))
        .sinkTo(uid, appendSink(uid)),
    expect: (rows) => rows.map(({ id }) => id),
  };
}

/** Rows are kept for a time that a timer of the clock measures. */
function delayedEnd(): End {
  const delayMs = 30;
  const delayed = keyedProcess({
    key: type<string>(),
    state: { kept: list<string>() },
    output: type<string>(),
    onRecord({ id }: Row, { state, timers, processingTime }) {
      state.kept.add(id);
      timers.processingTime(processingTime + delayMs);
      timers.eventTime(atTheEnd);
    },
    onTimer(_at, { state, emit }) {
      for (const id of state.kept.get()) emit(id);
      state.kept.clear();
    },
  });
  return {
    name: "delayed",
    byClock: true,
    build: (rows, uid) => rows.keyBy(byKey).process(`${uid}-delayed`, delayed).sinkTo(uid, appendSink(uid)),
    expect: (rows) => rows.map(({ id }) => id),
  };
}

const clockShare = 0.15;

export function drawEnd(random: SeededRandom): End {
  if (random.chance(clockShare)) return random.pick([clockEnd, clockEnd, delayedEnd, clockAloneEnd])(random);
  return random.pick(ends);
}
