/**
 * What topologies are generated of: steps of a stream of rows, each with its plain recomputation.
 *
 * B1 What a block gives is a function of the rows that come in, as a multiset, whatever their order; no row that it gives is late.
 * B2 Ids are unique in a stream.
 */
import { average, combine, count, max, min, sum } from "../../api/aggregators.ts";
import type { DataStream } from "../../api/data-stream.ts";
import { hours, millis } from "../../api/duration.ts";
import { evictors } from "../../api/evictors.ts";
import { firstOfKey } from "../../api/first-of-key.ts";
import { keyedProcess, outputTag, type } from "../../api/functions.ts";
import type { KeyedStream } from "../../api/keyed-stream.ts";
import { list, map, reducing } from "../../api/state.ts";
import { triggers } from "../../api/triggers.ts";
import { calendarDays, calendarWeeks, cumulating, session, sliding, type TimeWindow, tumbling } from "../../api/windows.ts";
import type { WindowedStream } from "../../api/windowed-stream.ts";
import type { SeededRandom } from "../../base/seeded-random.ts";
import { collected, pairedBlock, ruledBlock, withinBlock } from "./generated-pairs.ts";
import { type Block, byId, byKey, type Row, type Rows, rowOf, total } from "./generated-rows.ts";
import { tightBlock, timedBlock } from "./generated-time.ts";
import { sidesBlock, toldBlock } from "./generated-unkeyed.ts";
import { groupBy, startOf } from "./topology.ts";

// ---- windows ----

interface Kind {
  readonly name: string;
  windows(rows: KeyedStream<Row, string>): WindowedStream<Row, string, TimeWindow>;
  /** The ends of a key's windows, and the rows in each. */
  shares(rows: Rows): readonly { readonly end: number; readonly own: Rows }[];
}

/** Windows whose ends each row knows by itself. */
function byEnds(rows: Rows, endsOf: (row: Row) => readonly number[]) {
  const shares = rows.flatMap((row) => endsOf(row).map((end) => ({ row, end })));
  return [...groupBy(shares, ({ end }) => String(end)).values()].map((own) => ({
    end: own[0]!.end,
    own: own.map(({ row }) => row),
  }));
}

function sessionsOf(rows: Rows, gap: (row: Row) => number) {
  const sessions: { end: number; own: Row[] }[] = [];
  for (const row of rows.toSorted((a, b) => a.at - b.at)) {
    const last = sessions.at(-1);
    if (last === undefined || row.at > last.end) sessions.push({ end: row.at + gap(row), own: [row] });
    else {
      last.end = Math.max(last.end, row.at + gap(row));
      last.own.push(row);
    }
  }
  return sessions;
}

const dayMs = 24 * 3_600_000;

const kinds: readonly ((random: SeededRandom) => Kind)[] = [
  (random) => {
    const [size, offset] = [random.pick([40, 100, 250]), random.pick([0, -30, 15])];
    return {
      name: `tumbling ${size} ${offset}`,
      windows: (rows) => rows.window(tumbling(millis(size), { offset: millis(offset) })),
      shares: (rows) => byEnds(rows, ({ at }) => [startOf(at - offset, size) + offset + size]),
    };
  },
  (random) => {
    const step = random.pick([25, 40]);
    return {
      name: `sliding ${step}`,
      windows: (rows) => rows.window(sliding(millis(3 * step), millis(step))),
      shares: (rows) => byEnds(rows, ({ at }) => [1, 2, 3].map((n) => startOf(at, step) + n * step)),
    };
  },
  (random) => {
    const step = random.pick([25, 50]);
    return {
      name: `cumulating ${step}`,
      windows: (rows) => rows.window(cumulating(millis(step), millis(3 * step))),
      shares: (rows) =>
        byEnds(rows, ({ at }) => [1, 2, 3].map((n) => startOf(at, 3 * step) + n * step).filter((end) => end > at)),
    };
  },
  (random) => {
    const gap = random.pick([12, 45]);
    return {
      name: `session ${gap}`,
      windows: (rows) => rows.window(session(millis(gap))),
      shares: (rows) => sessionsOf(rows, () => gap),
    };
  },
  () => {
    const gap = ({ value: n }: Row) => 3 + (n % 40);
    return {
      name: "dynamic session",
      windows: (rows) => rows.window(session<Row>((row) => millis(gap(row)))),
      shares: (rows) => sessionsOf(rows, gap),
    };
  },
  () => {
    const [offset, end] = [hours(9), (at: number) => startOf(at + 9 * 3_600_000, dayMs) + dayMs];
    return {
      name: "days",
      windows: (rows) => rows.window(calendarDays({ timeZone: "Asia/Tokyo" })),
      shares: (rows) => byEnds(rows, ({ at }) => [end(at) - offset]),
    };
  },
  () => {
    // 1 January 1970 was a Thursday: three days after a Monday; the zone has no summer time.
    const [zoneMs, weekMs, sinceMonday] = [hours(9), 7 * dayMs, 3 * dayMs];
    const end = (at: number) => startOf(at + zoneMs + sinceMonday, weekMs) + weekMs - sinceMonday - zoneMs;
    return {
      name: "weeks",
      windows: (rows) => rows.window(calendarWeeks({ timeZone: "Asia/Tokyo" })),
      shares: (rows) => byEnds(rows, ({ at }) => [end(at)]),
    };
  },
];

