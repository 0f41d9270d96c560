/** What lies in streams and queues that lists are pushed to is held against what is promised of it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PushedLists, type PushedRow } from "../../emulator/simulation/pushed-lists.ts";
import { id, type TaskId } from "../../runtime/base/ids.ts";

const task = id<TaskId>("g1.count~0");

/** As a stream names it. */
function row(seq: number, place: number, text: string, generation = 1): PushedRow {
  return { name: `${generation}/${generation === 1 ? task : "g2.count~0"}/out/${seq}/${place}`, key: "a", row: text };
}

const always = () => true;
const oneOf =
  (...rows: string[]) =>
  (text: string) =>
    rows.includes(text);

describe("pushed lists", () => {
  test("repetitions of a name count once", () => {
    const lists = new PushedLists();
    lists.onQuarantine("out", { generation: 1, from: 0, lastSeq: new Map() });
    const pushed = [row(1, 0, "x"), row(1, 1, "y"), row(1, 0, "x")];
    assert.deepEqual(lists.rowsOf("out", pushed), ["x", "y"]);
    assert.equal(lists.problemOf(pushed, oneOf("x", "y")), undefined);
  });

  test("P1: a name stands for one row", () => {
    assert.match(new PushedLists().problemOf([row(1, 0, "x"), row(1, 0, "y")], always) ?? "", /^P1/);
  });

  test("P2: a key's rows come in their order, those of queues too", () => {
    const inQueue = (n: number, place: number): PushedRow => ({ name: `job/1/${task}/4/${n}/${place}`, key: "a", row: "x" });
    assert.match(new PushedLists().problemOf([row(2, 0, "x"), row(1, 3, "y")], always) ?? "", /^P2/);
    assert.match(new PushedLists().problemOf([inQueue(1, 0), inQueue(0, 3)], always) ?? "", /^P2/);
    assert.equal(new PushedLists().problemOf([inQueue(0, 3), inQueue(1, 0), inQueue(0, 3)], always), undefined);
  });

  test("P3: what a restore has gone back behind does not count, P4: but must be what would have come", () => {
    const lists = new PushedLists();
    lists.onQuarantine("out", { generation: 2, from: 1, lastSeq: new Map([[task, 4]]) });
    const pushed = [row(4, 0, "kept"), row(5, 0, "again"), row(1, 0, "again", 2)];
    assert.deepEqual(lists.rowsOf("out", pushed), ["kept", "again"]);
    assert.equal(lists.problemOf(pushed, oneOf("kept", "again")), undefined);
    assert.match(lists.problemOf(pushed, oneOf("kept")) ?? "", /^P4/);
  });
});
