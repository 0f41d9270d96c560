/**
 * Jobs that hold the surface to its word: no cast, no type argument that could be inferred, wrong uses marked and refused.
 * The compiler checks them; define-job.test.ts builds and plans them.
 */
import {
  average,
  boundedOutOfOrderness,
  combine,
  count,
  defineJob,
  hours,
  keyedProcess,
  list,
  map,
  max,
  minutes,
  monotonous,
  outputTag,
  seconds,
  session,
  sum,
  tumbling,
  type,
  value,
  type Aggregator,
  type DataStream,
  type TimeWindow,
} from "../../runtime/index.ts";
import { appendOnlySink, testSink, testSource, testTable } from "./connectors.ts";
import { holds, type Equal } from "./types.ts";

type Of<S> = S extends DataStream<infer T> ? T : never;

interface View {
  page: string;
  user: string;
  at: number;
  bot: boolean;
}
const source = testSource<View>("page-views");
const eventTime = { timestamps: (v: View) => v.at, watermarks: boundedOutOfOrderness(seconds(5)) };

/** Page views per minute, with a side output for what comes too late. */
export const pageviews = defineJob(
  "pageviews",
  (job) => {
    const late = outputTag<View>("late");
    const perMinute = job
      .source("views", source, {
        timestamps: (v) => v.at,
        watermarks: boundedOutOfOrderness(seconds(5)).withIdleness(minutes(1)),
      })
      .filter("humans", (v) => !v.bot)
      .keyBy((v) => v.page)
      .window(tumbling(minutes(1)))
      .allowedLateness(minutes(5))
      .sideOutputLate(late)
      .aggregate("per-minute", combine({ n: count(), users: sum((v: View) => v.user.length) }), (page, window, r) => ({
        page,
        start: window.start,
        ...r,
      }));
    holds<Equal<Of<typeof perMinute>, { n: number; users: number; page: string; start: number }>>();

    perMinute.sinkTo("table", testTable<Of<typeof perMinute>>({ key: (row) => [row.page, row.start] }));
    perMinute.sideOutput(late).sinkTo("late", appendOnlySink<View>());

    const misuses = () => {
      // @ts-expect-error a number is not a Duration
      perMinute.keyBy((r) => r.page).window(tumbling(60_000));
      // @ts-expect-error a wrong field
      perMinute.map("bad", (r) => r.missing);
      // @ts-expect-error an object is not a key
      perMinute.keyBy((r) => ({ page: r.page }));
      const byPage = perMinute.keyBy((r) => r.page).window(tumbling(minutes(1)));
      // @ts-expect-error the tag is for other values
      byPage.sideOutputLate(late);
      // @ts-expect-error the sink is for other values
      perMinute.sinkTo("wrong-sink", appendOnlySink<View>());
      const ofViews = sum((v: View) => v.at);
      // @ts-expect-error the aggregator is for other values
      byPage.aggregate("wrong-aggregate", ofViews);
      // @ts-expect-error only a source says how its records are partitioned
      perMinute.assumeKeyed((r: { page: string }) => r.page);
    };
    void misuses;
  },
  { parallelism: 4 },
);

interface Summary {
  user: string;
  pages: number;
  from: number;
}
const sessionise = keyedProcess({
  key: type<string>(),
  state: { pages: list<string>(), from: value<number>(), deadline: value<number>() },
  output: type<Summary>(),
  onRecord(view: View, ctx) {
    const { pages, from, deadline } = ctx.state;
    if (from.get() === undefined) from.set(view.at);
    pages.add(view.page);
    const previous = deadline.get();
    if (previous !== undefined) ctx.timers.cancelEventTime(previous);
    deadline.set(view.at + minutes(30));
    ctx.timers.eventTime(view.at + minutes(30));
  },
  onTimer(_at, ctx) {
    holds<Equal<typeof ctx.domain, "eventTime" | "processingTime">>();
    ctx.emit({ user: ctx.key, pages: ctx.state.pages.get().length, from: ctx.state.from.get() ?? 0 });
    ctx.state.pages.clear();
    ctx.state.from.clear();
    ctx.state.deadline.clear();
  },
});

