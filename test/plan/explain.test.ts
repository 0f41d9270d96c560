import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { defineJob } from "../../runtime/api/define-job.ts";
import { hours, minutes, seconds } from "../../runtime/api/duration.ts";
import { type } from "../../runtime/api/functions.ts";
import { map } from "../../runtime/api/state.ts";
import { boundedOutOfOrderness, customWatermarks } from "../../runtime/api/watermarks.ts";
import { count } from "../../runtime/api/aggregators.ts";
import { evictors } from "../../runtime/api/evictors.ts";
import { triggers } from "../../runtime/api/triggers.ts";
import { calendarWeeks, countWindow, cumulating, globalWindow, session, sliding, tumbling } from "../../runtime/api/windows.ts";
import { explain } from "../../runtime/plan/explain.ts";
import { explainJson } from "../../runtime/plan/explain-json.ts";
import { formatBytes, formatMs } from "../../runtime/plan/units.ts";
import type { JobGraph } from "../../runtime/plan/job-graph.ts";
import { planJob } from "../../runtime/plan/plan-job.ts";
import { testSink, testSource } from "../api/connectors.ts";
import { pageviews } from "../api/jobs.ts";
import { mapped, plan, reduced, type Sources } from "./pipelines.ts";

/** The lines of a plan, without those about the job as a whole. */
function treeOf(graph: JobGraph): readonly string[] {
  return explain(graph)
    .split("\n\n")
    .slice(1)
    .flatMap((block) => block.split("\n"));
}

