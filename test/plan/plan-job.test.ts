import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { seconds } from "../../runtime/api/duration.ts";
import { outputTag, type } from "../../runtime/api/functions.ts";
import { map } from "../../runtime/api/state.ts";
import type { JobOptions } from "../../runtime/api/graph.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { testSink, testTable } from "../api/connectors.ts";
import { exchangesOf, mapped, plan, reduced, stagesOf, type Sources } from "./pipelines.ts";

/** A map, a keyed reduce, a map, and the sink. */
const simple = (source: Sources) => mapped(reduced(mapped(source("in"), "before"), "sum"), "after");

function assertInvalid(make: () => unknown, message: RegExp, context: Readonly<Record<string, unknown>> = {}): void {
  assert.throws(make, (error: unknown) => {
    assert.ok(isKind(error, "invalid"), String(error));
    assert.match(error.message, message);
    assert.deepEqual({ ...error.context, ...context }, error.context);
    return true;
  });
}

describe("at parallelism 1", () => {
  test("the whole job is one stage, and keys stay on the chained edges", () => {
    const graph = plan((source) => simple(source).rebalance().map("m", String).global().map("g", String), { parallelism: 1 });
    assert.deepEqual(stagesOf(graph), ["single×1: in before sum after m g out"]);
    assert.deepEqual(graph.exchanges, []);
    const [edge] = graph.operators.get("before")!.outputs;
    assert.ok(edge?.partitioning.kind === "keyed" && edge.partitioning.key("a") === "a");
    assert.equal(edge.exchange, undefined);
  });

  test("all sources feed the one task", () => {
    const graph = plan((source) => source("a").union(reduced(source("b"), "sum")), { parallelism: 1 });
    assert.deepEqual(graph.stages[0]!.sources, ["a", "b"]);
  });

  test("options of operators have no effect", () => {
    const graph = plan((source) => mapped(source("in"), "m").with({ parallelism: 3, chain: "never" }), { parallelism: 1 });
    assert.deepEqual(stagesOf(graph), ["single×1: in m out"]);
  });

  test("is the default", () => {
    assert.equal(plan(simple, { parallelism: undefined } as unknown as JobOptions).options.parallelism, 1);
  });
});

