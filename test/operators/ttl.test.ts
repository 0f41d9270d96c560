/** State that expires: what is found at which time, whatever became of the state in between; and that it goes. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  aggregating,
  type Aggregator,
  keyedProcess,
  list,
  map,
  millis,
  reducing,
  sum,
  type,
  value,
  type Job,
  type Ttl,
} from "../../runtime/index.ts";
import { harness, verifyOperator } from "../../runtime/testing/index.ts";
import type { HarnessSnapshot, OperatorStep } from "../../runtime/testing/index.ts";
import { type Event, event, pipeline, steps } from "./pipeline.ts";
import { sorted } from "./schedule.ts";

const text: Aggregator<number, string, string> = {
  create: () => "",
  add: (accumulator, n) => `${accumulator}${n}`,
  result: (accumulator) => `<${accumulator}>`,
};

/** One of each kind. 0 asks what there is; n > 0 adds n, in the map as entry n mod 3; n < 0 clears. */
function everyKind(ttl: Ttl): Job {
  return pipeline((events) =>
    events
      .keyBy(({ key }) => key as string)
      .process(
        "fn",
        keyedProcess({
          state: {
            last: value<number>({ ttl }),
            all: list<number>({ ttl }),
            slots: map<number, number>({ ttl }),
            total: reducing<number>((a, b) => a + b, { ttl }),
            text: aggregating(text, { ttl }),
            forever: list<number>(),
          },
          output: type<unknown>(),
          onRecord({ n = 0 }, ctx) {
            const { last, all, slots, total, forever } = ctx.state;
            if (n > 0) {
              last.set(n);
              all.add(n);
              slots.set(n % 3, n);
              total.add(n);
              ctx.state.text.add(n);
              forever.add(n);
            } else if (n < 0) {
              for (const state of [last, all, slots, total, ctx.state.text]) state.clear();
            } else {
              const entries = [...slots.entries()].sort(([a], [b]) => a - b);
              const empty = slots.isEmpty();
              ctx.emit([ctx.key, last.get(), all.get(), entries, empty, total.get(), ctx.state.text.get(), forever.get().length]);
            }
          },
        }),
      ),
  );
}

const at = (processingTime: number): OperatorStep => ({ processingTime });
const ask = event("a", 0, 0);
const add = (n: number) => event("a", 0, n);

describe("contents expire after they were written", () => {
  test("the whole of a value and of what is folded, each element, each entry", () =>
    verifyOperator(everyKind({ after: millis(100) }), {
      steps: steps(
        ask,
        at(10),
        add(1),
        at(50),
        add(2),
        add(3),
        at(109),
        ask,
        at(110),
        ask,
        at(149),
        ask,
        at(150),
        ask,
        add(4),
        at(160),
        ask,
      ),
      expected: {
        out: [
          ["a", undefined, [], [], true, undefined, undefined, 0],
          [
            "a",
            3,
            [1, 2, 3],
            [
              [0, 3],
              [1, 1],
              [2, 2],
            ],
            false,
            6,
            "<123>",
            3,
          ],
          [
            "a",
            3,
            [2, 3],
            [
              [0, 3],
              [2, 2],
            ],
            false,
            6,
            "<123>",
            3,
          ],
          [
            "a",
            3,
            [2, 3],
            [
              [0, 3],
              [2, 2],
            ],
            false,
            6,
            "<123>",
            3,
          ],
          ["a", undefined, [], [], true, undefined, undefined, 3],
          ["a", 4, [4], [[1, 4]], false, 4, "<4>", 4],
        ],
      },
    }));

  test("reading prolongs life where it is asked to, of what is still alive", () =>
    verifyOperator(everyKind({ after: millis(100), update: "onReadAndWrite" }), {
      steps: steps(at(10), add(1), at(50), ask, at(100), add(2), at(149), ask, at(248), ask, at(349), ask),
      expected: {
        out: [
          ["a", 1, [1], [[1, 1]], false, 1, "<1>", 1],
          [
            "a",
            2,
            [1, 2],
            [
              [1, 1],
              [2, 2],
            ],
            false,
            3,
            "<12>",
            2,
          ],
          [
            "a",
            2,
            [1, 2],
            [
              [1, 1],
              [2, 2],
            ],
            false,
            3,
            "<12>",
            2,
          ],
          ["a", undefined, [], [], true, undefined, undefined, 2],
        ],
      },
    }));

  test("with relaxed visibility what has expired is given once more, and folded into", async () => {
    const job = everyKind({ after: millis(100), visibility: "returnExpiredIfNotCleanedUp" });
    const run = await harness(job);
    await run.push("in", { value: add(1) });
    await run.crash();
    await run.advanceProcessingTime(millis(50));
    await run.push("in", { value: add(2) });
    await run.advanceProcessingTime(millis(60));
    await run.push("in", { value: ask }, { value: ask });
    await run.crash();
    await run.advanceProcessingTime(millis(90));
    await run.push("in", { value: ask });
    await run.push("in", { value: ask });
    await run.push("in", { value: add(5) });
    await run.advanceProcessingTime(millis(1_000));
    await run.push("in", { value: add(7) }, { value: ask });
    assert.deepEqual(run.output("out"), [
      [
        "a",
        2,
        [1, 2],
        [
          [1, 1],
          [2, 2],
        ],
        false,
        3,
        "<12>",
        2,
      ],
      ["a", 2, [2], [[2, 2]], false, 3, "<12>", 2],
      ["a", 2, [2], [[2, 2]], true, 3, "<12>", 2],
      ["a", undefined, [], [], true, undefined, undefined, 2],
      [
        "a",
        7,
        [5, 7],
        [
          [1, 7],
          [2, 5],
        ],
        false,
        12,
        "<57>",
        4,
      ],
    ]);
  });

  test("a snapshot keeps times of writing, and brings back its own", async () => {
    const job = everyKind({ after: millis(100) });
    const first = await harness(job);
    await first.push("in", { value: event("a", 0, 1) });
    await first.advanceProcessingTime(millis(60));
    await first.push("in", { value: event("b", 0, 2) });
    const snapshot = await first.snapshot();
    await first.advanceProcessingTime(millis(20));
    await first.push("in", { value: event("a", 0, 3) }, { value: event("b", 0, 3) });
    for (const parallelism of [1, 2]) {
      const run = await harness(job, { from: snapshot, parallelism });
      await run.advanceProcessingTime(millis(60));
      await run.push("in", { value: event("a", 0, 0) }, { value: event("b", 0, 0) });
      assert.deepEqual(
        sorted(run.output("out")),
        sorted([
          ["a", undefined, [], [], true, undefined, undefined, 1],
          ["b", 2, [2], [[2, 2]], false, 2, "<2>", 1],
        ]),
      );
    }
  });
});