/** Sessions by keyed state and timers, written inline and apart, and by session windows. */
export const sessions = defineJob("sessions", (job) => {
  const views = job.source("views", source, eventTime);
  const apart = views.keyBy((v) => v.user).process("sessions", sessionise);
  holds<Equal<Of<typeof apart>, Summary>>();

  const wrong = outputTag<{ reason: string }>("wrong");
  const inline = views
    .keyBy((v) => [v.user, v.page])
    .process("visits", {
      state: { seen: value<number>(), byHour: map<number, number>() },
      output: type<{ user: string; n: number }>(),
      sideOutputs: [wrong],
      onRecord(view, ctx) {
        holds<Equal<typeof view, View>>();
        holds<Equal<typeof ctx.key, readonly [string, string]>>();
        const n = (ctx.state.seen.get() ?? 0) + 1;
        ctx.state.seen.set(n);
        ctx.state.byHour.set(Math.floor(view.at / hours(1)), n);
        ctx.emit({ user: ctx.key[0], n });
        if (view.bot) ctx.output(wrong, { reason: "bot" });
        // @ts-expect-error not what the tag is for
        ctx.output(wrong, { reason: 1 });
        // @ts-expect-error not a declared state
        void ctx.state.other;
        // @ts-expect-error the state holds numbers
        ctx.state.seen.set("one");
        // @ts-expect-error the map's keys are numbers
        ctx.state.byHour.get("noon");
        // @ts-expect-error not the declared output
        ctx.emit({ user: 1 });
        // @ts-expect-error a pair has no third part
        void ctx.key[2];
      },
    });
  holds<Equal<Of<typeof inline>, { user: string; n: number }>>();
  inline.sideOutput(wrong).sinkTo("wrong-ones", appendOnlySink<{ reason: string }>());

  const merged = views
    .keyBy((v) => v.user)
    .window(session((v) => (v.bot ? seconds(10) : minutes(30))))
    .process("in-window", {
      output: type<string>(),
      state: { windows: value<number>() },
      windowState: { fired: value<number>() },
      onWindow(window, values, ctx) {
        holds<Equal<typeof window, TimeWindow>>();
        holds<Equal<typeof values, Iterable<View>>>();
        ctx.windowState.fired.set(window.end);
        ctx.state.windows.set((ctx.state.windows.get() ?? 0) + 1);
        for (const v of values) ctx.emit(`${ctx.key} ${v.page}`);
        // @ts-expect-error declared per key, not per window
        void ctx.windowState.windows;
        // @ts-expect-error a window function has no timers
        void ctx.timers;
      },
    });
  holds<Equal<Of<typeof merged>, string>>();

  const misuses = () => {
    // @ts-expect-error the function wants views keyed by a string
    views.keyBy((v) => v.at).process("wrong-key", sessionise);
    // @ts-expect-error the function wants views
    inline.keyBy((v) => v.user).process("wrong-value", sessionise);
    // @ts-expect-error the tag must be the stream's
    const views2: DataStream<View> = inline.sideOutput(wrong);
    return views2;
  };
  void misuses;

  const visitors = inline.map("visitors", (v) => ({ ...v, pages: v.n, from: 0 }));
  const either = apart.union(visitors);
  holds<Equal<Of<typeof either>, Summary | Of<typeof visitors>>>();
  either.sinkTo("out", testSink<{ user: string }>());
  merged.sinkTo("merged", testSink<string>());
});

type Event = { kind: "view"; page: string } | { kind: "click"; ad: string };

/** Every step that a stream without keys offers. */
export const steps = defineJob(
  "steps",
  (job) => {
    const factor = job.param("factor", 2);
    holds<Equal<typeof factor, number>>();
    holds<Equal<ReturnType<typeof job.param<"a">>, string>>();
    holds<Equal<ReturnType<typeof job.param<true>>, boolean>>();
    holds<Equal<ReturnType<typeof job.param<1n>>, bigint>>();

    const events = job.source("events", testSource<Event>());
    const clicks = events.filter("clicks", (event) => event.kind === "click");
    holds<Equal<Of<typeof clicks>, { kind: "click"; ad: string }>>();
    const views = events.filter("views", (event): event is Extract<Event, { kind: "view" }> => event.kind === "view");
    holds<Equal<Of<typeof views>, { kind: "view"; page: string }>>();
    const long = events.filter("long", (event) => JSON.stringify(event).length > factor);
    holds<Equal<Of<typeof long>, Event>>();

    const words = views.flatMap("words", (view) => view.page.split("/"));
    holds<Equal<Of<typeof words>, string>>();
    const odd = outputTag<number>("odd");
    const lengths = words.process("lengths", {
      output: type<{ length: number }>(),
      sideOutputs: [odd],
      onRecord(word, ctx) {
        ctx.emit({ length: word.length });
        if (word.length % 2 === 1) ctx.output(odd, word.length);
        // @ts-expect-error state needs a key
        void ctx.state;
      },
    });
    holds<Equal<Of<typeof lengths>, { length: number }>>();
    const both = lengths.sideOutput(odd).union(words).union(long);
    holds<Equal<Of<typeof both>, number | string | Event>>();
    const spread = both.rebalance().map("spread", String).with({ parallelism: 2 });
    holds<Equal<Of<typeof spread>, string>>();
    const one = spread.global().map("one", (text) => text.length);
    holds<Equal<Of<typeof one>, number>>();
    one.sinkTo("out", testSink<number>());
    clicks.sinkTo("clicked", appendOnlySink<{ ad: string }>());
  },
  { parallelism: 3 },
);