describe("explain", () => {
  test("shows stages as blocks, operators as trees, exchanges as arrows", () => {
    const graph = planJob(pageviews);
    assert.deepEqual(explain(graph).split("\n"), [
      "Job pageviews: 3 stages, 2 exchanges",
      "parallelism 4 · 32,768 key groups · checkpoints every 1 min, 3 retained",
      "a throwing handler sends its record to the dead letters",
      `fingerprint ${graph.fingerprint}`,
      "",
      "┌─ Stage views · one task per source shard",
      "│  views              source  test page-views",
      "│  │                          watermarks 5 s behind the latest record, a shard is idle after 1 min",
      "│  └── humans         filter",
      "│     └─▶ per-minute          exchange 0 · by key",
      "",
      "┌─ Stage per-minute · 4 tasks · fed by views",
      "│  per-minute         window  tumbling 1 min, event time, aggregate + result",
      "│  │                          up to 5 min late, later to side output late",
      "│  │                          keeps contents (value)",
      "│  ├─▶ table                  exchange 1 · by key",
      "│  └── late           sink    test output, at least once · side output late",
      "",
      "┌─ Stage table · 4 tasks · fed by per-minute",
      "│  table              sink    test table, exactly once, by its key",
    ]);
  });

  test("shows an operator that several feed once, and points to it from the others", () => {
    const graph = plan(
      (source) => {
        const first = mapped(source("in"), "first");
        return mapped(first.union(mapped(first, "second")), "both");
      },
      { parallelism: 1 },
    );
    assert.deepEqual(treeOf(graph), [
      "┌─ Stage in · the whole job in one task",
      "│  in              source  test in",
      "│  │                       no watermarks",
      "│  └── first       map",
      "│     ├── second   map",
      "│     │  └── both          as below",
      "│     └── both     map",
      "│        └── out   sink    test output, exactly once",
    ]);
  });

  test("says which side of two inputs an edge leads to", () => {
    const build = (source: Sources) => {
      const views = source("views").keyBy((v) => v);
      const rules = source("rules");
      const ruled = views
        .connect(rules.broadcast("rules", { rules: map<string, string>() }))
        .process("ruled", { output: type<string>(), onRecord: () => {}, onBroadcast: () => {} });
      return ruled.connect(rules).map("both", String, String);
    };
    assert.deepEqual(treeOf(plan(build)), [
      "┌─ Stage views · one task per source shard",
      "│  views       source           test views",
      "│  │                            no watermarks",
      "│  └─▶ ruled                    exchange 0 · left side · by key",
      "┌─ Stage rules · one task per source shard",
      "│  rules       source           test rules",
      "│  │                            no watermarks",
      "│  ├─▶ ruled                    exchange 1 · right side · to every task",
      "│  └─▶ both                     exchange 2 · right side · evenly",
      "┌─ Stage ruled · 4 tasks · fed by views, rules",
      "│  ruled       connect process",
      "│  │                            keeps rules.rules (broadcast)",
      "│  └── both    connect map      left side",
      "│     └── out  sink             test output, exactly once",
    ]);
  });

  test("says how records are spread, and what is special about a stage", () => {
    const graph = plan((source) => {
      const assumed = source("keyed")
        .assumeKeyed((v) => v)
        .reduce("sum", (a) => a, { version: 2 });
      return mapped(mapped(reduced(assumed.rebalance(), "again").with({ parallelism: 2 }).global(), "one").rebalance(), "many");
    });
    assert.deepEqual(treeOf(graph), [
      "┌─ Stage keyed · one task per source shard",
      "│  keyed         source  test keyed",
      "│  │                     no watermarks",
      "│  └── sum       reduce  by key, as its source is partitioned",
      "│     │                  keeps reduced (value v2)",
      "│     └─▶ again          exchange 0 · by key",
      "┌─ Stage again · 2 tasks · fed by keyed",
      "│  again         reduce",
      "│  │                     keeps reduced (value)",
      "│  └─▶ one               exchange 1 · to one task",
      "┌─ Stage one · 1 task · fed by again",
      "│  one           map",
      "│  └─▶ many              exchange 2 · evenly",
      "┌─ Stage many · 4 tasks · fed by one",
      "│  many          map",
      "│  └── out       sink    test output, exactly once",
    ]);
  });

  test("tells of every kind of window, its trigger and its evictor", () => {
    const job = defineJob("kinds", (job) => {
      const source = job.source("in", testSource<string>(), { watermarks: boundedOutOfOrderness(seconds(1)) });
      const keyed = source.keyBy((v) => v);
      const hourly = keyed.window(sliding(hours(1), minutes(1))).aggregate("sliding", count());
      const daily = keyed.window(cumulating(minutes(10), hours(24), { time: "processing" })).aggregate("cumulating", count());
      const local = keyed.window(calendarWeeks({ timeZone: "Asia/Tokyo" })).aggregate("weeks", count());
      const last = keyed.window(countWindow(5, 2)).aggregate("last", count());
      const all = source
        .windowAll(globalWindow())
        .trigger(triggers.timeOut(triggers.purging(triggers.count(3)), seconds(5)))
        .evictor(evictors.time(minutes(1), { after: true }))
        .aggregate("all", count());
      hourly.union(daily, local, last, all).sinkTo("out", testSink());
    });
    const text = explain(planJob({ ...job, options: { parallelism: 2 } }));
    for (const line of [
      /sliding +window +sliding 1 h every 1 min, event time, aggregate\n.*keeps slices \(slices\)/,
      /cumulating +window +cumulating 1 d every 10 min, processing time, aggregate/,
      /weeks +window +calendarWeeks, Asia\/Tokyo, event time, aggregate/,
      /last +window +count 5 records every 2, trigger count 2, evictor count 5, aggregate\n.*keeps elements \(list\)/,
      /all +window +global, trigger timeOut\(purging\(count 3\), after 5 s\), evictor time 1 min, after, aggregate/,
      /─▶ all +exchange \d · to one task/,
    ])
      assert.match(text, line);
  });

  test("tells of parameters, time and windows", () => {
    const watermarks = customWatermarks({ create: () => 0, onRecord: () => undefined })
      .withIdleness(seconds(90))
      .advanceWhenIdle();
    const job = defineJob(
      "job",
      (job) => {
        const source = job.source("in", testSource<string>(job.param("stream", "views")), { watermarks });
        const keyed = source.keyBy((v) => v);
        const hourly = keyed.window(tumbling(hours(1), { offset: minutes(-15), time: "processing" }));
        hourly.apply("hourly", (_key, _window, values) => values).sinkTo("out-1", testSink<string>());
        keyed
          .window(session(minutes(30)))
          .reduce("visits", (a) => a)
          .sinkTo("out-2", testSink<string>());
      },
      { onUserError: "fail", keyGroups: 128 },
    );
    const lines = explain(planJob(job)).split("\n");
    assert.deepEqual(lines.slice(1, 4), [
      "parallelism 1 · 128 key groups · checkpoints every 1 min, 3 retained",
      "a throwing handler stops the job",
      "parameters stream = views",
    ]);
    const expected = [
      /source +test views$/,
      /watermarks of its own, a shard is idle after 90 s, follows the clock when all are$/,
      /hourly +window +tumbling 1 h, offset -15 min, processing time, apply · by key$/,
      /visits +window +session, gap 30 min, event time, reduce · by key$/,
    ];
    for (const words of expected) assert.equal(lines.filter((line) => words.test(line)).length, 1, String(words));
  });
});

test("a connector's options stand below it, with their units; what is empty or no scalar does not", () => {
  const options = { path: "views", prefix: "", rollBytes: 2 ** 27, rollAfterMs: 60_000, compress: true, columns: ["a"] };
  const job = defineJob("job", (job) => {
    const sink = { ...testSink<string>("console"), kind: "console", options: { stream: "console" } };
    job.source("in", { ...testSource<string>("views"), options }).sinkTo("out", sink);
  });
  assert.deepEqual(treeOf(planJob(job)).slice(1), [
    "│  in       source  test views",
    "│  │                roll 128 MiB, rollAfter 1 min, compress true",
    "│  │                no watermarks",
    "│  └── out  sink    console, exactly once",
  ]);
});

