import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isKind } from "../../runtime/base/errors.ts";
import {
  boundedOutOfOrderness,
  customWatermarks,
  defineJob,
  millis,
  minutes,
  monotonous,
  outputTag,
  planJob,
  seconds,
  session,
  triggers,
  tumbling,
  type,
  map,
  value,
  type Aggregator,
  type JobBuilder,
  type KeyedStream,
  type SourceStream,
  type WatermarkStrategy,
} from "../../runtime/index.ts";
import { testSink, testSource } from "./connectors.ts";
import * as jobs from "./jobs.ts";

const late = outputTag<string>("late");
const watermarks = monotonous();

/** Defines a job of one source that has everything, and whatever `build` adds. */
function define(build: (source: SourceStream<string>, job: JobBuilder) => void, name = "job") {
  return defineJob(name, (job) => {
    const source = job.source("in", testSource<string>(), { watermarks });
    source.sinkTo("out", testSink<string>());
    build(source, job);
  });
}

function keyed(build: (stream: KeyedStream<string, string>) => void) {
  return define((source) => build(source.keyBy((v) => v)));
}

function assertInvalid(make: () => unknown, message: RegExp, context: Readonly<Record<string, unknown>> = {}): void {
  assert.throws(make, (error: unknown) => {
    assert.ok(isKind(error, "invalid"), String(error));
    assert.match(error.message, message);
    for (const [name, value] of Object.entries(context)) assert.deepEqual(error.context[name], value, name);
    return true;
  });
}

test("the jobs that the types are held to can be built and planned, at any parallelism", () => {
  for (const job of Object.values(jobs))
    for (const parallelism of [1, 2, 7]) {
      const plan = planJob({ ...job, options: { ...job.options, parallelism } });
      assert.deepEqual(
        [...plan.operators.keys()],
        job.graph.nodes.map(({ uid }) => uid),
      );
    }
});