/** Everything that can be done with keys and windows. */
export const windows = defineJob("windows", (job) => {
  const views = job.source("views", source, { timestamps: (v, meta) => v.at || meta.arrivalTime, watermarks: monotonous() });
  const keyed = views.keyBy((v) => v.page);
  const latest = keyed.reduce("latest", (a, b) => (a.at > b.at ? a : b), { version: 1, migrate: (old) => old as View });
  holds<Equal<Of<typeof latest>, View>>();

  const window = keyed.window(tumbling(minutes(1), { offset: seconds(10) }));
  const last = window.reduce("last", (_, b) => b);
  holds<Equal<Of<typeof last>, View>>();
  const lastOf = window.reduce(
    "last-of",
    (_, b) => b,
    (page, { start }, v) => ({ page, start, user: v.user }),
  );
  holds<Equal<Of<typeof lastOf>, { page: string; start: number; user: string }>>();
  const counted = window.aggregate("counted", count());
  holds<Equal<Of<typeof counted>, number>>();
  const newest = window.aggregate(
    "newest",
    max((v) => v.at),
    (page, _window, at) => `${page} ${at}`,
  );
  holds<Equal<Of<typeof newest>, string>>();
  const inferred = window.aggregate("inferred", combine({ n: count(), users: sum((v) => v.user.length) }));
  holds<Equal<Of<typeof inferred>, { n: number; users: number }>>();
  const alone = combine({ n: count(), users: sum((v: View) => v.user.length) });
  holds<Equal<typeof alone, Aggregator<View, unknown, { n: number; users: number }>>>();
  void alone;
  const mean = window.aggregate(
    "mean",
    average((v) => v.at),
    {
      output: type<number>(),
      onWindow(_window, values, ctx) {
        holds<Equal<typeof ctx.key, string>>();
        for (const v of values) ctx.emit(v);
      },
    },
  );
  holds<Equal<Of<typeof mean>, number>>();
  const users = window.apply("users", (page, { start }, all) => all.map((v) => ({ page, start, user: v.user })));
  holds<Equal<Of<typeof users>, { page: string; start: number; user: string }>>();
  const own = window.aggregate("own", {
    create: () => new Array<string>(),
    add: (seen, v) => [...seen, v.user],
    result: (seen) => seen.length,
  });
  holds<Equal<Of<typeof own>, number>>();

  const byPage = job
    .source("keyed-views", source)
    .assumeKeyed((v) => v.page)
    .process("n", {
      state: { n: value<number>() },
      output: type<{ page: string; n: number }>(),
      onRecord(view, ctx) {
        const n = (ctx.state.n.get() ?? 0) + 1;
        ctx.state.n.set(n);
        ctx.emit({ page: view.page, n });
      },
    });
  holds<Equal<Of<typeof byPage>, { page: string; n: number }>>();

  const misuses = () => {
    // @ts-expect-error a partition key is text
    job.source("x", source).assumeKeyed((v) => v.at);
    // @ts-expect-error the timestamps are of the source's values
    job.source("y", source, { timestamps: (v: { time: number }) => v.time });
    // @ts-expect-error a reduce keeps its type
    keyed.reduce("z", (a, b) => a.at + b.at);
    // @ts-expect-error windows need keys
    void views.window;
  };
  void misuses;

  const wide: DataStream<{ page: string }> = views; // covariant: helpers may ask for less
  // @ts-expect-error but not for more
  const narrow: DataStream<View & { more: string }> = views;
  wide.map("page", (v) => v.page).sinkTo("pages", testSink<string>());
  narrow.sinkTo("same", testSink<View>());
  byPage.sinkTo("by-page", testSink<{ page: string }>());
  for (const [i, stream] of [latest, last, lastOf, counted, newest, inferred, mean, users, own].entries())
    (stream as DataStream<unknown>).sinkTo(`out-${i}`, testSink<unknown>());
});

