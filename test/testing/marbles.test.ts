import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { count, seconds, tumbling } from "../../runtime/index.ts";
import { marbles, verifyMarbles } from "../../runtime/testing/index.ts";
import { pipeline } from "../operators/pipeline.ts";

describe("a marble diagram", () => {
  test("is steps in the order of their columns, and what each brings", () => {
    const { steps, given, expected } = marbles(
      `in     a@1s    b:7@-2m#1          |9999
       other       x@0.5h      |
       clock                   90s
       out                               a[0,10s)=2  late
       side                                          b@1`,
      { sinks: ["out", "side"] },
    );
    assert.deepEqual(steps, [
      { source: "in", value: { key: "a", at: 1_000 }, timestamp: 1_000 },
      { source: "other", value: { key: "x", at: 1_800_000 }, timestamp: 1_800_000 },
      { source: "in", value: { key: "b", at: -120_000, n: 7 }, timestamp: -120_000, shard: 1 },
      { endInput: true, source: "other" },
      { processingTime: 90_000 },
      { source: "in", watermark: 9_999 },
    ]);
    assert.deepEqual(given.slice(0, 5), Array(5).fill({ out: [], side: [] }));
    assert.deepEqual(given[5], { out: [["a", 0, 10_000, 2], "late"], side: [{ key: "b", at: 1 }] });
    assert.deepEqual(expected, given[5]);
  });

  test("goes on in the next block", () => {
    const { steps, given } = marbles(`
      in   a@1  b@2
      out  1

      in   |5
      out  (a,2s,{1;2})  {}`);
    assert.equal(steps.length, 3);
    assert.deepEqual(
      given.map(({ out }) => out),
      [[1], [], [["a", 2_000, [1, 2]], []]],
    );
  });

  test("makes values as its author says", () => {
    const { steps } = marbles("in  page:3@1s", { record: (page, at, n) => ({ page, when: at, views: n }) });
    assert.deepEqual(steps, [{ source: "in", value: { page: "page", when: 1_000, views: 3 }, timestamp: 1_000 }]);
  });

  for (const [text, words] of [
    ["in  a", /a in line in is no record/],
    ["in  |soon", /\|soon in line in is no watermark/],
    ["clock  later", /later in line clock is no time/],
    ["out  1\nin       a@1", /1 in line out stands before every step/],
  ] as const)
    test(`that is none is refused: ${JSON.stringify(text)}`, () =>
      assert.throws(() => marbles(text), { kind: "invalid", message: words }));
});

describe("verifyMarbles", () => {
  const job = pipeline((events) =>
    events
      .keyBy(({ key }) => key as string)
      .window(tumbling(seconds(10)))
      .aggregate("count", count(), (key, { start, end }, n) => [key, start, end, n]),
  );

  test("holds a job to what comes out, and when", async () => {
    await verifyMarbles(
      job,
      `in   a@1s  b@9999  a@2s  |9998  |9999                   b@20s  |
       out                             a[0,10s)=2  b[0,10s)=1         b[20s,30s)=1`,
      { order: "anyBetweenWatermarks" },
    );
  });

  test("says at which step something else came, or at another time", async () => {
    const verify = (out: string) => verifyMarbles(job, `in   a@1s  |9998  |9999\nout${out}`);
    await assert.rejects(verify("                     a[0,10s)=2"), {
      name: "AssertionError",
      message: /after step 3 of 3 \(watermark 9999 of in\) out was given \[ 'a', 0, 10000, 1 \], the diagram says .* 2 \]/,
    });
    await assert.rejects(verify("              a[0,10s)=1"), /after step 2 of 3 .* given nothing/);
    await assert.rejects(verify(""), /diagram says nothing/);
  });
});
