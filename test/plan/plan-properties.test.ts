/** The invariants of a plan (job-graph.ts), over random jobs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { DataStream } from "../../runtime/api/data-stream.ts";
import { defineJob } from "../../runtime/api/define-job.ts";
import type { Job } from "../../runtime/api/job.ts";
import type { JobGraph } from "../../runtime/plan/job-graph.ts";
import { type } from "../../runtime/api/functions.ts";
import { planJob } from "../../runtime/plan/plan-job.ts";
import { testSink, testSource, testTable } from "../api/connectors.ts";

/** One operator: what is done with the union of some earlier streams. */
interface Step {
  readonly inputs: readonly number[];
  readonly how: "map" | "keyed" | "rebalance" | "global" | "new" | "never" | "connected" | "keyedConnected" | "broadcast";
}

const step = fc.record<Step>({
  inputs: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
  how: fc.constantFrom(
    ...(["map", "map", "map", "keyed", "keyed", "rebalance", "global", "new", "never"] as const),
    ...(["connected", "keyedConnected", "broadcast"] as const),
  ),
});
const steps = fc.array(step, { maxLength: 12 });

/** Two sources, one of them keyed as read, then the steps; every stream is written to a sink, every other one by key. */
function jobOf(steps: readonly Step[]): Job {
  return defineJob("random", (job) => {
    const streams: DataStream<string>[] = [job.source("a", testSource<string>()), job.source("b", testSource<string>())];
    const assumed = job.source("c", testSource<string>()).assumeKeyed((v) => v);
    streams.push(assumed.reduce("assumed", (v) => v));
    for (const [i, { inputs, how }] of steps.entries()) {
      const [first, ...others] = inputs.map((n) => streams[n % streams.length]!);
      streams.push(append(first!, others, `op-${i}`, how));
    }
    for (const [i, stream] of streams.entries()) {
      const sink = i % 2 === 0 ? testSink<string>() : testTable<string>({ key: (v) => v });
      stream.sinkTo(`sink-${i}`, sink);
    }
  });
}

/** What connects takes the first as its left side, the union of the others (or the first again) as its right. */
function append(
  first: DataStream<string>,
  others: readonly DataStream<string>[],
  uid: string,
  how: Step["how"],
): DataStream<string> {
  const stream = first.union(...others);
  const right = others.length === 0 ? first : others[0]!.union(...others.slice(1));
  const onLeft = () => {};
  switch (how) {
    case "connected":
      return first.connect(right).process(uid, { output: type<string>(), onLeft, onRight: onLeft });
    case "keyedConnected":
      return first
        .keyBy((v) => v)
        .connect(right.keyBy((v) => v))
        .process(uid, { output: type<string>(), onLeft, onRight: onLeft });
    case "broadcast":
      return first
        .keyBy((v) => v)
        .connect(right.broadcast(`${uid}-state`, {}))
        .process(uid, { output: type<string>(), onRecord: onLeft, onBroadcast: onLeft });
    case "keyed":
      return stream.keyBy((v) => v).reduce(uid, (v) => v);
    case "rebalance":
    case "global":
      return stream[how]().map(uid, (v) => v);
    case "new":
    case "never":
      return stream.map(uid, (v) => v).with({ chain: how });
    case "map":
      return stream.map(uid, (v) => v);
  }
}

function holds(name: string, check: (graph: JobGraph, job: Job) => void): void {
  test(name, () =>
    fc.assert(
      fc.property(steps, (steps) => {
        const job = jobOf(steps);
        check(planJob({ ...job, options: { parallelism: 4 } }), job);
      }),
      { numRuns: 300 },
    ),
  );
}

const place = ({ stages }: JobGraph) => new Map(stages.map(({ id }, i) => [id, i]));

holds("P1: a stage is fed by source shards or by exchanges, never by both, never by neither", ({ stages, exchanges }) => {
  for (const { id, kind, sources, parallelism } of stages) {
    const fed = exchanges.some(({ toStage }) => toStage === id);
    assert.deepEqual([sources.length > 0, fed], kind === "source" ? [true, false] : [false, true], id);
    assert.equal(parallelism === "shards", kind === "source");
  }
});

holds("P2: every operator is in one stage, after what it is chained to", ({ stages, operators }) => {
  const listed = stages.flatMap((stage) => stage.operators);
  assert.deepEqual(listed.toSorted(), [...operators.keys()].toSorted());
  for (const [uid, { stage, outputs }] of operators)
    for (const { to, exchange } of outputs) {
      if (exchange !== undefined) continue;
      assert.equal(operators.get(to)!.stage, stage);
      assert.ok(listed.indexOf(uid) < listed.indexOf(to));
    }
});

holds("P3: an exchange's number is its place, and stands at the edge", ({ exchanges, operators }) => {
  for (const [i, { number, from, to, tag, input, partitioning }] of exchanges.entries()) {
    assert.equal(number, i);
    const edge = operators.get(from)!.outputs.find(({ exchange }) => exchange === i);
    assert.deepEqual(edge, { tag, to, input, partitioning, exchange: i });
  }
});

