import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { count, outputTag, seconds, session, tumbling } from "../../runtime/index.ts";
import { marbles, type Marbles, type OperatorStep, printMarbles, verifyMarbles } from "../../runtime/testing/index.ts";
import { type Event, event, pipeline } from "../operators/pipeline.ts";

describe("a marble diagram", () => {
  test("is steps in the order of their columns, and what each brings", () => {
    const { steps, given, expected } = marbles(
      `in     a@1s                       |9999
       in#1           b:7@-2m
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
      out  [a,2s,[1,2]]  []`);
    assert.equal(steps.length, 3);
    assert.deepEqual(
      given.map(({ out }) => out),
      [[1], [], [["a", 2_000, [1, 2]], []]],
    );
  });

  test("has words for plain data", () => {
    const words = {
      "null[0,1m)": [null, 0, 60_000],
      "2[-1,1)={n:1.5,of:[/a,true]}": [2, -1, 1, { n: 1.5, of: ["/a", true] }],
      "k[2024-03-31T00:00+01:00,2024-04-01T00:00+02:00)": ["k", 1_711_839_600_000, 1_711_922_400_000],
      '"two words"': "two words",
      '"5s"': "5s",
      "5x": "5x",
      "k:[1,2]@3s": { key: "k", at: 3_000, n: [1, 2] },
      "-Infinity": -Infinity,
      "1e3": 1_000,
    };
    for (const [word, value] of Object.entries(words))
      assert.deepEqual(marbles(`in   a@1\nout  ${word}`).given, [{ out: [value] }], word);
    const { steps } = marbles('in  {page:"/a b",at:1s}@2s  [1]@3');
    assert.deepEqual(
      steps.map((step) => "value" in step && [step.value, step.timestamp]),
      [
        [{ page: "/a b", at: 1_000 }, 2_000],
        [[1], 3],
      ],
    );
  });

  test("takes values from a table, and makes others as its author says", () => {
    const login = { user: "ann", kind: "login" };
    const options = { values: { login }, record: (page: string, at: number, n: number) => ({ page, when: at, views: n }) };
    const { steps, given } = marbles("in   login@1s  /a:3@2s\nout            login   login@5s", options);
    assert.deepEqual(steps, [
      { source: "in", value: login, timestamp: 1_000 },
      { source: "in", value: { page: "/a", when: 2_000, views: 3 }, timestamp: 2_000 },
    ]);
    assert.deepEqual(given[1], { out: [login, login] });
  });

  test("has no values of names that mean something else", () => {
    for (const name of ["5s", "null", "a b", "k@1"])
      assert.throws(() => marbles("in  a@1", { values: { [name]: 1 } }), { kind: "invalid", message: /cannot have this name/ });
  });

  for (const [text, place, words] of [
    ["in  a", "line 1, column 6", /a of in is no record/],
    ["in  a@x", "line 1, column 7", /a@x of in has no time/],
    ["in  |soon", "line 1, column 6", /\|soon of in has no watermark/],
    ["in  a@1  b@2s,", "line 1, column 14", /goes on where it should end/],
    ["in#1  |", "line 1, column 7", /only whole sources end/],
    ["clock  1s  later", "line 1, column 12", /later of clock has no time/],
    ["\n  in   a@1\n  out  a[0,10s=1", "line 3, column 15", /lacks \)/],
    ["in   a@1\nout  [1,2", "line 2, column 10", /lacks ,/],
    ['in   a@1\nout  "open', "line 2, column 6", /lacks a value/],
    ["in   2024-02-31T25:00Z@1", "line 1, column 6", /date that does not exist/],
    ["out  1\nin       a@1", "line 1, column 6", /1 of out stands before every step/],
  ] as const)
    test(`that is none is refused: ${JSON.stringify(text)}`, () => {
      const isRight = ({ kind, message }: any) => {
        assert.equal(kind, "invalid");
        assert.match(message, words);
        assert.ok(message.includes(place), message);
        const [, shown, sign] = message.split("\n");
        assert.equal(shown, text.split("\n")[Number(/line (\d+)/.exec(place)![1]) - 1]);
        assert.equal(sign.length, Number(/column (\d+)/.exec(place)![1]));
        return true;
      };
      assert.throws(() => marbles(text), isRight);
    });
});

const noNull = { noNullPrototype: true } as const;
const name = fc.constantFrom("a", "b", "in-2", "Ω");
const plain = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constantFrom(null, undefined, "null", "5s", "x", "seven", "|", 7),
);
const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    plain,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.string(), tie("value"), { maxKeys: 3, noNullPrototype: true }),
    fc.tuple(
      plain,
      fc.integer(),
      fc.integer({ min: 0, max: 9 }).map((n) => n * 30_000),
      tie("value"),
    ),
    fc.record({ key: plain, at: fc.integer() }, noNull),
  ),
})).value;
const time = fc.oneof(
  fc.integer(),
  fc.integer({ min: -9, max: 9 }).map((n) => n * 30_000),
);
const shard = fc.option(fc.record({ shard: fc.integer({ min: 0, max: 3 }) }, noNull), { nil: {} });
const item = fc.oneof(
  fc.record({ key: plain, at: time }, noNull),
  fc.record({ key: plain, at: time, n: fc.integer() }, noNull),
  fc.dictionary(fc.string(), value, { maxKeys: 3, noNullPrototype: true }),
  fc.array(value, { maxLength: 3 }),
  fc.constant({ from: "the table" }),
);
const step: fc.Arbitrary<OperatorStep> = fc.oneof(
  fc.tuple(name, item, time, shard).map(([source, value, timestamp, of]) => ({ source, value, timestamp, ...of })),
  fc.tuple(name, time, shard).map(([source, watermark, of]) => ({ source, watermark, ...of })),
  name.map((source) => ({ source, endInput: true as const })),
  time.map((processingTime) => ({ processingTime })),
);
const sinks = ["out", "late"];
const given = fc.record({ out: fc.array(value, { maxLength: 3 }), late: fc.array(item, { maxLength: 1 }) }, noNull);
const diagram: fc.Arbitrary<Pick<Marbles, "steps" | "given">> = fc
  .array(fc.tuple(step, given), { maxLength: 12 })
  .map((columns) => ({ steps: columns.map(([step]) => step), given: columns.map(([, given]) => given) }));