describe("the graph", () => {
  test("holds operators in the order they were written, edges pointing backwards", () => {
    const { nodes } = jobs.pageviews.graph;
    const edges = nodes.map(({ uid, spec, inputs }) => [
      uid,
      spec.kind,
      ...inputs.map(({ from, tag, partitioning }) => [from, tag, partitioning.kind]),
    ]);
    assert.deepEqual(edges, [
      ["views", "source"],
      ["humans", "filter", ["views", undefined, "forward"]],
      ["per-minute", "window", ["humans", undefined, "keyed"]],
      ["table", "sink", ["per-minute", undefined, "forward"]],
      ["late", "sink", ["per-minute", "late", "forward"]],
    ]);
  });

  test("has what a window was told", () => {
    const spec = jobs.pageviews.graph.nodes[2]!.spec;
    assert.ok(spec.kind === "window");
    const { assigner, trigger, allowedLateness, lateTag, contents, result } = spec;
    assert.deepEqual(assigner, { kind: "tumbling", sizeMs: 60_000, offsetMs: 0, time: "event" });
    assert.deepEqual([trigger.kind, allowedLateness, lateTag], ["eventTime", 300_000, "late"]);
    assert.deepEqual([contents.kind, result.kind], ["aggregate", "result"]);
  });

  test("gives a window the trigger of its time", () => {
    const job = keyed((stream) => stream.window(tumbling(seconds(1), { time: "processing" })).reduce("w", (a) => a));
    const spec = job.graph.nodes.at(-1)!.spec;
    assert.ok(spec.kind === "window" && spec.trigger.kind === "processingTime");
  });

  test("has no operator for a union, and each input keeps its partitioning", () => {
    const job = define((source) =>
      source
        .map("a", (v) => v)
        .rebalance()
        .union(source.map("b", (v) => v))
        .map("c", (v) => v),
    );
    const { inputs } = job.graph.nodes.at(-1)!;
    assert.deepEqual(
      inputs.map(({ from, input, partitioning }) => [from, input, partitioning.kind]),
      [
        ["a", 0, "rebalance"],
        ["b", 0, "forward"],
      ],
    );
  });

  test("collects what with() says, the later over the earlier", () => {
    const job = define((source) =>
      source
        .map("a", (v) => v)
        .with({ parallelism: 2, chain: "new" })
        .with({ parallelism: 3 }),
    );
    assert.deepEqual(job.graph.nodes.at(-1)!.options, { parallelism: 3, chain: "new" });
  });

  test("keeps the sides of connected streams apart, and their keys", () => {
    const job = define((source) => {
      const other = source.map("other", (v) => v);
      source.union(other).connect(other.rebalance()).map("free", String, String);
      const co = { output: type<string>(), sideOutputs: [late, late], onLeft: () => {}, onRight: () => {} };
      source
        .keyBy((v) => v)
        .connect(other.keyBy((v) => v))
        .process("keyed", co)
        .sideOutput(late);
      const rules = other.broadcast("rules", { rules: map<string, string>() });
      source
        .keyBy((v) => v)
        .connect(rules)
        .process("ruled", { output: type<string>(), onRecord: () => {}, onBroadcast: () => {} });
    });
    const edges = (uid: string) =>
      job.graph.nodes
        .find((node) => node.uid === uid)!
        .inputs.map(({ from, input, partitioning }) => [from, input, partitioning.kind]);
    assert.deepEqual(edges("free"), [
      ["in", 0, "forward"],
      ["other", 0, "forward"],
      ["other", 1, "rebalance"],
    ]);
    assert.deepEqual(edges("keyed"), [
      ["in", 0, "keyed"],
      ["other", 1, "keyed"],
    ]);
    assert.deepEqual(edges("ruled"), [
      ["in", 0, "keyed"],
      ["other", 1, "broadcast"],
    ]);
    assert.deepEqual(job.graph.nodes.find(({ uid }) => uid === "keyed")!.sideOutputs, ["late"]);
  });

  test("connects streams of one job alone, and not what needs no exchange", () => {
    define((mine) =>
      define((other) => {
        assertInvalid(() => mine.connect(other), /two jobs/);
        assertInvalid(() => mine.keyBy((v) => v).connect(other.keyBy((v) => v)), /two jobs/);
        assertInvalid(() => mine.keyBy((v) => v).connect(other.broadcast("rules", {})), /two jobs/);
        const assumed = mine.assumeKeyed((v) => v);
        assertInvalid(() => assumed.connect(mine.keyBy((v) => v)), /use keyBy\(\)/, { operator: ["in", "in"] });
        assertInvalid(() => mine.keyBy((v): string => v).connect(assumed), /use keyBy\(\)/);
        assertInvalid(() => assumed.connect(mine.broadcast("rules", {})), /use keyBy\(\)/);
      }));
  });

  test("broadcasts under a name, into maps", () => {
    define((source) => {
      assertInvalid(() => source.broadcast("a b", {}), /the uid of a broadcast must be 1 to 64/, { broadcast: "a b" });
      const states = { rules: value<string>() as never };
      assertInvalid(() => source.broadcast("rules", states), /kept in maps/, { broadcast: "rules", state: "rules" });
    });
  });

  test("is not changed by a stream that is used twice", () => {
    const job = keyed((stream) => {
      const window = stream.window(tumbling(seconds(1)));
      window.allowedLateness(seconds(9)).reduce("lenient", (a) => a);
      window.reduce("strict", (a) => a);
    });
    const lateness = job.graph.nodes.map(({ spec }) => (spec.kind === "window" ? spec.allowedLateness : undefined));
    assert.deepEqual(lateness.slice(-2), [9_000, 0]);
  });
});