holds("P4: every exchange points to a later stage, so no stage feeds itself", (graph) => {
  const at = place(graph);
  for (const { fromStage, toStage } of graph.exchanges) assert.ok(at.get(fromStage)! < at.get(toStage)!);
});

holds("every edge of the job is there once, in the order of its consumers", ({ operators }, { graph }) => {
  for (const { uid } of graph.nodes) {
    const expected = graph.nodes.flatMap((node) => node.inputs.filter(({ from }) => from === uid).map(() => node.uid));
    assert.deepEqual(
      operators.get(uid)!.outputs.map(({ to }) => to),
      expected,
    );
  }
});

holds("what is keyed, rebalanced or global is an exchange, what is keyed as read never is", ({ operators }, { graph }) => {
  const asked = graph.nodes.flatMap(({ uid, inputs }) => inputs.map((edge) => ({ to: uid, ...edge })));
  for (const { from, to, partitioning } of asked)
    for (const edge of operators.get(from)!.outputs.filter((output) => output.to === to)) {
      if (partitioning.kind === "assumeKeyed") assert.equal(edge.exchange, undefined);
      else if (partitioning.kind !== "forward") assert.notEqual(edge.exchange, undefined);
    }
});

holds("C4: a sink with a key has its records keyed by it, or is one task", ({ operators, stages }) => {
  const tasks = new Map(stages.map(({ id, parallelism }) => [id, parallelism]));
  for (const { outputs } of operators.values())
    for (const { to, partitioning } of outputs) {
      const { node, stage } = operators.get(to)!;
      const key = node.spec.kind === "sink" ? node.spec.sink.key : undefined;
      if (key && tasks.get(stage) !== 1) assert.ok(partitioning.kind === "keyed" && partitioning.key === key, to);
    }
});

holds("C5: one task where global() leads, the job's parallelism elsewhere", ({ operators, stages, exchanges }) => {
  const tasks = new Map(stages.map(({ id, parallelism }) => [id, parallelism]));
  for (const { toStage, partitioning } of exchanges) if (partitioning.kind === "global") assert.equal(tasks.get(toStage), 1);
  for (const { node, stage } of operators.values())
    if (node.inputs.some(({ partitioning }) => partitioning.kind === "keyed")) assert.equal(tasks.get(stage), 4);
});

holds(
  "chaining is maximal: an edge that could be chained is, unless another rule forbids it",
  ({ operators, stages, exchanges }) => {
    const stageById = new Map(stages.map((stage) => [stage.id, stage]));
    for (const { from, to, partitioning, fromStage } of exchanges) {
      const receiver = operators.get(to)!.node;
      const [edge, ...others] = receiver.inputs;
      const isSplit = receiver.options.chain !== undefined || operators.get(from)!.node.options.chain === "never";
      if (others.length > 0 || edge?.partitioning.kind !== "forward" || isSplit) continue;
      assert.ok(
        receiver.spec.kind === "sink" && partitioning.kind === "keyed",
        `${from}>${to}, from ${stageById.get(fromStage)?.kind}`,
      );
    }
  },
);

holds("the same job gives the same plan", (graph, job) => {
  const again = planJob({ ...job, options: { parallelism: 4 } });
  assert.deepEqual([again.fingerprint, again.stages, again.exchanges], [graph.fingerprint, graph.stages, graph.exchanges]);
});

holds("C6: the sides of a co-process come from the same sources, or through exchanges", ({ operators }) => {
  const shards = (uid: string): string[] => {
    const { node } = operators.get(uid)!;
    if (node.inputs.length === 0) return [uid];
    return node.inputs.flatMap(({ from }) =>
      operators.get(from)!.outputs.some(({ to, exchange }) => to === uid && exchange === undefined) ? shards(from) : [],
    );
  };
  for (const { node, stage } of operators.values()) {
    if (node.spec.kind !== "coProcess" || !operators.get(stage)!.node.spec.kind.startsWith("source")) continue;
    const [left, right] = [0, 1].map((side) =>
      node.inputs.filter(({ input }) => input === side).flatMap(({ from }) => shards(from)),
    );
    assert.deepEqual([...new Set(left)].sort(), [...new Set(right)].sort());
  }
});

holds("a broadcast is an exchange of its own, whatever it is fed by", ({ operators, exchanges }) => {
  for (const { node } of operators.values()) {
    if (node.spec.kind !== "keyedBroadcastProcess") continue;
    const into = exchanges.filter(({ to }) => to === node.uid);
    assert.deepEqual(
      into.map(({ input, partitioning }) => [input, partitioning.kind]),
      node.inputs.map(({ input }) => [input, input === 0 ? "keyed" : "broadcast"]),
    );
  }
});
