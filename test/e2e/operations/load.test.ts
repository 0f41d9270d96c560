/** What must come of what is put, and how late events are counted with their windows; `npm run e2e:operations` holds a job to it. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { expectedOf, Load, rowsOf, withLate } from "./load.ts";

suite("the load of a job that is operated", () => {
  test("numbers each key's events, of fragile ones as long as they are not held back", () => {
    const load = new Load(400);
    load.next(500);
    load.holdsFragile = true;
    load.next(500);
    load.holdsFragile = false;
    load.next(500);
    const of = (key: string) => load.events.filter((event) => event.key === key).map(({ n }) => n);
    assert.deepEqual(of("key-0"), [1, 2, 3]);
    assert.deepEqual(of("fragile-0"), [1, 2]);
    assert.equal(load.events.length, 3 * 200 - 10);
    load.stop();
    assert.equal(load.next(500), undefined);
  });

  test("is counted by key and window, and each fragile event stands behind the one before it", () => {
    const events = [
      { key: "fragile-1", n: 1, at: 9_999 },
      { key: "fragile-1", n: 2, at: 10_000 },
      { key: "key-1", n: 1, at: 10_000 },
    ];
    assert.deepEqual(expectedOf(events), {
      counts: [
        '{"key":"fragile-1","n":1,"start":0}',
        '{"key":"fragile-1","n":1,"start":10000}',
        '{"key":"key-1","n":1,"start":10000}',
      ],
      rows: ['{"after":0,"key":"fragile-1","n":1}', '{"after":1,"key":"fragile-1","n":2}'],
    });
    assert.equal(rowsOf(events).length, 2);
  });

  test("has late events in the counts of their windows; what was counted twice stays twice", () => {
    const count = (n: number, start: number) => JSON.stringify({ key: "a", n, start });
    const late = [10_001, 25_000].map((at) => JSON.stringify({ key: "a", n: 7, at }));
    const { counts } = withLate({ counts: [count(3, 10_000), count(3, 10_000)], rows: [], late });
    assert.deepEqual(counts, [count(1, 20_000), count(3, 10_000), count(4, 10_000)]);
  });
});
