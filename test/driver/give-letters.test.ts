/** Dead letters that arose behind an exchange and are given back: once, in the order of their keys, whoever dies, at any parallelism. */
import assert from "node:assert/strict";
import { beforeEach, suite, test } from "node:test";
import { keyedProcess, type, value } from "../../runtime/index.ts";
import { type BlobName, id, type TaskId } from "../../runtime/base/ids.ts";
import { decodeValue } from "../../runtime/base/message-pack.ts";
import { encodeGiven, type GivenLetter, givenName } from "../../runtime/snapshots/given-letters.ts";
import { decodeManifest, type Manifest } from "../../runtime/snapshots/manifest.ts";
import type { HarnessOptions, RunningHarness } from "../../runtime/testing/harness.ts";
import type { TakenSnapshot } from "../../runtime/testing/harness-snapshot.ts";
import { type Event, event, pipeline } from "../operators/pipeline.ts";
import { atEveryCall, encode, give, givenBack, lettersIn, restoreAndDie, snapshotWith, watch } from "./put-aside.ts";

/** Whether the code that runs has the mistake. */
let broken = true;
beforeEach(() => {
  broken = true;
});

const counting = (uid: string) =>
  pipeline(
    (events) =>
      events
        .keyBy(({ key }) => key as string)
        .process(
          uid,
          keyedProcess({
            key: type<string>(),
            state: { seen: value<number>() },
            output: type<readonly [string, number, number]>(),
            onRecord({ key, n = 0 }: Event, ctx) {
              if (broken && n % 2 === 1) throw new Error("odd");
              if (n === 99) throw new Error("never");
              ctx.state.seen.set((ctx.state.seen.get() ?? 0) + 1);
              ctx.emit([key as string, n, ctx.state.seen.get()!]);
            },
          }),
        ),
    { onUserError: "deadLetter" },
  );
const job = counting("count");

const keys = ["a", "b", "c", "d", "e"];
const numbered = (...numbers: readonly number[]) => numbers.flatMap((n) => keys.map((key) => ({ value: event(key, n, n) })));

const run = (options: HarnessOptions = {}) => watch(job, options);

/** The numbers that went through, of each key, in their order; each counts from one on. */
function numbersOf(running: RunningHarness, counted = 0): Record<string, number[]> {
  const numbers: Record<string, number[]> = {};
  for (const [key, n, seen] of running.output<readonly [string, number, number]>("out")) {
    (numbers[key] ??= []).push(n);
    assert.equal(seen, counted + numbers[key]!.length, `${key} is counted`);
  }
  return numbers;
}

const ofEachKey = (...numbers: number[]) => Object.fromEntries(keys.map((key) => [key, numbers]));

async function manifestOf({ ports }: RunningHarness, name: BlobName): Promise<Manifest> {
  return decodeManifest((await ports.blobs.get(name))!) as Manifest;
}

suite("dead letters that are given back behind an exchange", () => {
  for (const parallelism of [1, 2, 3])
    test(`go through once, each key's in their order, at parallelism ${parallelism}`, async () => {
      const before = await run();
      await before.running.push("in", ...numbered(1, 2, 3, 4, 5));
      assert.deepEqual(numbersOf(before.running), ofEachKey(2, 4));
      const from = await givenBack(before);
      broken = false;
      const { running } = await run({ from, parallelism });
      assert.deepEqual(numbersOf(running, 2), ofEachKey(1, 3, 5));
      await running.push("in", ...numbered(6));
      await running.crash();
      const name = await running.checkpoint();
      assert.equal((await manifestOf(running, name)).given, 1);
      await running.coordinator().restore(name);
      await running.crash();
      await running.push("in", ...numbered(7));
      assert.deepEqual(numbersOf(running, 2), ofEachKey(1, 3, 5, 6, 7));
    });

  test("go through once wherever the environment dies that takes them in", async () => {
    const deaths = await atEveryCall(async (death) => {
      broken = true;
      const { running, put } = await run();
      await running.push("in", ...numbered(1, 2, 3));
      const name = await running.checkpoint();
      await give(running, 1, lettersIn(put));
      broken = false;
      const died = await restoreAndDie(running, name, death);
      await running.push("in", ...numbered(4));
      assert.deepEqual(numbersOf(running), ofEachKey(2, 1, 3, 4), `${death.when} call ${death.at}`);
      return died;
    });
    assert.ok(deaths > 20, `it died ${deaths} times`);
  });

  test("are in a checkpoint only if taken in: one that fails again is put aside anew, and can be given back", async () => {
    const { running, put } = await run();
    await running.push("in", ...numbered(99));
    await give(running, 1, lettersIn(put));
    broken = false;
    await running.coordinator().restore(await running.checkpoint());
    const before = put.length;
    await running.crash();
    const again = lettersIn(put.slice(before));
    assert.deepEqual(
      again.map(({ bytes }) => decodeValue(Buffer.from(bytes, "base64"))),
      lettersIn(put.slice(0, before)).map(({ bytes }) => decodeValue(Buffer.from(bytes, "base64"))),
    );
    assert.ok(again.length === keys.length && again.every(({ generation, back }) => generation === 2 && back.to === "count"));
  });

  test("are left out where the job goes back behind them: their records come again", async () => {
    const { running, put } = await run();
    await running.push("in", ...numbered(1));
    const earlier = await running.checkpoint();
    await running.push("in", ...numbered(2, 3));
    await running.checkpoint();
    await give(running, 1, lettersIn(put));
    broken = false;
    await running.coordinator().restore(earlier);
    const rows = running.rows("out").length;
    await running.crash();
    const after = running.rows<readonly [string, number, number]>("out").slice(rows);
    for (const key of keys)
      assert.deepEqual(
        after.map(({ value: row }) => row).filter(([of]) => of === key),
        [1, 2, 3].map((n) => [key, n, n]),
      );
  });

  test("that are many are taken in with a commit for each part, before a checkpoint", async () => {
    const { running } = await run();
    await running.push("in", ...numbered(2));
    const name = await running.checkpoint();
    const task = (await manifestOf(running, name)).tasks.find(({ stage }) => stage === "count")!.task;
    const letters = Array.from({ length: 3_000 }, (_, n): GivenLetter => {
      const key = keys[n % keys.length]!;
      const padded = { ...event(key, 0, 2 * n), pad: "x".repeat(300) };
      const back = { what: "record", to: "count", input: 0, key: encode(key), timestamp: 0 } as const;
      return { id: `${n}`, generation: 1, task, seq: 0, back, bytes: encode(padded) };
    });
    await give(running, 1, letters);
    await running.coordinator().restore(name);
    await running.crash();
    const tasks = [0, 1].map((n) => id<TaskId>(`g2.count~${n}`));
    for (const of of tasks) assert.ok((await running.ports.journal.tail(of, 0)).entries.length > 1, of);
    const numbers = numbersOf(running);
    for (const [n, key] of keys.entries())
      assert.deepEqual(numbers[key], [2, ...letters.flatMap((_, at) => (at % keys.length === n ? [2 * at] : []))]);
  });

  test("are refused by code without their operator, which changes nothing", async () => {
    const { running, put } = await run();
    await running.push("in", ...numbered(1));
    const snapshot = (await running.snapshot()) as TakenSnapshot;
    const letters = lettersIn(put).map((letter) => ({ ...letter, back: { ...letter.back, to: "gone" } }));
    const blobs = new Map([...snapshot.blobs, [givenName(1), encodeGiven(letters)] as const]);
    await assert.rejects(run({ from: snapshotWith(snapshot, blobs) }), { kind: "invalid", message: /: gone$/ });
  });
});