describe("async functions", () => {
  /** As an author without types may write them, or with handlers whose result nobody looks at. */
  const later = async (): Promise<any> => undefined;
  const counting: Aggregator<string, number, number> = { create: () => 0, add: (n) => n + 1, result: (n) => n };
  const fn = { output: type<string>(), onRecord: () => undefined };
  const windowed = (s: KeyedStream<string, string>) => s.window(tumbling(seconds(1)));
  const mistakes: Readonly<Record<string, readonly [operator: string, () => unknown]>> = {
    timestamps: ["late", () => define((_, job) => job.source("late", testSource<string>(), { timestamps: later as never }))],
    fn: ["m", () => define((s) => s.map("m", later))],
    keep: ["f", () => define((s) => s.filter("f", later as never))],
    key: ["m", () => define((s) => s.keyBy(later as never).reduce("m", (a) => a))],
    reduce: ["r", () => keyed((s) => s.reduce("r", later as never))],
    onRecord: ["p", () => define((s) => s.process("p", { ...fn, onRecord: later }))],
    onTimer: ["p", () => keyed((s) => s.process("p", { ...fn, onTimer: later }))],
    add: ["w", () => keyed((s) => windowed(s).aggregate("w", { ...counting, add: later as never }))],
    result: ["w", () => keyed((s) => windowed(s).aggregate("w", counting, later))],
    onWindow: ["w", () => keyed((s) => windowed(s).process("w", { output: type<string>(), onWindow: later }))],
    onElement: [
      "w",
      () =>
        keyed((s) =>
          windowed(s)
            .trigger(triggers.purging(triggers.custom({ onElement: later as never })))
            .reduce("w", (a) => a),
        ),
    ],
    left: ["c", () => define((s) => s.connect(s).map("c", later, later))],
  };
  for (const [name, [operator, build]] of Object.entries(mistakes))
    test(`are refused: ${name}`, () => assertInvalid(build, /are synchronous/, { operator, function: name }));

  test("of sinks are not", () => {
    define((s) => s.sinkTo("mine", { ...testSink<string>(), write: later } as never));
  });
});

describe("names", () => {
  test("a uid names one operator, sinks and sources included", () => {
    assertInvalid(() => define((s) => s.map("in", (v) => v)), /a uid names one/, { operator: "in" });
    assertInvalid(() => define((s) => s.sinkTo("out", testSink())), /a uid names one/, { operator: "out" });
  });

  for (const uid of ["", " ", "a b", "a/b", "ä", "a\n", "x".repeat(65)])
    test(`${JSON.stringify(uid.slice(0, 8))} is no uid and no job's name`, () => {
      assertInvalid(() => define((s) => s.map(uid, (v) => v)), /1 to 64 letters/, { operator: uid });
      assertInvalid(() => define(() => undefined, uid), /1 to 64 letters/, { job: uid });
    });

  test("64 letters, digits, dots, underscores and hyphens are", () => {
    define((s) => s.map("a.B_3-".padEnd(64, "x"), (v) => v), "j".repeat(64));
  });
});

describe("the whole job", () => {
  test("needs a source and a sink", () => {
    assertInvalid(() => defineJob("empty", () => undefined), /at least one source/, { job: "empty" });
    const sinkless = () => defineJob("sinkless", (job) => void job.source("in", testSource()));
    assertInvalid(sinkless, /at least one sink/, { job: "sinkless" });
  });

  test("takes no operators once it is defined", () => {
    const escaped: SourceStream<string>[] = [];
    define((source) => escaped.push(source));
    assertInvalid(() => escaped[0]!.map("later", (v) => v), /defined already/, { operator: "later" });
  });

  test("does not mix with another", () => {
    define((mine) => define((other) => assertInvalid(() => mine.union(other), /two jobs/)));
  });
});

