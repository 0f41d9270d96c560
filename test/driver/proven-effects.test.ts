/** When a mapping's batch proves that the effects of the head before it are done (R5). */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AddressedBell } from "../../runtime/driver/doorbell.ts";
import { provesEffects, type ProofContext } from "../../runtime/driver/proven-effects.ts";
import type { Commit } from "../../runtime/state/commit.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";

/** As far as the proof reads it: a head of the mapping's, which has taken position 34 of the only shard. */
const head = {
  by: "mapping",
  deployment: 1,
  progress: {
    inbox: "34",
    channels: new Map([["c", { expected: 1 }]]),
    sources: new Map([["a", { shards: new Map([["s", { position: "34" }]]) }]]),
  },
} as unknown as Commit;
const records = (position: string) =>
  ({ kind: "records", source: "a", shard: "s", records: [{ position }] }) as unknown as AddressedBell;
const frames = { kind: "frames", task: "t", records: [{ position: "40" }] } as unknown as AddressedBell;
const usual: ProofContext = { deployment: 1, safeguards: allSafeguards, mayHoldOlder: false };

test("a batch that starts after the head's position proves them, one that starts before does not", () => {
  assert.equal(provesEffects(head, records("40"), usual), true);
  assert.equal(provesEffects(head, records("34"), usual), false);
  assert.equal(provesEffects({ ...head, by: "poke" }, records("40"), usual), false);
  assert.equal(provesEffects(head, records("40"), { ...usual, deployment: 2 }), false);
});

test("nothing is proved while one who was given a source's batch before a restore may commit it", () => {
  assert.equal(provesEffects(head, records("40"), { ...usual, mayHoldOlder: true }), false);
});

test("it is proved all the same by a head behind the place where a read of the generation has found nothing more", () => {
  const behind = (tip: string) =>
    ({
      ...head,
      progress: { ...head.progress, sources: new Map([["a", { shards: new Map([["s", { position: "34", tip }]]) }]]) },
    }) as unknown as Commit;
  for (const [tip, isProven] of [
    ["33", true],
    ["9", true],
    ["34", false],
    ["100", false],
  ] as const)
    assert.equal(provesEffects(behind(tip), records("40"), { ...usual, mayHoldOlder: true }), isProven, tip);
});

test("an inbox proves nothing until a frame of the generation has come, and then also while older batches may be committed", () => {
  const channels = new Map([["c", { expected: 0 }]]);
  const before = { ...head, progress: { ...head.progress, channels } } as unknown as Commit;
  for (const mayHoldOlder of [false, true]) {
    assert.equal(provesEffects(before, frames, { ...usual, mayHoldOlder }), false);
    assert.equal(provesEffects(head, frames, { ...usual, mayHoldOlder }), true);
  }
});
