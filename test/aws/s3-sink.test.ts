/** The S3 sink: objects that are there whole or not at all, whatever is repeated, by whomever, however late. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { S3DeadLetters } from "../../runtime/adapters/aws/s3-dead-letters.ts";
import { S3Sink } from "../../runtime/adapters/aws/s3-sink.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import { id, type TaskId } from "../../runtime/base/ids.ts";
import { csv, ndjson, s3, seconds, type S3Options } from "../../runtime/index.ts";
import type { SinkEffect } from "../../runtime/ports/sink-driver.ts";
import { textOf } from "../ports/adapter-maker.ts";
import { FaultyHandler, lose, pass } from "./faulty-handler.ts";
import { effectsOf, failsAs, operator, restoreOf, task } from "./sinks.ts";
import { newJob, withS3 } from "./stand-ins.ts";

const servers = withS3();
const sinkOf = (options: Partial<S3Options<unknown>> = {}) => s3({ bucket: "late", format: ndjson(), ...options });

/** A sink in a folder of its own. */
async function place(options: { readonly maxAttempts?: number } = {}) {
  const folder = `${newJob()}/`;
  const handler = new FaultyHandler();
  const telemetry = new MemoryTelemetry();
  const bucket = await servers.bucket({ handler, telemetry, maxAttempts: options.maxAttempts ?? 1 });
  const undisturbed = await servers.bucket();
  const target = new S3Sink({ bucket, prefix: folder, extension: "ndjson" });
  const keys = async () => (await undisturbed.listAll(folder)).map(({ key }) => key.slice(folder.length));
  /** Finished objects that have rows, by name. */
  const contents = async () => {
    const names = (await keys()).filter((key) => !key.startsWith("."));
    const texts = await Promise.all(names.map(async (key) => [key, textOf((await undisturbed.get(folder + key))!)] as const));
    return Object.fromEntries(texts.filter(([, text]) => text !== ""));
  };
  const carryOut = async (effects: readonly SinkEffect[]) => {
    for (const effect of effects) await target.carryOut(effect);
  };
  return { folder, handler, telemetry, bucket: undisturbed, target, keys, contents, carryOut };
}

const refuse = (status: number, code: string) =>
  ({ kind: "refuse", status, body: `<Error><Code>${code}</Code><Message>${code}</Message></Error>` }) as const;

describe("the declaration of an S3 sink", () => {
  it("refuses what cannot be written or told apart", () => {
    for (const prefix of ["late", "/", "a//", ".parts/", "a/.quarantine/"])
      assert.throws(() => sinkOf({ prefix }), failsAs("invalid", /prefix is empty or folders/), prefix);
    for (const prefix of ["", "late/", "late/views/"]) sinkOf({ prefix });
    assert.throws(() => sinkOf({ bucket: "" }), failsAs("invalid", /name of a bucket/));
    assert.throws(() => sinkOf({ rollBytes: 0 }), failsAs("invalid", /positive/));
    assert.throws(() => sinkOf({ rollBytes: 1e12 }), failsAs("invalid", /at most 536870912/));
    assert.throws(() => sinkOf({ format: csv() }), failsAs("invalid", /an S3 sink cannot write/));
  });
});