test("sizes are said in their largest whole unit", () => {
  assert.deepEqual([0, 1_000, 1_024, 1_048_576, 3 * 2 ** 30].map(formatBytes), ["0 B", "1000 B", "1 KiB", "1 MiB", "3 GiB"]);
});

test("lengths of time are said in their largest whole unit", () => {
  const said = [0, 1, 1_500, 90_000, 120_000, 7_200_000, 86_400_000, -5_000].map(formatMs);
  assert.deepEqual(said, ["0 ms", "1 ms", "1500 ms", "90 s", "2 min", "2 h", "1 d", "-5 s"]);
});

describe("explainJson", () => {
  const graph = planJob(pageviews);
  const job = explainJson(graph);

  test("is plain JSON (E1)", () => {
    assert.deepEqual(JSON.parse(JSON.stringify(job)), job);
    const big = defineJob("big", (job) => {
      assert.equal(job.param("n", 2n ** 70n), 2n ** 70n);
      job.source("in", testSource<string>()).sinkTo("out", testSink<string>());
    });
    assert.deepEqual(explainJson(planJob(big)).parameters, { n: "1180591620717411303424" });
  });

  test("has the stages, their tasks, and every operator with its edges", () => {
    assert.deepEqual([job.job, job.fingerprint, job.options], ["pageviews", graph.fingerprint, graph.options]);
    assert.deepEqual(
      job.stages.map(({ id, kind, tasks, hash }) => [id, kind, tasks, hash]),
      [
        ["views", "source", "shards", "murmur3"],
        ["per-minute", "keyed", 4, "murmur3"],
        ["table", "keyed", 4, "murmur3"],
      ],
    );
    assert.deepEqual(job.stages[1]!.operators[0], {
      uid: "per-minute",
      kind: "window",
      states: [{ name: "contents", kind: "value", version: 0 }],
      sideOutputs: ["late"],
      outputs: [
        { to: "table", side: null, tag: null, partitioning: "keyed", exchange: 1 },
        { to: "late", side: null, tag: "late", partitioning: "forward", exchange: null },
      ],
      window: {
        assigner: "tumbling",
        time: "event",
        sizeMs: 60_000,
        offsetMs: 0,
        gapMs: null,
        trigger: "eventTime",
        allowedLatenessMs: 300_000,
        lateSideOutput: "late",
        contents: "aggregate",
        result: "result",
      },
    });
  });

  test("has the exchanges from both ends", () => {
    assert.deepEqual(job.exchanges[1], {
      number: 1,
      from: "per-minute",
      fromStage: "per-minute",
      to: "table",
      toStage: "table",
      side: null,
      tag: null,
      partitioning: "keyed",
    });
  });

  test("has what sources and sinks are told, and what they promise", () => {
    const [views] = job.stages[0]!.operators;
    assert.deepEqual(views!.source, {
      connector: "test",
      name: "page-views",
      bounded: false,
      options: { stream: "page-views" },
      watermarks: { kind: "bounded", boundMs: 5_000, idleAfterMs: 60_000, advanceWhenIdle: false, alignment: null },
    });
    const sinks = job.stages.flatMap(({ operators }) => operators.flatMap(({ uid, sink }) => (sink ? [[uid, sink]] : [])));
    assert.deepEqual(Object.fromEntries(sinks), {
      late: { connector: "test", name: "output", guarantee: "atLeastOnce", keyed: false, options: { path: "output" } },
      table: { connector: "test", name: "table", guarantee: "exactlyOnce", keyed: true, options: { path: "table" } },
    });
  });

  test("tells a gap computed from each record from a fixed one, and no watermarks from some", () => {
    const windows = defineJob("windows", (job) => {
      const source = job.source("in", testSource<string>(), { watermarks: boundedOutOfOrderness(seconds(0)) });
      const keyed = source.keyBy((v) => v);
      keyed
        .window(session(seconds(5)))
        .reduce("fixed", (a) => a)
        .sinkTo("out-1", testSink<string>());
      keyed
        .window(session(() => seconds(5)))
        .reduce("dynamic", (a) => a)
        .sinkTo("out-2", testSink<string>());
      job.source("silent", testSource<string>()).sinkTo("out-3", testSink<string>());
    });
    const byUid = new Map(explainJson(planJob(windows)).stages[0]!.operators.map((operator) => [operator.uid, operator]));
    assert.deepEqual([byUid.get("fixed")!.window!.gapMs, byUid.get("dynamic")!.window!.gapMs], [5_000, "dynamic"]);
    assert.equal(byUid.get("silent")!.source!.watermarks, null);
  });
});