type Windows = WindowedStream<Row, string, TimeWindow>;

const valueOf = ({ value: n }: Row) => n;

function apply(windows: Windows, uid: string): DataStream<Row> {
  return windows.apply(uid, (key, { end }, own) => [rowOf(uid, key, end, total(own))]);
}

/** The sum of a window's values, in the ways that windows have. */
const sums: readonly ((windows: Windows, uid: string) => DataStream<Row>)[] = [
  (windows, uid) =>
    windows.aggregate(uid, combine({ n: sum<Row>((row) => row.value) }), (key, { end }, { n }) => rowOf(uid, key, end, n)),
  (windows, uid) =>
    windows.reduce(
      uid,
      (a, b) => ({ ...a, value: a.value + b.value }),
      (key, { end }, row) => rowOf(uid, key, end, row.value),
    ),
  apply,
  (windows, uid) => apply(windows.trigger(triggers.purging(triggers.eventTime())), uid),
  (windows, uid) => apply(windows.allowedLateness(millis(30)), uid),
  (windows, uid) => apply(windows.evictor(evictors.count(1_000)), uid),
  // The mean of whole numbers, times how many there are, is their sum again.
  (windows, uid) =>
    windows.aggregate(
      uid,
      combine({ mean: average<Row>(valueOf), n: count(), least: min<Row>(valueOf), most: max<Row>(valueOf) }),
      (key, { end }, { mean, n, least, most }) => {
        if (!(least <= mean && mean <= most)) throw new Error(`the mean lies outside: ${least}, ${mean}, ${most}`);
        return rowOf(uid, key, end, Math.round(mean * n));
      },
    ),
  (windows, uid) =>
    windows.process(uid, {
      state: { fired: reducing<number>((a, b) => a + b) },
      windowState: { fired: list<number>() },
      output: type<Row>(),
      onWindow({ end }, values, { key, state, windowState, emit }) {
        if (windowState.fired.get().length > 0) throw new Error(`a window has fired twice: ${key} ${end}`);
        windowState.fired.add(end);
        state.fired.add(1);
        emit(rowOf(uid, key, end, total([...values])));
      },
      onClear: (_window, { windowState }) => windowState.fired.clear(),
    }),
];

function windowBlock(random: SeededRandom): Block {
  const kind = random.pick(kinds)(random);
  const way = random.pick(sums);
  return {
    name: `${kind.name} as ${sums.indexOf(way)}`,
    stage: true,
    build: (rows, uid) => way(kind.windows(rows.keyBy(byKey)), uid),
    expect: (rows, uid) =>
      [...groupBy(rows, byKey)].flatMap(([key, own]) =>
        kind.shares(own).map(({ end, own: share }) => rowOf(uid, key, end, total(share))),
      ),
  };
}

/** One window of all keys at a time. */
function togetherBlock(): Block {
  const size = 60;
  return {
    name: "together",
    stage: true,
    build: (rows, uid) =>
      rows.windowAll(tumbling(millis(size))).apply(uid, (_key, { end }, own) => [rowOf(uid, "all", end, total(own))]),
    expect: (rows, uid) =>
      byEnds(rows, ({ at }) => [startOf(at, size) + size]).map(({ end, own }) => rowOf(uid, "all", end, total(own))),
  };
}

// ---- state and timers ----

/** What a key has by a time, collected by hand: a row of it when that time comes. */
function collectBlock(): Block {
  const size = 80;
  const endOf = ({ at }: Row) => startOf(at, size) + size;
  return {
    name: "collect",
    stage: true,
    build: (rows, uid) => {
      const collect = keyedProcess({
        key: type<string>(),
        state: { rows: list<Row>(), byEnd: map<number, number>() },
        output: type<Row>(),
        onRecord(row: Row, { state, timers }) {
          state.rows.add(row);
          state.byEnd.set(endOf(row), (state.byEnd.get(endOf(row)) ?? 0) + 1);
          timers.eventTime(endOf(row));
        },
        onTimer(end, ctx) {
          const all = ctx.state.rows.get();
          const due = all.filter((row) => endOf(row) === end);
          if (due.length !== ctx.state.byEnd.get(end)) throw new Error("two states of a key differ");
          ctx.emit(collected(uid, ctx.key, end, total(due)));
          ctx.state.byEnd.delete(end);
          ctx.state.rows.update(all.filter((row) => endOf(row) !== end));
        },
      });
      return rows.keyBy(byKey).process(uid, collect);
    },
    expect: (rows, uid) =>
      [...groupBy(rows, byKey)].flatMap(([key, own]) =>
        byEnds(own, (row) => [endOf(row)]).map((share) => collected(uid, key, share.end, total(share.own))),
      ),
  };
}

