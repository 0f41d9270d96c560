/**
 * Steps of generated topologies whose operators have two inputs: streams that are joined by key, and a stream that every task is given
 * beside another. What they give they give in timers, when all is there that it is made of (B1).
 */
import type { DataStream } from "../../api/data-stream.ts";
import { type Timers, type } from "../../api/functions.ts";
import { list, type ListState, map, type MapState } from "../../api/state.ts";
import { type Block, byKey, type Row, rowOf, type Rows, total } from "./generated-rows.ts";
import { groupBy, startOf } from "./topology.ts";

const windowMs = 70;
const endOf = ({ at }: Row) => startOf(at, windowMs) + windowMs;

/** What a timer gives at its time. */
export const collected = (uid: string, key: string, at: number, n: number): Row => ({ ...rowOf(uid, key, at, n), at });

const isLeft = ({ value: n }: Row) => n % 2 === 0;

/** The rows in two streams, by key. */
function sidesOf(rows: DataStream<Row>, uid: string) {
  const left = rows.filter(`${uid}-left`, isLeft);
  const right = rows.filter(`${uid}-right`, (row) => !isLeft(row));
  return left.keyBy(byKey).connect(right.keyBy(byKey));
}

/** What both sides have come to in a window, as one number. */
const weigh = (left: number, right: number) => left * 7 + right;

/** A join of two streams by window. */
export function pairedBlock(): Block {
  const note = (row: Row, sums: MapState<number, number>, timers: Timers) => {
    sums.set(endOf(row), (sums.get(endOf(row)) ?? 0) + row.value);
    timers.eventTime(endOf(row));
  };
  return {
    name: "paired",
    stage: true,
    build: (rows, uid) =>
      sidesOf(rows, uid).process(uid, {
        state: { left: map<number, number>(), right: map<number, number>() },
        output: type<Row>(),
        onLeft: (row, { state, timers }) => note(row, state.left, timers),
        onRight: (row, { state, timers }) => note(row, state.right, timers),
        onTimer(end, { key, state: { left, right }, emit }) {
          emit(collected(uid, key, end, weigh(left.get(end) ?? 0, right.get(end) ?? 0)));
          left.delete(end);
          right.delete(end);
        },
      }),
    expect: (rows, uid) =>
      [...groupBy(rows, (row) => `${row.key} ${endOf(row)}`).values()].map((own) => {
        const [left, right] = [own.filter(isLeft), own.filter((row) => !isLeft(row))];
        return collected(uid, own[0]!.key, endOf(own[0]!), weigh(total(left), total(right)));
      }),
  };
}

/** So far apart may two rows be that are joined, ms. */
const withinMs = 12;

/** A join of two streams by how far apart their rows are. */
export function withinBlock(): Block {
  const isNear = (left: Row, right: Row) => Math.abs(left.at - right.at) <= withinMs;
  const joined = (uid: string, left: Row, right: Row): Row => ({
    ...collected(uid, left.key, left.at + withinMs, left.value + right.value),
    id: `${uid} ${left.id}&${right.id}`,
  });
  const keep = (rows: ListState<Row>, isKept: (row: Row) => boolean) => rows.update(rows.get().filter(isKept));
  return {
    name: "within",
    stage: true,
    build: (rows, uid) =>
      sidesOf(rows, uid).process(uid, {
        state: { left: list<Row>(), right: list<Row>() },
        output: type<Row>(),
        onLeft(row, { state, timers }) {
          state.left.add(row);
          timers.eventTime(row.at + withinMs);
        },
        onRight(row, { state, timers }) {
          state.right.add(row);
          timers.eventTime(row.at + 2 * withinMs);
        },
        onTimer(at, ctx) {
          const { left: lefts, right: rights } = ctx.state;
          const right = rights.get();
          for (const left of lefts.get())
            if (left.at + withinMs === at) for (const other of right) if (isNear(left, other)) ctx.emit(joined(uid, left, other));
          keep(lefts, (row) => row.at + withinMs > at);
          keep(rights, (row) => row.at + 2 * withinMs > at);
        },
      }),
    expect: (rows, uid) =>
      [...groupBy(rows, byKey).values()].flatMap((own) =>
        own.filter(isLeft).flatMap((left) => {
          const near = own.filter((row) => !isLeft(row) && isNear(left, row));
          return near.map((right) => joined(uid, left, right));
        }),
      ),
  };
}

/** Some rows are rules, which every task is given: what a key has in a window goes by those that were there by its end. */
export function ruledBlock(): Block {
  const isRule = ({ value: n }: Row) => n % 4 === 0;
  const ruled = (uid: string, key: string, end: number, own: number, rules: Rows) =>
    collected(uid, key, end, own + rules.length * 10 + total(rules));
  return {
    name: "ruled",
    stage: true,
    build: (rows, uid) =>
      rows
        .keyBy(byKey)
        .connect(rows.filter(`${uid}-rules`, isRule).broadcast(`${uid}-known`, { known: map<string, Row>() }))
        .process(uid, {
          state: { byEnd: map<number, number>() },
          output: type<Row>(),
          onRecord(row, { state, timers }) {
            state.byEnd.set(endOf(row), (state.byEnd.get(endOf(row)) ?? 0) + row.value);
            timers.eventTime(endOf(row));
          },
          onBroadcast: (row, { broadcast }) => broadcast.known.set(row.id, row),
          onTimer(end, ctx) {
            const rules = [...ctx.broadcast.known.entries()].map(([, rule]) => rule).filter(({ at }) => at < end);
            ctx.emit(ruled(uid, ctx.key, end, ctx.state.byEnd.get(end) ?? 0, rules));
            ctx.state.byEnd.delete(end);
          },
        }),
    expect: (rows, uid) =>
      [...groupBy(rows, (row) => `${row.key} ${endOf(row)}`).values()].map((own) => {
        const end = endOf(own[0]!);
        return ruled(
          uid,
          own[0]!.key,
          end,
          total(own),
          rows.filter((row) => isRule(row) && row.at < end),
        );
      }),
  };
}