/** Streams side by side. */
export const connected = defineJob("connected", (job) => {
  const views = job.source("views", source, eventTime);
  const words = job.source("words", testSource<string>("words"), { watermarks: monotonous() });
  const odd = outputTag<number>("odd");

  const free = views.connect(words);
  const mapped = free.map(
    "mapped",
    (v) => v.page.length,
    (word) => word.length,
  );
  holds<Equal<Of<typeof mapped>, number>>();
  const flat = free.flatMap(
    "flat",
    (v) => [v.page],
    function* (word) {
      yield word;
    },
  );
  holds<Equal<Of<typeof flat>, string>>();
  const processed = free.process("processed", {
    output: type<boolean>(),
    sideOutputs: [odd],
    onLeft(v, ctx) {
      holds<Equal<typeof v, View>>();
      ctx.output(odd, v.at);
      ctx.emit(v.bot);
    },
    onRight(word, ctx) {
      holds<Equal<typeof word, string>>();
      ctx.emit(word === "");
    },
  });
  holds<Equal<Of<typeof processed>, boolean>>();

  const byPage = views.keyBy((v) => v.page);
  const both = byPage.connect(words.keyBy((word) => word)).process("both", {
    state: { views: list<View>(), words: value<number>() },
    output: type<{ page: string; n: number }>(),
    onLeft(v, ctx) {
      holds<Equal<typeof ctx.key, string>>();
      ctx.state.views.add(v);
      ctx.timers.eventTime(v.at);
    },
    onRight(word, ctx) {
      holds<Equal<typeof word, string>>();
      ctx.state.words.set((ctx.state.words.get() ?? 0) + word.length);
    },
    onTimer(_at, ctx) {
      ctx.emit({ page: ctx.key, n: ctx.state.views.get().length });
    },
  });
  holds<Equal<Of<typeof both>, { page: string; n: number }>>();

  const rules = words.broadcast("rules", { rules: map<string, number>(), last: map<boolean, string>() });
  const ruled = byPage.connect(rules).process("ruled", {
    state: { n: value<number>() },
    output: type<number>(),
    onRecord(v, ctx) {
      holds<Equal<typeof ctx.key, string>>();
      const limit = ctx.broadcast.rules.get(v.page);
      holds<Equal<typeof limit, number | undefined>>();
      ctx.state.n.set((ctx.state.n.get() ?? 0) + (limit ?? 0));
      ctx.timers.processingTime(v.at);
    },
    onBroadcast(word, ctx) {
      ctx.broadcast.rules.set(word, word.length);
      ctx.broadcast.last.set(true, word);
    },
    onTimer: (_at, ctx) => ctx.emit(ctx.state.n.get() ?? 0),
  });
  holds<Equal<Of<typeof ruled>, number>>();

  const beside = views.connect(rules).process("beside", {
    output: type<string>(),
    onRecord(v, ctx) {
      holds<Equal<typeof v, View>>();
      ctx.emit(ctx.broadcast.last.get(true) ?? v.page);
    },
    onBroadcast: (word, ctx) => ctx.broadcast.last.set(true, word),
  });
  holds<Equal<Of<typeof beside>, string>>();

  const misuses = () => {
    // @ts-expect-error keys of another kind
    byPage.connect(views.keyBy((v) => v.at));
    // @ts-expect-error a keyed stream is connected with a keyed one, or with a broadcast
    byPage.connect(words);
    // @ts-expect-error each side has its own values
    free.map("a", (v: string) => v, String);
    // @ts-expect-error broadcast states are maps
    words.broadcast("b", { n: value<number>() });
    byPage.connect(rules).process("c", {
      output: type<number>(),
      onRecord(v, ctx) {
        // @ts-expect-error what is broadcast is only read here
        ctx.broadcast.rules.set(v.page, 1);
      },
      onBroadcast(_word, ctx) {
        // @ts-expect-error no keyed state in onBroadcast
        void ctx.state;
        // @ts-expect-error and no timers
        void ctx.timers;
      },
    });
  };
  void misuses;
  for (const [i, stream] of [mapped, flat, processed, both, ruled, beside].entries())
    (stream as DataStream<unknown>).sinkTo(`out-${i}`, testSink<unknown>());
});