/** Lets through what it has not seen: all, if its state and its input go together. */
function unseenBlock(): Block {
  return {
    name: "unseen",
    stage: true,
    build: (rows, uid) => rows.keyBy(byKey).process(uid, unseen()),
    expect: (rows) => rows,
  };
}

/** Also first behind a source that is keyed already. */
export function unseen() {
  return keyedProcess({
    key: type<string>(),
    state: { seen: map<string, boolean>() },
    output: type<Row>(),
    onRecord(row: Row, ctx) {
      if (ctx.state.seen.get(row.id) === true) return;
      ctx.state.seen.set(row.id, true);
      ctx.emit(row);
    },
  });
}

/** Every row comes twice, and passes once. */
function onceBlock(): Block {
  return {
    name: "once",
    stage: true,
    build: (rows, uid) =>
      rows
        .flatMap(`${uid}-again`, (row) => [row, row])
        .keyBy(byId)
        .process(uid, firstOfKey({ within: hours(24) })),
    expect: (rows) => rows,
  };
}

// ---- without state ----

/** Rows to two streams, and together again. */
function partedBlock(): Block {
  const even = ({ value: n }: Row) => n % 2 === 0;
  const odd = (row: Row): Row => ({ ...row, value: row.value + 1 });
  return {
    name: "parted",
    stage: false,
    build: (rows, uid) => {
      const odds = outputTag<Row>(`${uid}-odds`);
      const parted = rows.process(uid, {
        output: type<Row>(),
        sideOutputs: [odds],
        onRecord: (row, ctx) => (even(row) ? ctx.emit(row) : ctx.output(odds, row)),
      });
      return parted.union(parted.sideOutput(odds).map(`${uid}-odd`, odd));
    },
    expect: (rows) => rows.map((row) => (even(row) ? row : odd(row))),
  };
}

/** So large that commits do not hold them: their payload lies elsewhere. */
function paddedBlock(random: SeededRandom): Block {
  const pad = "x".repeat(random.pick([100, 350]));
  const padded = (row: Row): Row => ({ ...row, pad });
  return {
    name: `padded ${pad.length}`,
    stage: false,
    build: (rows, uid) => rows.map(uid, padded),
    expect: (rows) => rows.map(padded),
  };
}

function twiceBlock(): Block {
  const both = (uid: string) => (row: Row) => [row, { ...row, id: `${row.id} ${uid}`, key: `${row.key}'` }];
  return {
    name: "twice",
    stage: false,
    build: (rows, uid) => rows.flatMap(uid, both(uid)),
    expect: (rows, uid) => rows.flatMap(both(uid)),
  };
}

function keptBlock(): Block {
  const kept = ({ value: n }: Row) => n % 3 !== 0;
  return { name: "kept", stage: false, build: (rows, uid) => rows.filter(uid, kept), expect: (rows) => rows.filter(kept) };
}

/** Not in the task of what stands before it, or of anything; or in so many tasks, whatever the job has. */
function apartBlock(random: SeededRandom): Block {
  const options = random.pick([{ chain: "new" }, { chain: "never" }, { parallelism: 2 }] as const);
  const apart = (rows: DataStream<Row>) => ("parallelism" in options ? rows.rebalance() : rows);
  return {
    name: "apart",
    stage: true,
    build: (rows, uid) =>
      apart(rows)
        .map(uid, (row) => row)
        .with(options),
    expect: (rows) => rows,
  };
}

function spreadBlock(random: SeededRandom): Block {
  const global = random.chance(0.3);
  return {
    name: global ? "global" : "rebalanced",
    stage: true,
    build: (rows, uid) => (global ? rows.global() : rows.rebalance()).map(uid, (row) => row),
    expect: (rows) => rows,
  };
}

type Draw = (random: SeededRandom) => Block;

/** Without event time. */
const timeless: readonly Draw[] = [unseenBlock, unseenBlock, spreadBlock, toldBlock];
const stages: readonly Draw[] = [
  ...[windowBlock, windowBlock, windowBlock, windowBlock, togetherBlock, collectBlock, collectBlock],
  ...[pairedBlock, withinBlock, ruledBlock, onceBlock],
  ...[unseenBlock, spreadBlock, toldBlock],
];
const steps: readonly Draw[] = [partedBlock, paddedBlock, twiceBlock, keptBlock, sidesBlock, apartBlock];

/** Steps, of which one is a stage. `isLoose`: records may be late. */
export function drawStage(random: SeededRandom, isLoose = false): readonly Block[] {
  const stage = random.pick(isLoose ? timeless : stages)(random);
  return random.chance(0.4) ? [random.pick([...steps, isLoose ? tightBlock : timedBlock])(random), stage] : [stage];
}
