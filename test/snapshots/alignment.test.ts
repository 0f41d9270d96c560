/** Alignment of barriers, as far as it is the barriers' own: which checkpoint a task has passed, and whether it rests behind it (A1). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type ChannelId, id } from "../../runtime/base/ids.ts";
import { Alignment } from "../../runtime/snapshots/alignment.ts";
import type { Barrier } from "../../runtime/streaming/element.ts";

const [a, b] = [id<ChannelId>("g1.a~0>g1.k~0"), id<ChannelId>("g1.b~0>g1.k~0")];
const barrier = (checkpoint: number, stop: boolean): Barrier => ({ checkpoint, savepoint: true, stop, declined: false });

/** One that has been written down, and read, after each step. */
function aligning(): { now: Alignment; arrive: (channel: ChannelId, of: Barrier) => void } {
  const self = {
    now: new Alignment({ last: 0, current: undefined }),
    arrive: (channel: ChannelId, of: Barrier) => {
      if (self.now.onBarrier(channel, of, [a, b]) === "complete") self.now.pass(self.now.pending!);
      self.now = new Alignment(self.now.progress);
    },
  };
  return self;
}

describe("behind a barrier", () => {
  for (const [of, ofOther, rests] of [
    [true, true, true],
    [false, false, false],
    // Who was asked later had heard that the stop was given up, and takes in what comes.
    [true, false, false],
    [false, true, false],
  ] as const)
    test(`that one sender ${of ? "had" : "had not"} heard of as a stop's, and the other ${ofOther ? "had" : "had not"}, the task ${rests ? "rests" : "goes on"}`, () => {
      const alignment = aligning();
      alignment.arrive(a, barrier(1, of));
      assert.equal(alignment.now.rests, false, "its part is not made yet");
      alignment.arrive(b, barrier(1, ofOther));
      assert.deepEqual([alignment.now.last, alignment.now.rests], [1, rests]);
    });

  test("of a stop it rests no longer once a later one is passed, or it is told so", () => {
    const alignment = aligning();
    for (const channel of [a, b]) alignment.arrive(channel, barrier(1, true));
    alignment.arrive(a, barrier(2, false));
    assert.equal(alignment.now.rests, true, "of the next one a part has come: who feeds it says that it goes on");
    alignment.arrive(b, barrier(2, false));
    assert.equal(alignment.now.rests, false);
    for (const channel of [a, b]) alignment.arrive(channel, barrier(3, true));
    alignment.now.goOn();
    assert.deepEqual(new Alignment(alignment.now.progress).rests, false);
  });

  test("of a stop that a higher one has overtaken nothing stays", () => {
    const alignment = aligning();
    alignment.arrive(a, barrier(1, true));
    alignment.arrive(b, barrier(2, false));
    alignment.arrive(a, barrier(2, false));
    assert.deepEqual([alignment.now.last, alignment.now.rests], [2, false]);
  });

  test("an entry of code that knew no rest says that there is none", () => {
    const before = new Alignment({ last: 3, current: { checkpoint: 4, savepoint: true, arrived: [a] } });
    assert.equal(before.rests, false);
    assert.equal(before.pending?.stop, false);
  });
});