describe("aws: objects of a sink", () => {
  it("are published at a barrier, with what earlier commits brought, and their pieces are gone", async () => {
    const { keys, contents, carryOut } = await place();
    const commits = effectsOf(sinkOf(), [{ rows: [1] }, { rows: [2, 3] }, { rows: [4], end: "barrier" }]);
    await carryOut(commits[0]!);
    await carryOut(commits[1]!);
    const name = "g1-g1.count~0-00000001.ndjson";
    assert.deepEqual(await keys(), [`.parts/${name}/000000000000`, `.parts/${name}/000000000002`]);
    await carryOut(commits[2]!);
    assert.deepEqual(await contents(), { [name]: "1\n2\n3\n4\n" });
    assert.deepEqual(await keys(), [name]);
  });

  it("cost one request when they are begun and finished in one commit", async () => {
    const { carryOut, telemetry, contents } = await place();
    await carryOut(effectsOf(sinkOf(), [{ rows: [1, 2], end: "endOfInput" }]).flat());
    assert.deepEqual(Object.values(await contents()), ["1\n2\n"]);
    assert.deepEqual([telemetry.total("s3.put"), telemetry.total("s3.get"), telemetry.total("s3.list")], [1, 0, 0]);
  });

  it("roll by size and by age", async () => {
    const { carryOut, contents } = await place();
    const steps = [
      { rows: [1, 2, 3], now: 0 },
      { rows: [], now: 20_000 },
    ];
    await carryOut(effectsOf(sinkOf({ rollBytes: 4, rollAfter: seconds(10) }), steps).flat());
    assert.deepEqual(Object.values(await contents()).sort(), ["1\n2\n", "3\n"]);
  });

  it("are the same however often, in whatever order of lives, effects are repeated", async () => {
    const steps = [
      { rows: [1] },
      { rows: [2, "x".repeat(50)], end: "barrier" },
      { rows: [3] },
      { rows: [], end: "endOfInput" },
    ] as const;
    const commits = effectsOf(sinkOf({ rollBytes: 40 }), steps);
    const straight = await place();
    for (const commit of commits) await straight.carryOut(commit);
    const expected = await straight.contents();
    assert.equal(Object.values(expected).join(""), `1\n2\n"${"x".repeat(50)}"\n3\n`);
    // Each commit in its turn (R3), and between them any earlier ones again (zombies).
    const repeats = fc.array(fc.array(fc.nat({ max: 3 }), { maxLength: 3 }), { minLength: 4, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(repeats, async (zombies) => {
        const { carryOut, contents } = await place();
        for (const [n, commit] of commits.entries()) {
          await carryOut(commit);
          for (const earlier of zombies[n]!) if (earlier <= n) await carryOut(commits[earlier]!);
        }
        assert.deepEqual(await contents(), expected);
      }),
      { numRuns: 15 },
    );
  });

  it("are there once when an answer is lost, whoever tries again", async () => {
    for (const maxAttempts of [1, 2]) {
      const { handler, contents, carryOut } = await place({ maxAttempts });
      const effects = effectsOf(sinkOf(), [{ rows: [1], end: "barrier" }]).flat();
      let lost = 1;
      handler.decide = () => (lost-- > 0 ? lose : pass);
      if (maxAttempts === 1) await assert.rejects(carryOut(effects), failsAs("unavailable", /did not answer/));
      await carryOut(effects);
      assert.deepEqual(Object.values(await contents()), ["1\n"]);
    }
  });

  it("ring when pieces are missing or damaged, and are not overwritten by another's", async () => {
    const { folder, bucket, carryOut, contents } = await place();
    const [first, last] = effectsOf(sinkOf(), [{ rows: [1] }, { rows: [2], end: "barrier" }]);
    const name = "g1-g1.count~0-00000001.ndjson";
    await assert.rejects(carryOut(last!), failsAs("corrupt", /missing or damaged.*00000001/));
    await bucket.put(`${folder}.parts/${name}/000000000000`, Buffer.from("9\n"));
    await assert.rejects(carryOut(last!), failsAs("corrupt", /missing or damaged/));
    await bucket.put(folder + name, Buffer.from("another's\n"));
    await carryOut(first!);
    await assert.rejects(carryOut(last!), failsAs("invalid", /other contents.*bucket state, .*00000001/));
    assert.deepEqual(await contents(), { [name]: "another's\n" });
  });
});

describe("aws: objects of a sink after a restore", () => {
  const others = id<TaskId>("g1.count~1");

  it("are set aside when they were published beyond the checkpoint, and cannot be published again", async () => {
    const { target, carryOut, contents, keys } = await place();
    const commits = effectsOf(
      sinkOf(),
      [1, 2, 3].map((n) => ({ rows: [n], end: "barrier" }) as const),
    );
    const unfinished = effectsOf(sinkOf(), [{ rows: ["open"] }], { from: 4 }).flat();
    const [fresh] = effectsOf(sinkOf(), [{ rows: ["of a task that began later"], end: "barrier" }], { task: others });
    await carryOut([...commits.flat(), ...unfinished, ...fresh!]);
    const restored = restoreOf({ [task]: 2 });
    for (const times of [1, 2]) {
      await target.quarantine(restored);
      assert.deepEqual(Object.values(await contents()), ["1\n", "2\n"], `${times}`);
    }
    const beyond = ["g1-g1.count~0-00000003.ndjson", "g1-g1.count~1-00000001.ndjson"];
    assert.deepEqual(
      (await keys()).filter((key) => key.startsWith(".")),
      beyond.map((name) => `.quarantine/${name}`),
    );
    await assert.rejects(carryOut(commits[2]!), failsAs("fenced", /generation 2 has taken/));
    await carryOut(commits[0]!);
    await carryOut(effectsOf(sinkOf(), [{ rows: ["again"], end: "barrier" }], { generation: 2, from: 3 }).flat());
    assert.deepEqual(Object.values(await contents()), ["1\n", "2\n", `"again"\n`]);
  });

  it("are judged by the generation that took the checkpoint: earlier ones have been, later ones lie beyond", async () => {
    const { target, carryOut, contents } = await place();
    for (const generation of [1, 2, 3])
      await carryOut(effectsOf(sinkOf(), [{ rows: [generation], end: "barrier" }], { generation, from: 5 }).flat());
    await target.quarantine(restoreOf({ [task]: 9 }, { from: 2, generation: 4 }));
    assert.deepEqual(Object.values(await contents()), ["1\n", "2\n"]);
  });

  it("of other sinks in the bucket are left alone", async () => {
    const one = await place();
    const other = new S3Sink({ bucket: one.bucket, prefix: `${one.folder}inner/`, extension: "ndjson" });
    for (const target of [one.target, other])
      for (const effect of effectsOf(sinkOf(), [{ rows: [1], end: "barrier" }]).flat()) await target.carryOut(effect);
    await one.target.quarantine(restoreOf({}));
    assert.deepEqual(Object.keys(await one.contents()), ["inner/g1-g1.count~0-00000001.ndjson"]);
  });
});

describe("aws: an S3 sink that may not write", () => {
  it("says so, keeps its effects, and goes on when it may", async () => {
    const { handler, carryOut, contents, target } = await place();
    const effects = effectsOf(sinkOf(), [{ rows: [1] }, { rows: [2], end: "barrier" }]).flat();
    const cases = [
      [403, "AccessDenied", "invalid", /no permission/],
      [404, "NoSuchBucket", "invalid", /no such bucket/],
      [301, "PermanentRedirect", "invalid", /another region/],
      [503, "SlowDown", "unavailable", /throttled/],
    ] as const;
    for (const [status, code, kind, message] of cases) {
      handler.decide = () => refuse(status, code);
      await assert.rejects(carryOut(effects), failsAs(kind, message), code);
      await assert.rejects(target.quarantine(restoreOf({ [task]: 1 })), failsAs(kind, message), code);
    }
    handler.decide = () => pass;
    await carryOut(effects);
    assert.deepEqual(Object.values(await contents()), ["1\n2\n"]);
  });

  it("is found out at the start", async () => {
    const missing = new S3Sink({ bucket: await servers.bucket({ bucket: "nowhere" }), prefix: "", extension: "ndjson" });
    await assert.rejects(missing.check(), failsAs("invalid", /no such bucket.*nowhere/));
    await (await place()).target.check();
  });
});

describe("aws: dead letters", () => {
  const letters = [
    { operator, reason: "not valid JSON", shard: "shardId-0", position: "17", bytes: Buffer.from("{oops") },
    { operator, reason: "not valid UTF-8", shard: "shardId-0", position: "18", bytes: Uint8Array.of(0xff, 0x00) },
  ];

  it("beyond a checkpoint that is restored are set aside; those of before it stay, and what comes again changes nothing", async () => {
    const { folder, bucket, keys } = await place();
    const written = new S3DeadLetters(bucket, folder);
    const batch = (seq: number) => ({ task, generation: 1, seq, letters });
    for (const seq of [3, 4]) await written.write(batch(seq));
    const [kept, beyond] = ["g1-g1.count~0-00000003.ndjson", "g1-g1.count~0-00000004.ndjson"];
    const original = textOf((await bucket.get(folder + beyond))!);
    for (let times = 0; times < 2; times++) {
      await written.quarantine(restoreOf({ [task]: 3 }));
      await written.write(batch(4));
      assert.deepEqual(await keys(), [`.quarantine/${beyond}`, kept, beyond]);
      assert.equal(textOf((await bucket.get(`${folder}.quarantine/${beyond}`))!), original);
      assert.equal((await bucket.get(folder + beyond))!.length, 0);
      assert.ok((await bucket.get(folder + kept))!.length > 0);
    }
  });

  it("are one object a commit, with reason, operator, position and the original bytes, however often written", async () => {
    const { folder, bucket, keys } = await place();
    const written = new S3DeadLetters(bucket, folder);
    for (let times = 0; times < 2; times++) await written.write({ task, generation: 1, seq: 7, letters });
    await written.write({ task, generation: 1, seq: 8, letters: [] });
    assert.deepEqual(await keys(), ["g1-g1.count~0-00000007.ndjson"]);
    const lines = textOf((await bucket.get(`${folder}g1-g1.count~0-00000007.ndjson`))!)
      .trimEnd()
      .split("\n");
    const read = lines.map((line) => JSON.parse(line) as Record<string, string>);
    assert.deepEqual(
      read.map(({ reason, operator: by, shard, position }) => ({ reason, operator: by, shard, position })),
      letters.map(({ reason, shard, position }) => ({ reason, operator: "out", shard, position })),
    );
    assert.deepEqual(
      read.map(({ bytes }) => Buffer.from(bytes!, "base64")),
      letters.map(({ bytes }) => Buffer.from(bytes)),
    );
    assert.deepEqual(
      read.map(({ text }) => text),
      ["{oops", undefined],
    );
  });
});