describe("a diagram that is written", () => {
  const options = { sinks, values: { x: { from: "the table" }, seven: 7 } };

  test("is read as what it was written from, and written the same again", () => {
    fc.assert(
      fc.property(diagram, ({ steps, given }) => {
        const text = printMarbles({ steps, given }, options);
        const read = marbles(text, options);
        assert.deepEqual({ steps: read.steps, given: read.given }, { steps, given });
        assert.equal(printMarbles(read, options), text);
      }),
    );
  });

  test("stands in columns, in blocks of a width that can be read", () => {
    const { steps, given } = marbles(
      "in  a@1000  b:2@2s  |9999\nout                 a[0,10000)=1   b[0,10s)=2\n\nclock 60s\n\nin |",
    );
    assert.equal(
      printMarbles({ steps, given }),
      [
        "in     a@1s  b:2@2s  |9999                       |",
        "clock                                        1m",
        "out                  a[0,10s)=1  b[0,10s)=2",
      ].join("\n"),
    );
    const many = Array.from({ length: 60 }, (_, n) => ({ source: "in", value: event("k", n), timestamp: n }));
    const blocks = printMarbles({ steps: many, given: [] }).split("\n\n");
    assert.ok(blocks.length > 1);
    for (const line of blocks.flatMap((block) => block.split("\n"))) assert.ok(line.length <= 120, line);
  });

  test("has no words for what is no plain data", () => {
    const of = (value: unknown) => () => printMarbles({ steps: [{ processingTime: 1 }], given: [{ out: [value] }] });
    for (const value of [new Date(0), 5n, new Map(), () => 1])
      assert.throws(of(value), { kind: "invalid", message: /no word for/ });
    assert.throws(() => printMarbles({ steps: [{ endInput: true }], given: [] }), {
      kind: "invalid",
      message: /names no source/,
    });
  });
});

describe("verifyMarbles", () => {
  const windows = (events: any) => events.keyBy(({ key }: Event) => key as string).window(tumbling(seconds(10)));
  const counted = (key: unknown, { start, end }: any, n: unknown) => [key, start, end, n];
  const job = pipeline((events) => windows(events).aggregate("count", count(), counted));

  test("holds a job to what comes out, and when", async () => {
    await verifyMarbles(
      job,
      `in   a@1s  b@9999  a@2s  |9998  |9999                   b@20s  |
       out                             a[0,10s)=2  b[0,10s)=1         b[20s,30s)=1`,
      { order: "anyBetweenWatermarks" },
    );
  });

  test("has lines for side outputs and for shards", async () => {
    const late = outputTag<Event>("late");
    await verifyMarbles(
      pipeline((events) => windows(events).sideOutputLate(late).aggregate("count", count(), counted)),
      `in#0  a@1s        |9999        a:7@2s
       in#1        |20s
       out               a[0,10s)=1
       late                           a:7@2s`,
      { sideOutputs: [late], options: { shards: 2 } },
    );
  });

  test("runs a job in batch mode once", async () => {
    const batch = pipeline((events) => windows(events).aggregate("count", count(), counted), { mode: "batch" });
    await verifyMarbles(batch, "in   a@12s  a@1s  |\nout               a[0,10s)=1  a[10s,20s)=1");
    await assert.rejects(verifyMarbles(batch, "in  a@1s  |"), { message: /step 2 of 2 \(in ends\) out was given \[ 'a'/ });
  });

  test("says at which step something else came, or at another time, and what would be right", async () => {
    const verify = (out: string) => verifyMarbles(job, `in   a@1s  |9998  |9999\nout${out}`);
    await assert.rejects(verify("                     a[0,10s)=2"), {
      name: "AssertionError",
      message: /after step 3 of 3 \(watermark 9999 of in\) out was given \[ 'a', 0, 10000, 1 \], the diagram says .* 2 \]/,
    });
    await assert.rejects(verify("              a[0,10s)=1"), /after step 2 of 3 .* given nothing/);
    await assert.rejects(verify(""), (error: Error) => {
      assert.match(error.message, /diagram says nothing/);
      const [, , ...right] = error.message.split("\n");
      assert.equal(right.join("\n"), "in   a@1s  |9998  |9999\nout               a[0,10s)=1");
      return true;
    });
  });

  test("sessions too", async () => {
    const sessions = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .window(session(seconds(5)))
        .aggregate("count", count(), counted),
    );
    await verifyMarbles(sessions, "in   a@1s  a@9s  a@5s  |20s\nout                    a[1s,14s)=3");
  });
});
