import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type AttemptId, id, type TaskId } from "../../runtime/base/ids.ts";
import { adoptedName, checkpointIn, manifestName, objectName, parseObjectName } from "../../runtime/snapshots/names.ts";

suite("names of objects", () => {
  test("tell task and seq again, also of a task that is named by a path", () => {
    for (const task of ["g1.views~all", "g12.views~views:/var/log/access.log", "g1.a~a:b/000000000001-x"]) {
      const name = objectName("segments", id<TaskId>(task), 42, id<AttemptId>("e1.7"));
      assert.deepEqual(parseObjectName(name), { kind: "segments", task, seq: 42 });
    }
    assert.equal(parseObjectName("manifests/000000000001"), undefined);
  });

  test("of checkpoints are in their order, and tell the number, also of what was another job's", () => {
    const names = [manifestName(4), adoptedName(4, "fork-a-b"), manifestName(5), adoptedName(10, "fork-a-5")];
    assert.deepEqual([...names].sort(), names);
    assert.deepEqual(names.map(checkpointIn), [4, 4, 5, 10]);
    assert.equal(checkpointIn("segments/g1.a~0/000000000001-x"), undefined);
  });
});
