/** What many runs of one process print to one output. */
import assert from "node:assert/strict";
import { PassThrough, Writable } from "node:stream";
import { test } from "node:test";
import { id, type OperatorUid, type TaskId } from "../../runtime/base/ids.ts";
import { ConsoleWriter } from "../../runtime/connectors/console/writer.ts";

const effect = (seq: number) => ({
  ...{ operator: id<OperatorUid>("out"), task: id<TaskId>("g1.a~0"), generation: 1, seq, n: 0 },
  payload: Buffer.from(`${seq}\n`),
});

test("an output is listened to once, however many write to it", async () => {
  const output = new PassThrough();
  const writers = Array.from({ length: 20 }, () => new ConsoleWriter(output));
  assert.equal(output.listenerCount("error"), 1);
  for (const [n, writer] of writers.entries()) await writer.carryOut(effect(n));
  assert.equal(String(output.read()), writers.map((_, n) => `${n}\n`).join(""));
});

test("an output that breaks is told of by who writes, and by nobody else", async () => {
  const output = new Writable({ write: (_bytes, _encoding, done) => done(new Error("gone")) });
  const writers = [new ConsoleWriter(output), new ConsoleWriter(output)];
  for (const writer of writers) await assert.rejects(writer.carryOut(effect(1)), { kind: "invalid" });
});