describe("above it", () => {
  test("stages are cut where records are keyed, and chained elsewhere", () => {
    const graph = plan(simple);
    assert.deepEqual(stagesOf(graph), ["source×shards: in before", "keyed×4: sum after out"]);
    assert.deepEqual(exchangesOf(graph), ["0 before>sum keyed"]);
    assert.deepEqual(
      graph.stages.map(({ id, sources, hash }) => [id, sources, hash]),
      [
        ["in", ["in"], "murmur3"],
        ["sum", [], "murmur3"],
      ],
    );
    assert.equal(graph.operators.get("after")!.stage, "sum");
    assert.equal(graph.operators.get("before")!.outputs[0]!.exchange, 0);
  });

  test("a union of sources is one stage of both", () => {
    const graph = plan((source) => mapped(source("a").union(source("b")), "m"));
    assert.deepEqual(stagesOf(graph), ["source×shards: a b m out"]);
    assert.deepEqual(graph.stages[0]!.sources, ["a", "b"]);
  });

  test("rebalance() cuts, and global() leads to one task", () => {
    const graph = plan((source) => mapped(mapped(mapped(source("in").rebalance(), "r").global(), "g"), "h"));
    assert.deepEqual(stagesOf(graph), ["source×shards: in", "keyed×4: r", "keyed×1: g h out"]);
    assert.deepEqual(exchangesOf(graph), ["0 in>r rebalance", "1 r>g global"]);
  });

  test("both sides of a keyed operator come by exchanges, each with its side and its key", () => {
    const graph = plan((source) => {
      const left = source("a").keyBy((v): string => `left ${v}`);
      const right = mapped(source("b"), "m").keyBy((v): string => `right ${v}`);
      return left.connect(right).process("both", { output: type<string>(), onLeft: () => {}, onRight: () => {} });
    });
    assert.deepEqual(stagesOf(graph), ["source×shards: a", "source×shards: b m", "keyed×4: both out"]);
    assert.deepEqual(exchangesOf(graph), ["0 a>both keyed", "1 m>both keyed"]);
    assert.deepEqual(
      graph.exchanges.map(({ input, partitioning }) => [input, partitioning.kind === "keyed" && partitioning.key("k")]),
      [
        [0, "left k"],
        [1, "right k"],
      ],
    );
    assert.equal(graph.operators.get("both")!.hash, "murmur3");
  });

  test("both sides may come from one operator, each by its own exchange", () => {
    const graph = plan((source) => {
      const keyed = source("a").keyBy((v) => v);
      return keyed.connect(keyed).process("both", { output: type<string>(), onLeft: () => {}, onRight: () => {} });
    });
    assert.deepEqual(
      graph.exchanges.map(({ number, from, to, input }) => [number, from, to, input]),
      [
        [0, "a", "both", 0],
        [1, "a", "both", 1],
      ],
    );
  });

  test("map and flatMap of two sources run with each of them, without an exchange", () => {
    const graph = plan((source) => source("a").connect(source("b")).map("both", String, String));
    assert.deepEqual(stagesOf(graph), ["source×shards: a b both out"]);
  });

  test("the sides of a co-process meet in one task (C6)", () => {
    const co = { output: type<string>(), onLeft: () => {}, onRight: () => {} };
    const apart = plan((source) => source("a").connect(source("b")).process("both", co));
    assert.deepEqual(stagesOf(apart), ["source×shards: a", "source×shards: b", "keyed×4: both out"]);
    assert.deepEqual(exchangesOf(apart), ["0 a>both rebalance", "1 b>both rebalance"]);
    const together = plan((source) => {
      const a = source("a");
      return mapped(a, "m").connect(a).process("both", co);
    });
    assert.deepEqual(stagesOf(together), ["source×shards: a m both out"]);
    const behind = plan((source) => reduced(source("a"), "sum").connect(source("b")).process("both", co));
    assert.deepEqual(stagesOf(behind), ["source×shards: a", "source×shards: b", "keyed×4: sum both out"]);
    assert.deepEqual(exchangesOf(behind), ["0 a>sum keyed", "1 b>both rebalance"]);
  });

  test("a broadcast is an exchange to every task", () => {
    const graph = plan((source) =>
      source("a")
        .keyBy((v) => v)
        .connect(source("rules").broadcast("rules", { rules: map<string, string>() }))
        .process("ruled", { output: type<string>(), onRecord: () => {}, onBroadcast: () => {} }),
    );
    assert.deepEqual(stagesOf(graph), ["source×shards: a", "source×shards: rules", "keyed×4: ruled out"]);
    assert.deepEqual(exchangesOf(graph), ["0 a>ruled keyed", "1 rules>ruled broadcast"]);
    assert.equal(graph.operators.get("ruled")!.hash, "murmur3");
  });

  test("a source joining a keyed stage is rebalanced into it, since a stage is fed by shards or by an inbox (C2)", () => {
    const graph = plan((source) => mapped(reduced(source("a"), "sum").union(mapped(source("b"), "m")), "both"));
    assert.deepEqual(stagesOf(graph), ["source×shards: a", "source×shards: b m", "keyed×4: sum both out"]);
    assert.deepEqual(exchangesOf(graph), ["0 a>sum keyed", "1 m>both rebalance"]);
  });

  test("so is the keyed stage's own source", () => {
    const graph = plan((source) => {
      const a = source("a");
      return mapped(a.union(reduced(a, "sum")), "both");
    });
    assert.deepEqual(stagesOf(graph), ["source×shards: a", "keyed×4: sum both out"]);
    assert.deepEqual(exchangesOf(graph), ["0 a>sum keyed", "1 a>both rebalance"]);
  });

  test("keyed stages that meet are one stage", () => {
    const graph = plan((source) => mapped(reduced(source("a"), "x").union(reduced(source("b"), "y")), "both"));
    assert.deepEqual(stagesOf(graph), ["source×shards: a", "source×shards: b", "keyed×4: x y both out"]);
  });

  test("a stage never feeds itself, directly (C3)", () => {
    const graph = plan((source) => {
      const first = reduced(source("a"), "first");
      return mapped(first.union(reduced(first, "second")), "both");
    });
    assert.deepEqual(stagesOf(graph), ["source×shards: a", "keyed×4: first", "keyed×4: second both out"]);
    assert.deepEqual(exchangesOf(graph), ["0 a>first keyed", "1 first>second keyed", "2 first>both rebalance"]);
  });

  test("nor through another, whichever was written first (C3)", () => {
    const graph = plan((source) => {
      const first = reduced(source("a"), "first");
      const third = reduced(mapped(reduced(first, "second"), "m"), "third");
      return mapped(third.union(first), "both");
    });
    assert.deepEqual(stagesOf(graph), ["source×shards: a", "keyed×4: first", "keyed×4: second m", "keyed×4: third both out"]);
    assert.deepEqual(exchangesOf(graph).at(-1), "3 first>both rebalance");
  });

  test("nor through a single task that it cannot be chained with (C3, C5)", () => {
    const graph = plan((source) => {
      const first = reduced(source("a"), "first");
      return mapped(first.union(mapped(first.global(), "one")), "both");
    });
    assert.deepEqual(stagesOf(graph), ["source×shards: a", "keyed×4: first", "keyed×1: one", "keyed×4: both out"]);
  });

  test("stages stand in the order of their exchanges, not of their first operators (P4)", () => {
    const graph = plan((source) => {
      const x = reduced(source("a"), "x");
      const y = reduced(mapped(source("b"), "m"), "y");
      reduced(y, "z").sinkTo("z-out", testSink<string>());
      return mapped(x.union(reduced(y, "w")), "both");
    });
    const place = (stage: string) => graph.stages.findIndex(({ id }) => id === stage);
    for (const { fromStage, toStage } of graph.exchanges) assert.ok(place(fromStage) < place(toStage), `${fromStage}>${toStage}`);
    assert.ok(place("y") < place("x"), "the stage of x, written first, is fed by that of y");
  });

  test("a side output is an edge like any other", () => {
    const odd = outputTag<string>("odd");
    const graph = plan((source) => {
      const split = source("in").process("split", { output: type<string>(), sideOutputs: [odd], onRecord: () => undefined });
      split.sideOutput(odd).sinkTo("odd-ones", testSink<string>());
      return reduced(split.sideOutput(odd), "sum");
    });
    const outputs = graph.operators.get("split")!.outputs;
    assert.deepEqual(
      outputs.map(({ to, tag, exchange }) => [to, tag, exchange]),
      [
        ["odd-ones", "odd", undefined],
        ["sum", "odd", 0],
      ],
    );
    assert.equal(graph.exchanges[0]!.tag, "odd");
  });
});

