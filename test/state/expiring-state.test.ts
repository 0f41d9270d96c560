/** State that expires, at the store: what is written is left out where it has expired, and deltas hold with it or without it (E2). */
import { SparseTable } from "../../runtime/base/sparse-table.ts";
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { aggregating, list, map, millis, reducing, sum, value } from "../../runtime/index.ts";
import type { StateDeclaration } from "../../runtime/api/state.ts";
import { ByteWriter } from "../../runtime/base/byte-writer.ts";
import { Activity } from "../../runtime/state/activity.ts";
import { CurrentNamespace, KeyedAccess } from "../../runtime/state/keyed-access.ts";
import { compareRows, KeyedStore } from "../../runtime/state/keyed-store.ts";
import { type Namespace, voidNamespace } from "../../runtime/state/namespace.ts";
import { RowWriter } from "../../runtime/state/row-writer.ts";
import { stateHandles } from "../../runtime/state/state-handles.ts";
import type { IndexEntry } from "../../runtime/state/state-index.ts";
import { fullRange } from "../../runtime/streaming/hash-range.ts";
import { TimerQueue } from "../../runtime/time/timer-queue.ts";

const ttl = millis(100);
const expiring = {
  one: value({ ttl }),
  many: list({ ttl }),
  pairs: map({ ttl }),
  total: reducing<number>((a, b) => a + b, { ttl }),
};
const states = new Map<string, StateDeclaration>(Object.entries({ ...expiring, kept: list() }));

/** A store of one key group in one environment, at some time. */
class Stand {
  readonly store: KeyedStore;
  readonly clock = { now: 0 };
  readonly access: KeyedAccess;
  readonly at = new CurrentNamespace();
  readonly handles: Record<string, any>;

  constructor(entry?: IndexEntry, declared: ReadonlyMap<string, StateDeclaration> = states, since = 0) {
    const queue = () => new TimerQueue<any>(compareRows, (row) => row.hash);
    this.store = new KeyedStore(
      {
        ...{
          operator: "op",
          states: declared,
          keyGroups: 1,
          hashing: "murmur3",
          range: fullRange,
          activity: new Activity(),
          since,
        },
        ...{ eventTimers: queue(), processingTimers: queue() },
      },
      new SparseTable(entry && [[0, entry]]),
    );
    this.access = new KeyedAccess(this.store);
    this.access.clock = this.clock;
    this.handles = stateHandles(this.access, this.at);
  }

  on(key: string, namespace: Namespace): Record<string, any> {
    this.access.setRow(this.store.find(key));
    this.at.namespace = namespace;
    return this.handles;
  }

  commit(seq: number): Uint8Array {
    const writer = new ByteWriter();
    this.store.writeChanges(new RowWriter(writer), seq);
    return writer.take();
  }

  /** As a base writes the group. */
  page(): Uint8Array {
    const writer = new ByteWriter();
    const group = this.store.group(0);
    if (group !== undefined) this.store.dropExpired(group, this.clock.now, -Infinity);
    const rows = new RowWriter(writer);
    for (const row of group?.rows ?? []) rows.writeRow(row);
    return writer.take();
  }

  /** What a reader would find, everywhere. */
  get found(): unknown {
    return keys.flatMap((key) =>
      namespaces.map((namespace) => {
        const { one, many, pairs, total, kept } = this.on(key, namespace);
        const entries = [...pairs.entries()].sort(([a], [b]) => a - b);
        return [one.get(), [...many.get()], entries, total.get(), [...kept.get()]];
      }),
    );
  }
}

const keys = ["a", "b"];
const namespaces: readonly Namespace[] = [voidNamespace, { start: 0, end: 10 }, { start: 20, end: 30 }];

function entry(version: number): IndexEntry {
  const parts = [{ kind: "page", schema: "", rows: 1, writer: "t" as never }] as const;
  return {
    ...{ keyGroup: 0, version, sizeBytes: 1, parts },
    ...{ earliestEventTimer: Infinity, earliestProcessingTimer: Infinity, cleanAt: Infinity },
  };
}

