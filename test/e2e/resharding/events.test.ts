import assert from "node:assert/strict";
import { test } from "node:test";
import { type Event, expectedOf } from "./events.ts";

test("what is expected is counted by key and window", () => {
  const event = (key: string, at: number): Event => ({ key, n: 1, at });
  assert.deepEqual(expectedOf([event("a", 9_999), event("a", 10_000), event("a", 10_001), event("b", 0)]).counts, [
    '{"key":"a","n":1,"start":0}',
    '{"key":"a","n":2,"start":10000}',
    '{"key":"b","n":1,"start":0}',
  ]);
});
