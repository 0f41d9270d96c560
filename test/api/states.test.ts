/** Declared state: the types of its handles, and what is refused at the author's line. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  aggregating,
  average,
  evenSplitList,
  hours,
  keyedProcess,
  list,
  map,
  millis,
  planJob,
  reducing,
  seconds,
  sum,
  type,
  unionList,
  value,
  type FoldingState,
  type ListState,
  type MapState,
  type States,
  type Ttl,
  type ValueState,
} from "../../runtime/index.ts";
import type { DataStream, SourceStream } from "../../runtime/index.ts";
import { type Event, pipeline } from "../operators/pipeline.ts";
import { holds, type Equal } from "./types.ts";

const every = {
  one: value<string>({ ttl: hours(1) }),
  many: list<Date>({ ttl: { after: seconds(1), update: "onReadAndWrite" } }),
  pairs: map<string, number>({ ttl: { after: seconds(1), visibility: "returnExpiredIfNotCleanedUp" } }),
  largest: reducing<number>(Math.max, { ttl: seconds(2) }),
  mean: aggregating(
    average((n: number) => n),
    { version: 2, migrate: () => [0, 0] as const },
  ),
};

test("handles are of the declared types", () => {
  type Handles = States<typeof every>;
  holds<Equal<Handles["one"], ValueState<string>>>();
  holds<Equal<Handles["many"], ListState<Date>>>();
  holds<Equal<Handles["pairs"], MapState<string, number>>>();
  holds<Equal<Handles["largest"], FoldingState<number, number>>>();
  holds<Equal<Handles["mean"], FoldingState<number, number>>>();
  const job = pipeline((events) =>
    events
      .process("outside", {
        operatorState: { seen: evenSplitList<number>(), all: unionList<string>({ version: 1, migrate: String }) },
        output: type<Event>(),
        onRecord(event, ctx) {
          holds<Equal<typeof ctx.operatorState.seen, ListState<number>>>();
          holds<Equal<typeof ctx.operatorState.all, ListState<string>>>();
          // @ts-expect-error no state of this name
          void ctx.operatorState.other;
          // @ts-expect-error no keyed state without keys
          void ctx.state;
          ctx.emit(event);
        },
      })
      .keyBy(({ key }) => key as string)
      .process(
        "inside",
        keyedProcess({
          state: every,
          output: type<number>(),
          onRecord(event: Event, ctx) {
            ctx.state.largest.add(event.at);
            // @ts-expect-error what is added is a number
            void (() => ctx.state.mean.add("1"));
            // @ts-expect-error folded state is not set
            void (() => ctx.state.largest.set(1));
            ctx.emit(ctx.state.largest.get() ?? 0);
          },
        }),
      ),
  );
  const plan = planJob(job);
  const names = (uid: string) => plan.operators.get(uid)?.states.map(({ name, kind, ttlMs }) => [name, kind, ttlMs]);
  assert.deepEqual(names("outside"), [
    ["seen", "evenSplit", undefined],
    ["all", "union", undefined],
  ]);
  assert.deepEqual(names("inside"), [
    ["one", "value", 3_600_000],
    ["many", "list", 1_000],
    ["pairs", "map", 1_000],
    ["largest", "reducing", 2_000],
    ["mean", "aggregating", undefined],
  ]);
});

/** A wrong use that the compiler would not let through. */
const any = (declared: unknown): any => declared;

const keyed = (state: Record<string, unknown>) => (events: SourceStream<Event>) =>
  events
    .keyBy(({ key }) => key as string)
    .process("fn", { state: any(state), output: type<number>(), onRecord: () => {} }) as DataStream<unknown>;
const outside = (operatorState: Record<string, unknown>) => (events: SourceStream<Event>) =>
  events.process("fn", { operatorState: any(operatorState), output: type<number>(), onRecord: () => {} }) as DataStream<unknown>;

const refused: readonly (readonly [string, () => unknown, RegExp])[] = [
  ["a ttl of no length", () => value({ ttl: millis(0) }), /ttl must be whole ms, above 0: ttl 0/],
  ["a ttl that is no number", () => list({ ttl: { after: any("1h") } }), /ttl must be whole ms, above 0: ttl "1h"/],
  [
    "a ttl's unknown update",
    () => map({ ttl: any({ after: 1, update: "never" } satisfies object) as Ttl }),
    /update is .*: update "never"/,
  ],
  [
    "a ttl's unknown visibility",
    () => map({ ttl: any({ after: 1, visibility: "x" }) as Ttl }),
    /visibility is .*: visibility "x"/,
  ],
  [
    "a ttl of a rolling reduce",
    () => pipeline((e) => e.keyBy((v) => v.at).reduce("fn", (a) => a, { ttl: millis(-1) })),
    /ttl -1/,
  ],
  [
    "a ttl of a rolling aggregate",
    () =>
      pipeline((e) =>
        e
          .keyBy((v) => v.at)
          .aggregate(
            "fn",
            sum((v: Event) => v.at),
            (_key, n) => n,
            { ttl: millis(0.5) },
          )
          .toChanges("changes"),
      ),
    /ttl 0.5/,
  ],
  [
    "state of a task behind keyBy",
    () => pipeline(keyed({ seen: evenSplitList() })),
    /declared by value.*operator "fn", state "seen", kind "evenSplit"/,
  ],
  [
    "state of keys outside them",
    () => pipeline(outside({ seen: list() })),
    /belongs behind keyBy.*operator "fn", state "seen", kind "list"/,
  ],
  ["a name that cannot be stored", () => pipeline(keyed({ "a:b": value() })), /name must be .*: operator "fn", state "a:b"/],
  [
    "a version that is none",
    () => pipeline(keyed({ a: value({ version: 1.5 }) })),
    /version must be .*: operator "fn", state "a", version 1.5/,
  ],
  [
    "more states than can be told apart",
    () => pipeline(keyed(Object.fromEntries(Array.from({ length: 256 }, (_, n) => [`s${n}`, value()])))),
    /at most 255 states: operator "fn", states 256/,
  ],
];
for (const [name, make, message] of refused) test(`refused: ${name}`, () => assert.throws(make, { kind: "invalid", message }));