const step = fc.record({
  key: fc.constantFrom(...keys),
  window: fc.nat({ max: 2 }),
  verb: fc.constantFrom("set", "add", "add", "put", "put", "delete", "fold", "read", "clear", "keep", "timer", "rename"),
  n: fc.nat({ max: 3 }),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

function carryOut(stand: Stand, { key, window, verb, n }: Step): void {
  const namespace = namespaces[window]!;
  const { one, many, pairs, total, kept } = stand.on(key, namespace);
  if (verb === "set") one.set(n);
  if (verb === "add") many.add(n);
  if (verb === "put") pairs.set(n, n);
  if (verb === "delete") pairs.delete(n);
  if (verb === "fold") total.add(n);
  if (verb === "read") for (const state of [one, many, pairs, total]) (state.get ?? state.entries).call(state, n);
  if (verb === "clear") [one, many, pairs, total][n].clear();
  if (verb === "keep") kept.add(n);
  if (verb === "timer") stand.access.setTimer("eventTime", namespace.end - 1, namespace);
  // The first window, grown into the second, which must not be there.
  const taken = stand.access.row.cells.some((cell) => cell.namespace.end === 30);
  if (verb === "rename" && window === 1 && !taken) stand.access.renameWindow(namespaces[1]!, namespaces[2]!);
}

const commits = fc.array(fc.record({ wait: fc.constantFrom(0, 40, 60, 100, 150), steps: fc.array(step, { maxLength: 6 }) }), {
  minLength: 1,
  maxLength: 8,
});

test("deltas over a page that leaves out what has expired come to the same, be the writer rid of it or not", () => {
  fc.assert(
    fc.property(commits, fc.nat(), fc.boolean(), (list, pageAt, itself) => {
      const warm = new Stand();
      const base = new Stand();
      const cold = new Stand(entry(1 + (pageAt % list.length)));
      list.forEach(({ wait, steps }, n) => {
        warm.clock.now += wait;
        for (const each of steps) carryOut(warm, each);
        const delta = warm.commit(n + 1);
        base.clock.now = warm.clock.now;
        cold.clock.now = warm.clock.now;
        base.store.applyChanges(n + 1, warm.store.schema, delta);
        if (n === pageAt % list.length) cold.store.load(0, [{ schema: base.store.schema, bytes: (itself ? warm : base).page() }]);
        else if (n > pageAt % list.length) cold.store.applyChanges(n + 1, warm.store.schema, delta);
      });
      const expected = warm.found;
      assert.deepEqual(cold.found, expected);
      assert.deepEqual(base.found, expected, "who has only followed");
    }),
    { numRuns: 1_000 },
  );
});

test("a window that is new under the name that another had comes behind that one's new name", () => {
  const [warm, base] = [new Stand(), new Stand()];
  const commit = (seq: number, ...steps: readonly Step[]) => {
    for (const each of steps) carryOut(warm, each);
    base.store.applyChanges(seq, warm.store.schema, warm.commit(seq));
  };
  commit(1, { key: "b", window: 0, verb: "fold", n: 1 }, { key: "b", window: 0, verb: "set", n: 1 });
  base.clock.now = warm.clock.now += 100;
  commit(2, { key: "b", window: 0, verb: "timer", n: 0 }, { key: "b", window: 1, verb: "add", n: 2 });
  // What the row itself held has expired; what is new next takes its place, before all others.
  warm.page();
  commit(3, { key: "b", window: 1, verb: "rename", n: 0 }, { key: "b", window: 1, verb: "add", n: 3 });
  assert.deepEqual(base.found, warm.found);
});

test("what is left in memory and in the page after cleaning is what is alive, and says when it is worth cleaning again", () => {
  const stand = new Stand();
  for (const [n, key] of ["a", "b"].entries()) {
    stand.clock.now = 10 * n;
    const { one, many, pairs } = stand.on(key, voidNamespace);
    one.set(n);
    stand.clock.now += 50;
    many.add(n);
    pairs.set("x", n);
  }
  stand.commit(1);
  const group = stand.store.group(0)!;
  // Written at 0, 10, 50, 50, 60, 60.
  assert.equal(stand.store.cleanAt(group), 150);
  stand.clock.now = 150;
  const rows = () =>
    group.rows.map((row) => [row.key, row.cells.toSorted((a, b) => a.state - b.state).map(({ value: kept }) => kept)]);
  const pageBytes = stand.page().length;
  assert.deepEqual(rows(), [["b", [[[60, 1]], new Map([["x", [60, 1]]])]]]);
  assert.equal(stand.store.cleanAt(group), 160);
  assert.ok(pageBytes > 0);
  stand.clock.now = 160;
  assert.equal(stand.page().length, 0);
  assert.equal(stand.store.rowCount, 0);
  assert.equal(stand.store.cleanAt(group), Infinity);
});

describe("a ttl that comes, goes or changes between versions", () => {
  const plain = new Map<string, StateDeclaration>(
    Object.entries({ one: value(), many: list(), pairs: map(), total: reducing<number>((a, b) => a + b) }),
  );
  const timed = (after: number) => {
    const options = { ttl: millis(after) };
    const add = (a: number, b: number) => a + b;
    const declared = { one: value(options), many: list(options), pairs: map(options), total: reducing(add, options) };
    return new Map<string, StateDeclaration>(Object.entries(declared));
  };

  function written(declared: ReadonlyMap<string, StateDeclaration>): { schema: string; bytes: Uint8Array } {
    const stand = new Stand(undefined, declared);
    stand.clock.now = 40;
    const { one, many, pairs, total } = stand.on("a", voidNamespace);
    one.set(1);
    many.add(2);
    pairs.set(3, 4);
    total.add(5);
    stand.commit(1);
    return { schema: stand.store.schema, bytes: stand.page() };
  }

  function foundAt(now: number, declared: ReadonlyMap<string, StateDeclaration>, stored: ReturnType<typeof written>): unknown {
    const stand = new Stand(entry(1), declared, 1_000);
    stand.clock.now = now;
    stand.store.load(0, [stored]);
    const { one, many, pairs, total } = stand.on("a", voidNamespace);
    return [one.get(), many.get(), [...pairs.entries()], total.get()];
  }

  const all = [1, [2], [[3, 4]], 5];
  const none = [undefined, [], [], undefined];

  test("what was stored without counts as written when the generation began", () => {
    assert.deepEqual(foundAt(1_099, timed(100), written(plain)), all);
    assert.deepEqual(foundAt(1_100, timed(100), written(plain)), none);
  });

  test("what was stored with one and has none any more is there", () => {
    assert.deepEqual(foundAt(1e9, plain, written(timed(100))), all);
  });

  test("another length counts from the time of writing", () => {
    assert.deepEqual(foundAt(1_039, timed(1_000), written(timed(100))), all);
    assert.deepEqual(foundAt(1_040, timed(1_000), written(timed(100))), none);
    assert.deepEqual(foundAt(90, timed(50), written(timed(100))), none);
  });

  test("values are migrated, times stay", () => {
    const migrating = (options: { ttl?: ReturnType<typeof millis> }) =>
      new Map<string, StateDeclaration>([["one", value({ version: 1, migrate: (old) => ({ was: old }), ...options })]]);
    const stored = (declared: ReadonlyMap<string, StateDeclaration>) => {
      const stand = new Stand(undefined, declared);
      stand.clock.now = 40;
      stand.on("a", voidNamespace).one.set(7);
      stand.commit(1);
      return { schema: stand.store.schema, bytes: stand.page() };
    };
    const before = { plain: stored(new Map([["one", value()]])), timed: stored(new Map([["one", value({ ttl: millis(100) })]])) };
    const find = (now: number, declared: ReadonlyMap<string, StateDeclaration>, page: { schema: string; bytes: Uint8Array }) => {
      const stand = new Stand(entry(1), declared, 1_000);
      stand.clock.now = now;
      stand.store.load(0, [page]);
      return stand.on("a", voidNamespace).one.get();
    };
    assert.deepEqual(find(139, migrating({ ttl: millis(100) }), before.timed), { was: 7 });
    assert.equal(find(140, migrating({ ttl: millis(100) }), before.timed), undefined);
    assert.deepEqual(find(1_099, migrating({ ttl: millis(100) }), before.plain), { was: 7 });
    assert.equal(find(1_100, migrating({ ttl: millis(100) }), before.plain), undefined);
    assert.deepEqual(find(1e9, migrating({}), before.timed), { was: 7 });
  });
});

describe("contents of windows that merge become one", () => {
  const [first, second, into] = [
    { start: 0, end: 10 },
    { start: 10, end: 20 },
    { start: 0, end: 20 },
  ] as const;

  /** The state in two windows, merged at `now`; each was written at the time that is given with it. */
  function merged(declared: StateDeclaration, writes: readonly (readonly [number, Namespace, number])[], now: number) {
    const stand = new Stand(undefined, new Map([["it", declared]]));
    for (const [at, namespace, n] of writes) {
      stand.clock.now = at;
      stand.on("a", namespace).it.add(n);
    }
    stand.clock.now = now;
    stand.on("a", into).it.merge(into, [first, second]);
    stand.commit(1);
    const reader = new Stand(entry(1), new Map([["it", declared]]));
    reader.store.load(0, [{ schema: stand.store.schema, bytes: stand.page() }]);
    return (at: number) => {
      reader.clock.now = at;
      return [first, second, into].map((namespace) => reader.on("a", namespace).it.get());
    };
  }
  const writes = [
    [0, first, 1],
    [50, second, 2],
    [60, into, 3],
  ] as const;

  test("by the state's own rule", () => {
    assert.deepEqual(merged(list(), writes, 70)(70), [[], [], [3, 1, 2]]);
    assert.deepEqual(
      merged(
        reducing<number>((a, b) => 10 * a + b),
        writes,
        70,
      )(70),
      [undefined, undefined, 312],
    );
    assert.deepEqual(merged(aggregating(sum((n: number) => n)), writes, 70)(70), [undefined, undefined, 6]);
  });

  test("without what has expired; what two have become is written then", () => {
    const reduced = merged(
      reducing<number>((a, b) => a + b, { ttl }),
      writes,
      120,
    );
    assert.deepEqual(reduced(219)[2], 5);
    assert.deepEqual(reduced(220)[2], undefined);
    const elements = merged(list({ ttl }), writes, 120);
    assert.deepEqual(elements(149)[2], [3, 2]);
    assert.deepEqual(elements(150)[2], [3]);
    const alone = merged(
      reducing<number>((a, b) => a + b, { ttl }),
      [[50, second, 2]],
      120,
    );
    assert.deepEqual([alone(149)[2], alone(150)[2]], [2, undefined]);
  });

  test("where there is such a rule", () => {
    const stand = new Stand();
    stand.on("a", first).one.set(1);
    assert.throws(() => stand.on("a", into).one.merge(into, [first]), {
      kind: "invalid",
      message: /state one cannot be merged/,
    });
    const unmergeable = { create: () => 0, add: (a: number, n: number) => a + n, result: (a: number) => a };
    assert.throws(() => merged(aggregating(unmergeable), writes, 0), { kind: "invalid", message: /cannot be merged/ });
  });
});