// ---- any operations at any times ----

type Op = { readonly wait: number; readonly key: string; readonly n: number; readonly then: "nothing" | "crash" | 1 | 2 };

const ops: fc.Arbitrary<readonly Op[]> = fc.array(
  fc.record({
    wait: fc.constantFrom(0, 0, 1, 30, 49, 50, 51, 99, 100, 101, 250),
    key: fc.constantFrom("a", "b", "c"),
    n: fc.oneof(
      { weight: 3, arbitrary: fc.integer({ min: 1, max: 9 }) },
      { weight: 3, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.constant(-1) },
    ),
    then: fc.constantFrom<Op["then"]>("nothing", "nothing", "nothing", "crash", 1, 2),
  }),
  { maxLength: 40 },
);

/** What is found by whoever keeps every write with its time. */
function oracle(list: readonly Op[], refresh: boolean): readonly unknown[] {
  type Kept = { readonly n: number; at: number };
  interface Known {
    all: Kept[];
    slots: Map<number, Kept>;
    folded: { list: number[]; at: number };
    last: Kept;
    forever: number;
  }
  const keys = new Map<string, Known>();
  const found: unknown[] = [];
  let now = 0;
  for (const { wait, key, n } of list) {
    now += wait;
    const alive = ({ at: written }: { at: number }) => written + 100 > now;
    const fresh = () => ({ all: [], slots: new Map(), folded: { list: [], at: -1e9 }, last: { n: 0, at: -1e9 } });
    const known: Known = keys.get(key) ?? { ...fresh(), forever: 0 };
    keys.set(key, known);
    if (n < 0) Object.assign(known, fresh());
    if (n > 0) {
      known.all.push({ n, at: now });
      known.slots.set(n % 3, { n, at: now });
      known.folded = { list: [...(alive(known.folded) ? known.folded.list : []), n], at: now };
      known.last = { n, at: now };
      known.forever++;
    }
    if (n !== 0) continue;
    const all = known.all.filter(alive);
    const slots = [...known.slots].filter(([, kept]) => alive(kept)).sort(([a], [b]) => a - b);
    const folded = alive(known.folded) ? known.folded.list : undefined;
    const entries = slots.map(([slot, kept]) => [slot, kept.n]);
    const sumOf = folded?.reduce((a, b) => a + b);
    const last = alive(known.last) ? known.last.n : undefined;
    found.push([
      key,
      last,
      all.map((kept) => kept.n),
      entries,
      slots.length === 0,
      sumOf,
      folded && `<${folded.join("")}>`,
      known.forever,
    ]);
    if (refresh)
      for (const kept of [...all, ...slots.map(([, item]) => item), known.folded, known.last]) if (alive(kept)) kept.at = now;
  }
  return found;
}