describe("assumeKeyed", () => {
  const assumed = (source: Sources) =>
    mapped(
      source("in")
        .assumeKeyed((v) => v)
        .reduce("sum", (a) => a),
      "after",
    );

  test("needs no exchange: one task per shard, hashed as the source hashes", () => {
    const graph = plan(assumed);
    assert.deepEqual(stagesOf(graph), ["source×shards: in sum after out"]);
    assert.deepEqual([graph.stages[0]!.hash, graph.operators.get("sum")!.hash], ["md5", "md5"]);
    const [edge] = graph.operators.get("in")!.outputs;
    assert.ok(edge?.partitioning.kind === "assumeKeyed" && edge.exchange === undefined);
  });

  test("hashes the same at parallelism 1, where another operator may hash otherwise", () => {
    assert.equal(plan(assumed, { parallelism: 1 }).stages[0]!.hash, "md5");
    const both = plan((source) => reduced(assumed(source), "again"), { parallelism: 1 });
    assert.deepEqual(
      ["sum", "again", "after"].map((uid) => both.operators.get(uid)!.hash),
      ["md5", "murmur3", undefined],
    );
    assert.equal(both.stages[0]!.hash, "murmur3");
  });

  test("cannot be cut off from its source", () => {
    const cut = (source: Sources) =>
      source("in")
        .assumeKeyed((v) => v)
        .reduce("sum", (a) => a)
        .with({ chain: "new" });
    assertInvalid(() => plan(cut), /runs with its source/, { operator: "sum" });
  });
});

describe("with()", () => {
  test("sets the parallelism of a stage, if its operators agree", () => {
    const two = { parallelism: 2 };
    const graph = plan((source) => mapped(reduced(source("in"), "sum").with(two), "m").with(two));
    assert.deepEqual(stagesOf(graph), ["source×shards: in", "keyed×2: sum m out"]);
    const disagreeing = (source: Sources) => mapped(reduced(source("in"), "sum").with(two), "m").with({ parallelism: 3 });
    assertInvalid(() => plan(disagreeing), /different parallelism.*sum 2, m 3/);
  });

  test("chain: new cuts before an operator, never before and after it", () => {
    const chained = (chain: "new" | "never") =>
      exchangesOf(plan((source) => mapped(mapped(mapped(source("in"), "a"), "b").with({ chain }), "c")));
    assert.deepEqual(chained("new"), ["0 a>b rebalance"]);
    assert.deepEqual(chained("never"), ["0 a>b rebalance", "1 b>c rebalance"]);
  });

  test("refuses a parallelism that cannot be", () => {
    assertInvalid(() => plan((s) => mapped(s("in"), "m").with({ parallelism: 2 })), /once per source shard/, { operator: "m" });
    assertInvalid(() => plan((s) => mapped(s("in").global(), "m").with({ parallelism: 2 })), /one task/, { operator: "m" });
    const tooMany = (s: Sources) => reduced(s("in"), "sum").with({ parallelism: 16 });
    assertInvalid(() => plan(tooMany, { keyGroups: 8 }), /key groups/, { operator: "sum", parallelism: 16, keyGroups: 8 });
    plan((s) => mapped(s("in").global(), "m").with({ parallelism: 1 }));
  });
});