describe("event time", () => {
  const withoutWatermarks = (build: (stream: SourceStream<string>) => void) =>
    define((_, job) => build(job.source("silent", testSource<string>())));

  test("windows below a source without watermarks are refused, through operators and unions", () => {
    const below = () =>
      define((source, job) =>
        source
          .union(job.source("silent", testSource<string>()).map("m", (v) => v))
          .keyBy((v) => v)
          .window(tumbling(seconds(1)))
          .reduce("w", (a) => a),
      );
    assertInvalid(below, /never fires/, { operator: "w", source: "silent" });
  });

  test("windows of processing time and timers are not", () => {
    withoutWatermarks((s) =>
      s
        .keyBy((v) => v)
        .window(tumbling(seconds(1), { time: "processing" }))
        .reduce("w", (a) => a),
    );
    const fn = { output: type<string>(), onRecord: () => undefined, onTimer: () => undefined };
    withoutWatermarks((s) => s.keyBy((v) => v).process("p", fn));
  });

  const source = (strategy: WatermarkStrategy<string>) =>
    define((_, job) => void job.source("s", testSource<string>(), { watermarks: strategy }));

  test("a strategy that follows the clock when idle must know what idle is", () => {
    const custom = customWatermarks({ create: () => 0, onRecord: () => undefined });
    for (const strategy of [custom, monotonous(), boundedOutOfOrderness(seconds(1))]) {
      assertInvalid(() => source(strategy.advanceWhenIdle()), /withIdleness/, { operator: "s" });
      source(strategy.withIdleness(seconds(1)).advanceWhenIdle());
      source(strategy.advanceWhenIdle().withIdleness(seconds(1)));
    }
  });

  test("bounds and idleness are lengths of time", () => {
    assertInvalid(() => source(boundedOutOfOrderness(seconds(-1))), /out-of-orderness/, { operator: "s", bound: -1_000 });
    assertInvalid(() => source(monotonous().withIdleness(seconds(0))), /idle/, { operator: "s", idleness: 0 });
  });
});

describe("windows", () => {
  const tumble = (size: number, offset = 0) =>
    keyed((s) => s.window(tumbling(millis(size), { offset: millis(offset) })).reduce("w", (a) => a));

  for (const size of [0, -1, 0.5, NaN, Infinity])
    test(`a size of ${size} ms is refused`, () => assertInvalid(() => tumble(size), /size/, { operator: "w", size }));

  for (const offset of [10, -10, 11, 0.5, NaN])
    test(`an offset of ${offset} ms is refused for 10 ms`, () =>
      assertInvalid(() => tumble(10, offset), /offset/, { operator: "w", offset }));

  test("an offset within the size is taken, either way", () => {
    tumble(10, 9);
    tumble(10, -9);
  });

  for (const gap of [0, -5, NaN])
    test(`a session's gap of ${gap} ms is refused`, () =>
      assertInvalid(() => keyed((s) => s.window(session(millis(gap))).reduce("w", (a) => a)), /gap/, { operator: "w" }));

  test("negative lateness is refused", () => {
    const job = () =>
      keyed((s) =>
        s
          .window(tumbling(minutes(1)))
          .allowedLateness(millis(-1))
          .reduce("w", (a) => a),
      );
    assertInvalid(job, /lateness/, { operator: "w", lateness: -1 });
  });

  test("a session needs an aggregator that merges, a tumbling window does not", () => {
    const last: Aggregator<string, string, string> = { create: () => "", add: (_, v) => v, result: (v) => v };
    assertInvalid(() => keyed((s) => s.window(session(seconds(1))).aggregate("w", last)), /merge/, { operator: "w" });
    keyed((s) => s.window(session(seconds(1))).aggregate("w", { ...last, merge: (_, b) => b }));
    keyed((s) => s.window(session(() => seconds(1))).reduce("w", (a) => a));
    keyed((s) => s.window(tumbling(seconds(1))).aggregate("w", last));
  });
});