for (const update of ["onCreateAndWrite", "onReadAndWrite"] as const)
  test(`${update}: any operations at any times are the oracle's, through crashes, evictions, snapshots and other parallelism`, async () => {
    const job = everyKind({ after: millis(100), update });
    await fc.assert(
      fc.asyncProperty(
        ops,
        fc.constantFrom(0, 1 << 20),
        fc.constantFrom(1, 1 << 20),
        async (list, cacheBytesMax, journalBytesMax) => {
          const environment = { cacheBytesMax, journalBytesMax };
          let run = await harness(job, { environment });
          const out: unknown[] = [];
          for (const { wait, key, n, then } of list) {
            await run.advanceProcessingTime(millis(wait));
            await run.push("in", { value: event(key, 0, n) });
            if (then === "crash") await run.crash();
            else if (then !== "nothing") {
              const snapshot = await run.snapshot();
              out.push(...run.output("out"));
              run = await harness(job, { environment, from: snapshot, parallelism: then });
            }
          }
          out.push(...run.output("out"));
          assert.deepEqual(out, oracle(list, update === "onReadAndWrite"));
          assert.deepEqual(run.deadLetters(), []);
        },
      ),
      { numRuns: 60 },
    );
  });

// ---- what is left ----

/** Bytes of state in a snapshot's segments that are still referred to. */
async function sizeAfter(job: Job, environment: { cacheBytesMax?: number }): Promise<readonly number[]> {
  const run = await harness(job, { environment });
  const sizes: number[] = [];
  for (let round = 0; round < 6; round++) {
    // Keys that are never seen again.
    const batch = Array.from({ length: 200 }, (_, i) => ({ value: event(`${round} ${i}`, 0, round + 1) }));
    await run.push("in", ...batch);
    sizes.push(await bytesOf(run.snapshot()));
    await run.advanceProcessingTime(millis(60));
  }
  await run.advanceProcessingTime(millis(200));
  for (let i = 0; i < 2; i++) {
    await run.push("in", { value: event("again", 0, i) });
    sizes.push(await bytesOf(run.snapshot()));
  }
  return sizes;
}

async function bytesOf(snapshot: Promise<HarnessSnapshot>): Promise<number> {
  return (await snapshot).sizeBytes;
}

const seen = (ttl: Ttl | undefined) =>
  pipeline((events) =>
    events
      .keyBy(({ key }) => key as string)
      .process(
        "fn",
        keyedProcess({
          state: { seen: list<string>(ttl && { ttl }), one: map<string, number>(ttl && { ttl }) },
          output: type<unknown>(),
          onRecord({ key }, ctx) {
            ctx.state.seen.add("x".repeat(100));
            ctx.state.one.set(key, 1);
          },
        }),
      ),
  );

test("what is never touched again goes from snapshots, evicted or not", async () => {
  for (const environment of [{}, { cacheBytesMax: 0 }]) {
    const kept = await sizeAfter(seen(undefined), environment);
    assert.ok(kept.at(-1)! > 6 * 200 * 100, "without ttl it would all be there");
    const sizes = await sizeAfter(seen({ after: millis(100) }), environment);
    assert.ok(sizes.at(-1)! < 5_000, `${sizes.join(", ")}`);
    assert.ok(Math.max(...sizes) < kept.at(-1)! * 0.75, `${sizes.join(", ")}`);
  }
});

test("a group with little that has expired is left where it is", async () => {
  const run = await harness(seen({ after: millis(100) }), { environment: {} });
  await run.push("in", { value: event("early", 0) });
  await run.advanceProcessingTime(millis(50));
  // Many keys in all groups: none of them is written again for the one that goes first.
  await run.push("in", ...Array.from({ length: 3_000 }, (_, i) => ({ value: event(`k${i}`, 0) })));
  const before = (await run.snapshot()) as HarnessSnapshot & { blobs: ReadonlyMap<string, Uint8Array> };
  await run.advanceProcessingTime(millis(60));
  await run.push("in", { value: event("later", 0) });
  const after = (await run.snapshot()) as typeof before;
  const added = [...after.blobs].filter(([name]) => !before.blobs.has(name)).reduce((n, [, bytes]) => n + bytes.length, 0);
  const index = 3_000 * 24;
  assert.ok(added < index + 10_000, `${added} bytes were written`);
});

// ---- other operators ----

test("a rolling reduce and a rolling aggregate begin anew", async () => {
  const by = ({ key }: Event) => key as string;
  const reduce = pipeline((events) =>
    events.keyBy(by).reduce("fn", (a, b) => ({ ...b, n: (a.n ?? 0) + (b.n ?? 0) }), { ttl: millis(100) }),
  );
  const list1 = [event("a", 0, 1), at(50), event("a", 0, 2), at(149), event("a", 0, 3), at(249), event("a", 0, 4)];
  await verifyOperator(reduce, {
    steps: steps(...list1),
    expected: { out: [1, 3, 6, 4].map((n) => event("a", 0, n)) },
  });
  const aggregate = pipeline((events) =>
    events
      .keyBy(by)
      .aggregate(
        "fn",
        sum(({ n = 0 }: Event) => n),
        (key, n) => [key, n],
        { ttl: millis(100) },
      )
      .toChanges("changes"),
  );
  await verifyOperator(aggregate, {
    steps: steps(...list1),
    expected: {
      out: [
        { kind: "+I", value: ["a", 1] },
        { kind: "-U", value: ["a", 1] },
        { kind: "+U", value: ["a", 3] },
        { kind: "-U", value: ["a", 3] },
        { kind: "+U", value: ["a", 6] },
        { kind: "+I", value: ["a", 4] },
      ],
    },
  });
});