describe("a sink with a key (C4)", () => {
  const key = (v: string) => v;
  const table = testTable<string>({ key });

  test("gets its records keyed by it, so that one task writes a row", () => {
    const graph = plan((source) => void reduced(source("in"), "sum").sinkTo("table", table));
    assert.deepEqual(exchangesOf(graph), ["0 in>sum keyed", "1 sum>table keyed"]);
    const { partitioning } = graph.exchanges[1]!;
    assert.ok(partitioning.kind === "keyed" && partitioning.key === key);
  });

  test("is keyed also where its records were spread otherwise", () => {
    const graph = plan((source) => source("in").rebalance().sinkTo("table", table));
    assert.deepEqual(exchangesOf(graph), ["0 in>table keyed"]);
  });

  test("is chained behind the same key, if nothing changed the values since", () => {
    const behind = (build: (source: Sources) => void) => exchangesOf(plan(build)).slice(1);
    const rolled = (source: Sources) =>
      source("in")
        .keyBy(key)
        .reduce("sum", (a) => a);
    assert.deepEqual(
      behind((source) => rolled(source).filter("f", Boolean).sinkTo("table", table)),
      [],
    );
    assert.deepEqual(
      behind((source) => mapped(rolled(source), "m").sinkTo("table", table)),
      ["1 m>table keyed"],
    );
    const spread = (source: Sources) => rolled(source).filter("f", Boolean).with({ chain: "new" }).sinkTo("table", table);
    assert.deepEqual(behind(spread), ["1 sum>f rebalance", "2 f>table keyed"]);
  });

  test("needs no exchange behind a single task, nor at parallelism 1", () => {
    const graph = plan((source) => mapped(source("in").global(), "one").sinkTo("table", table));
    assert.deepEqual(stagesOf(graph), ["source×shards: in", "keyed×1: one table"]);
    assert.deepEqual(exchangesOf(plan((s) => mapped(s("in"), "m").sinkTo("table", table), { parallelism: 1 })), []);
  });

  test("is keyed from every stage that feeds it", () => {
    const graph = plan((source) => mapped(source("a").global(), "one").union(source("b")).sinkTo("table", table));
    assert.deepEqual(exchangesOf(graph), ["0 a>one global", "1 one>table keyed", "2 b>table keyed"]);
  });
});

describe("options", () => {
  test("are filled in", () => {
    assert.deepEqual(plan(simple, { checkpoints: { interval: seconds(10) } }).options, {
      parallelism: 4,
      keyGroups: 32_768,
      checkpointIntervalMs: 10_000,
      checkpointTimeoutMs: 600_000,
      checkpointMinPauseMs: 0,
      checkpointsRetained: 3,
      tolerableCheckpointFailures: Number.MAX_SAFE_INTEGER,
      onUserError: "deadLetter",
      deadLettersPerMinuteMax: Number.MAX_SAFE_INTEGER,
      watermarkStepMs: 1_000,
      watermarkIntervalMs: 200,
      mode: "streaming",
      allowSkippedState: false,
      statePlacement: "cooling",
    });
  });

  for (const keyGroups of [0, 3, -2, 65_536, 1.5, NaN, Infinity])
    test(`${keyGroups} key groups are refused`, () =>
      assertInvalid(() => plan(simple, { keyGroups, parallelism: 1 }), /power of two/));

  test("a power of two up to 32,768 is taken", () => {
    for (const keyGroups of [1, 2, 128, 32_768]) plan(simple, { keyGroups, parallelism: 1 });
  });

  for (const parallelism of [0, -1, 1.5, NaN, 9])
    test(`parallelism ${parallelism} is refused with 8 key groups`, () =>
      assertInvalid(() => plan(simple, { parallelism, keyGroups: 8 }), /parallelism/, { parallelism, keyGroups: 8 }));

  test("so are times and counts below their least", () => {
    assertInvalid(() => plan(simple, { watermarkStep: seconds(0) }), /option/, { option: "watermarkStepMs" });
    assertInvalid(() => plan(simple, { checkpoints: { interval: seconds(-1) } }), /option/, { option: "checkpointIntervalMs" });
    assertInvalid(() => plan(simple, { checkpoints: { retained: 0 } }), /option/, { option: "checkpointsRetained" });
  });
});