describe("side outputs", () => {
  test("late records are read back by their tag", () => {
    const job = keyed((s) => {
      const result = s
        .window(tumbling(seconds(1)))
        .sideOutputLate(late)
        .reduce("w", (a) => a);
      result.sideOutput(late).sinkTo("late", testSink<string>());
    });
    assert.equal(job.graph.nodes.at(-1)!.inputs[0]!.tag, "late");
  });

  test("stand beside those of a window function", () => {
    const more = outputTag<number>("more");
    const fn = { output: type<string>(), sideOutputs: [more], onWindow: () => undefined };
    const job = keyed((s) =>
      s
        .window(tumbling(seconds(1)))
        .sideOutputLate(late)
        .process("w", fn),
    );
    assert.deepEqual(job.graph.nodes.at(-1)!.sideOutputs, ["late", "more"]);
  });

  test("that the operator does not declare are refused", () => {
    assertInvalid(() => keyed((s) => s.reduce("r", (a) => a).sideOutput(late)), /does not declare/, {
      operator: "r",
      tag: "late",
    });
    const other = () => {
      const fn = { output: type<string>(), sideOutputs: [outputTag<number>("more")], onRecord: () => undefined };
      return define((source) => source.process("p", fn).sideOutput(late));
    };
    assertInvalid(other, /does not declare/, { operator: "p", tag: "late" });
    const unsaid = () =>
      keyed((s) =>
        s
          .window(tumbling(seconds(1)))
          .reduce("w", (a) => a)
          .sideOutput(late),
      );
    assertInvalid(unsaid, /does not declare/, { operator: "w" });
  });

  test("belong to one operator, so a union has none", () => {
    const united = () => define((s) => s.union(s.map("m", (v) => v)).sideOutput(late));
    assertInvalid(united, /after a union/, { operator: ["in", "m"] });
  });

  test("have none themselves, nor options", () => {
    const twice = () =>
      keyed((s) =>
        s
          .window(tumbling(seconds(1)))
          .sideOutputLate(late)
          .reduce("w", (a) => a)
          .sideOutput(late)
          .with({}),
      );
    assertInvalid(twice, /belongs right after an operator/, { operator: ["w"] });
    assertInvalid(() => define((s) => s.rebalance().with({ parallelism: 2 })), /belongs right after an operator/);
  });
});

describe("parameters", () => {
  const seen: unknown[] = [];
  const job = define((_, job) => {
    seen.push([job.param("n", 5), job.param("name", "x"), job.param("on", false), job.param("big", 7n)]);
  });

  test("have their fallbacks, and stand in the graph", () => {
    assert.deepEqual(seen.at(-1), [5, "x", false, 7n]);
    assert.deepEqual(Object.fromEntries(job.graph.parameters!), { n: 5, name: "x", on: false, big: 7n });
  });

  test("are set by value or by text, one after the other", () => {
    const other = job.withParameters({ n: "-1.5", on: "true" }).withParameters({ name: "5", big: "9007199254740993" });
    assert.deepEqual(seen.at(-1), [-1.5, "5", true, 9007199254740993n]);
    assert.deepEqual(Object.fromEntries(other.graph.parameters!), { n: -1.5, name: "5", on: true, big: 9007199254740993n });
    assert.equal(job.graph.parameters!.get("n"), 5);
  });

  for (const values of [{ n: "five" }, { n: "" }, { on: "yes" }, { big: "1.5" }])
    test(`${JSON.stringify(values)} is refused`, () => assertInvalid(() => job.withParameters(values), /a parameter must be a/));

  test("that the job does not ask for are refused", () => {
    assertInvalid(() => job.withParameters({ m: 1 }), /does not ask/, { parameter: "m" });
    assertInvalid(() => job.withParameters({ toString: 1 } as Record<string, number>), /does not ask/);
  });
});

test("parallelism set on an operator is a whole number, at least 1", () => {
  for (const parallelism of [0, -1, 1.5, NaN])
    assertInvalid(() => define((s) => s.map("m", (v) => v).with({ parallelism })), /parallelism/, { operator: "m" });
});
