/** The DynamoDB sink: a table that is the same whatever is repeated, by whomever, however late; and what a restore takes back. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DeleteTableCommand, PutItemCommand, ScanCommand } from "@aws-sdk/client-dynamodb";
import fc from "fast-check";
import { createTable } from "../../emulator/cloud/create-table.ts";
import { type ChangedRow, DynamoSink } from "../../runtime/adapters/aws/dynamo-sink.ts";
import { RowTable } from "../../runtime/adapters/aws/row-table.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import type { ChangeKind } from "../../runtime/api/connector.ts";
import { id, type OperatorUid, type TaskId } from "../../runtime/base/ids.ts";
import type { DynamodbSettings } from "../../runtime/connectors/dynamodb/dynamodb.ts";
import { days, dynamodb, type DynamodbOptions, isKind, type Sink } from "../../runtime/index.ts";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import type { SinkEffect } from "../../runtime/ports/sink-driver.ts";
import { FaultyHandler, lose, pass, refusal } from "./faulty-handler.ts";
import { effectsOf, failsAs, operator, restoreOf, task } from "./sinks.ts";
import { HastyClock, withDynamoDb } from "./stand-ins.ts";

interface Count {
  readonly page: string;
  readonly start: number;
  readonly n: number;
  readonly [other: string]: unknown;
}

const servers = withDynamoDb();
const other = id<TaskId>("g1.count~1");
let tables = 0;

const row = (page: string, n: number, more: object = {}): Count => ({ page, start: 0, n, ...more });
const sinkOf = (options: Partial<DynamodbOptions<Count>> = {}) =>
  dynamodb<Count>({ table: "counts", key: ["page", "start"], ...options });

interface Place {
  readonly options?: Partial<DynamodbOptions<Count>>;
  readonly maxAttempts?: number;
  readonly job?: string;
  readonly operator?: OperatorUid;
  readonly table?: string;
}

/** A sink with a table of its own. */
async function place({ options = {}, maxAttempts = 1, job = "job", operator: uid = operator, table }: Place = {}) {
  const name = table ?? `counts-${++tables}`;
  const undisturbed = await servers.client();
  if (table === undefined)
    await createTable(undisturbed, name, { partitionKey: { name: "page", type: "S" }, sortKey: { name: "start", type: "N" } });
  const handler = new FaultyHandler();
  const telemetry = new MemoryTelemetry();
  const clock = new HastyClock();
  const client = await servers.client({ handler, maxAttempts });
  const sink = sinkOf(options);
  const lists: (readonly ChangedRow[])[] = [];
  const target = new DynamoSink({
    table: new RowTable(client, name, telemetry, { clock, random: () => 0.5 }),
    settings: sink.options as unknown as DynamodbSettings,
    job,
    operator: uid,
    telemetry,
    keepList: async (_restored, rows) => {
      lists.push(rows);
      return "list";
    },
  });
  const items = async () => (await undisturbed.send(new ScanCommand({ TableName: name, ConsistentRead: true }))).Items ?? [];
  /** Rows as their readers see them: n by page. */
  const rows = async () => {
    const alive = (await items()).filter((item) => item._millrace?.M?.d === undefined);
    return Object.fromEntries(alive.map((item) => [item.page!.S!, Number(item.n!.N)]).sort());
  };
  const carryOut = async (effects: readonly SinkEffect[]) => {
    for (const effect of effects) await target.carryOut(effect);
  };
  return { name, handler, telemetry, clock, client: undisturbed, sink, target, items, rows, carryOut, lists };
}

describe("the declaration of a DynamoDB sink", () => {
  it("refuses what cannot be", () => {
    for (const key of [[], ["a", "b", "c"], ["a", "a"], [""]])
      assert.throws(() => dynamodb<any>({ table: "t", key }), failsAs("invalid", /one field, or two/));
    assert.throws(() => dynamodb<any>({ table: "", key: ["a"] }), failsAs("invalid", /name of a table/));
    assert.throws(
      () => dynamodb<any>({ table: "t", key: ["a"], versionAttribute: "a" }),
      failsAs("invalid", /names of their own/),
    );
    assert.throws(
      () => dynamodb<any>({ table: "t", key: ["a"], expiresAttribute: "_millrace" }),
      failsAs("invalid", /names of their own/),
    );
    assert.throws(() => sinkOf({ keepDeleted: days(0) }), failsAs("invalid", /keepDeleted/));
  });

  it("takes fields of the rows alone for its key", () => {
    const fits: Sink<{ readonly page: string }> = dynamodb({ table: "t", key: ["page"] });
    assert.equal(fits.kind, "dynamodb");
    // @ts-expect-error: the rows have no such field
    const misfits: Sink<{ readonly page: string }> = dynamodb({ table: "t", key: ["nope"] });
    assert.equal(misfits.kind, "dynamodb");
  });

  it("routes by its key", () => {
    assert.deepEqual(sinkOf().key!(row("a", 1)), ["a", 0]);
    assert.equal(dynamodb<Count>({ table: "t", key: ["page"] }).key!(row("a", 1)), "a");
  });

  it("refuses rows that no table takes, one by one, so that they go to the dead letters", () => {
    const writer = sinkOf().createWriter({ generation: 1, task, operator, seq: () => 1, now: () => 0 });
    const refuses = (value: unknown, message: RegExp) =>
      assert.throws(() => writer.add(value, undefined, "+I"), failsAs("invalid", message));
    refuses({ start: 1, n: 1 }, /key of a table.*page is undefined/);
    refuses({ page: "", start: 1 }, /text of 1 to 2048 bytes: page/);
    refuses({ page: "x".repeat(2049), start: 1 }, /page is 2049 long/);
    refuses({ page: "a", start: "x".repeat(1025) }, /1024 bytes: start/);
    refuses({ page: "a", start: NaN }, /cannot store NaN.*start/);
    refuses({ page: "a", start: 1, at: new Date(0) }, /a Date.*at/);
    refuses({ page: "a", start: 1, deep: [{ fn: () => 1 }] }, /a function.*deep\[0\]\.fn/);
    refuses({ page: "a", start: 1, n: 1e300 }, /1e\+300/);
    refuses({ page: "a", start: 1, n: 10n ** 40n + 1n }, /38 digits/);
    refuses({ page: "a", start: 1, n: 10n ** 126n }, /38 digits/);
    refuses({ page: "a", start: 1, deep: JSON.parse('{"__proto__":1}') }, /a member of this name.*deep\.__proto__/);
    refuses({ page: "a", start: 1, _millrace: 1 }, /sink's own name/);
    refuses({ page: "a", start: 1, text: "x".repeat(400 * 1024) }, /may have 409600 bytes/);
    refuses("text", /an object with named fields/);
    assert.deepEqual(writer.flush("turn"), []);
  });

  it("writes a row that was refused and is given back under the version that it would have had: what is newer stays", async () => {
    const { carryOut, sink, rows, target } = await place();
    const givenBack = (page: string, n: number, as: { seq: number; n: number }): SinkEffect => {
      const [[effect]] = effectsOf(sink, [{ rows: [row(page, n)] }]) as [[SinkEffect]];
      return { ...effect, generation: 3, seq: 1, as: { generation: 1, task, ...as } };
    };
    const written = effectsOf(sink, [{ rows: [row("a", 1), row("b", 1)] }, { rows: [row("b", 2)] }]).flat();
    await carryOut(written);
    const first = written[0]!.seq;
    const effects = [
      givenBack("a", 10, { seq: first, n: 1 << 23 }),
      givenBack("b", 10, { seq: first, n: 1 << 23 }),
      givenBack("c", 10, { seq: first, n: 1 << 23 }),
    ];
    for (let times = 0; times < 2; times++) {
      await carryOut(effects);
      assert.deepEqual(await rows(), { a: 10, b: 2, c: 10 });
    }
    // Nor does a row of a later generation stand in the way.
    await carryOut(effectsOf(sink, [{ rows: [row("c", 11)] }], { generation: 2 }).flat());
    await carryOut(effects);
    assert.deepEqual(await rows(), { a: 10, b: 2, c: 11 });
    // It is in the checkpoints that contain the commit that refused it, and a restore behind that takes it back.
    await target.quarantine(restoreOf({ [task]: first }, { generation: 4 }));
    assert.deepEqual(await rows(), { a: 10, b: 2, c: 11 });
    await target.quarantine(restoreOf({ [task]: first - 1 }, { generation: 4 }));
    assert.deepEqual(await rows(), {});
  });

  it("writes a row of the largest size that it takes", async () => {
    const { carryOut, sink, items } = await place();
    const text = "x".repeat(400 * 1024 - 350);
    await carryOut(effectsOf(sink, [{ rows: [row("a", 1, { text })] }]).flat());
    assert.equal((await items())[0]!.text!.S!.length, text.length);
  });
});

describe("aws: rows of a table", () => {
  it("hold what was written last, as it was", async () => {
    const { carryOut, sink, items, telemetry } = await place();
    const nested = { yes: true, none: null, list: [1, "two", { three: 3 }], bytes: Uint8Array.of(1, 2), left: undefined };
    await carryOut(effectsOf(sink, [{ rows: [row("a", 1, { gone: 1 })] }, { rows: [row("a", -2.5, nested)] }]).flat());
    const [item] = await items();
    delete item!._millrace;
    assert.deepEqual(item, {
      page: { S: "a" },
      start: { N: "0" },
      n: { N: "-2.5" },
      yes: { BOOL: true },
      none: { NULL: true },
      list: { L: [{ N: "1" }, { S: "two" }, { M: { three: { N: "3" } } }] },
      bytes: { B: Uint8Array.of(1, 2) },
    });
    assert.ok(telemetry.total("dynamodb.wru") >= 2);
  });

  it("cost one write each where they are new, however many changes a commit has of them", async () => {
    const { carryOut, sink, handler, rows } = await place();
    await carryOut(effectsOf(sink, [{ rows: [row("a", 1), row("b", 1), row("a", 2), row("a", 3)] }]).flat());
    assert.deepEqual(await rows(), { a: 3, b: 1 });
    assert.deepEqual(handler.sent, ["PutItem", "PutItem"]);
  });

  it("of more than a payload's worth are written some at once", async () => {
    const { carryOut, sink, items, handler } = await place();
    let [now, most] = [0, 0];
    handler.decide = async () => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setImmediate(resolve));
      now--;
      return pass;
    };
    const effects = effectsOf(sink, [{ rows: Array.from({ length: 600 }, (_, n) => row(`page ${n}`, n)) }]).flat();
    assert.equal(effects.length, 2);
    await carryOut(effects);
    assert.equal((await items()).length, 600);
    assert.ok(most > 4 && most <= 32, String(most));
  });

  it("are deleted by a changelog, and stay so when an older write comes late", async () => {
    const { carryOut, sink, rows, items } = await place({ options: { expiresAttribute: "gone" } });
    const kinds: readonly (readonly ChangeKind[])[] = [["+I", "+I"], ["+U"], ["-D"], ["-U"]];
    const values = [[row("a", 1), row("b", 1)], [row("a", 2)], [row("a", 2)], [row("b", 1)]];
    const commits = effectsOf(
      sink,
      values.map((list, n) => ({ rows: list, kinds: kinds[n]!, now: 1_000_500 })),
    );
    for (const commit of commits.slice(0, 3)) await carryOut(commit);
    assert.deepEqual(await rows(), { b: 1 });
    for (const commit of commits) await carryOut(commit);
    assert.deepEqual(await rows(), {});
    await carryOut(commits[0]!);
    assert.deepEqual(await rows(), {}, "a zombie, long after");
    for (const item of await items()) assert.equal(item.gone!.N, String(1_001 + 7 * 86_400), "seven days on");
    await carryOut(effectsOf(sink, [{ rows: [row("a", 7)] }], { from: 9 }).flat());
    assert.deepEqual(await rows(), { a: 7 });
    assert.equal((await items()).find((item) => item.page!.S === "a")!.gone, undefined);
  });

  it("are the same after any repeats, at any time, side by side", async () => {
    const pages = ["a", "b", "c"];
    const change = fc.record({
      page: fc.constantFrom(...pages),
      n: fc.nat({ max: 99 }),
      kind: fc.constantFrom<ChangeKind>("+I", "+U", "-D", "-U"),
    });
    const commits = fc.array(fc.array(change, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 });
    const repeats = fc.array(fc.array(fc.nat({ max: 5 }), { maxLength: 3 }), { minLength: 6, maxLength: 6 });
    const shared = await place();
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(commits, repeats, async (lists, zombies) => {
        const run = ++runs;
        const named = (page: string) => `${run} ${page}`;
        const effects = effectsOf(
          shared.sink,
          lists.map((list) => ({ rows: list.map(({ page, n }) => row(named(page), n)), kinds: list.map(({ kind }) => kind) })),
        );
        for (const [n, commit] of effects.entries()) {
          await shared.carryOut(commit);
          // R3: what is repeated was carried out before, by whomever, and any number of them at once.
          const again = zombies[n]!.filter((earlier) => earlier <= n);
          await Promise.all(again.map((earlier) => shared.carryOut(effects[earlier]!)));
        }
        const expected = new Map<string, number>();
        for (const { page, n, kind } of lists.flat())
          if (kind === "-D" || kind === "-U") expected.delete(named(page));
          else expected.set(named(page), n);
        const found = Object.entries(await shared.rows()).filter(([page]) => page.startsWith(`${run} `));
        assert.deepEqual(found, [...expected].sort());
      }),
      { numRuns: 40 },
    );
  });

  it("hold through answers that are lost, and a commit that is carried out in part", async () => {
    const { carryOut, sink, handler, rows } = await place();
    const effects = effectsOf(sink, [
      { rows: ["a", "b", "c", "d"].map((page) => row(page, 1)) },
      { rows: ["a", "b", "c", "d"].map((page) => row(page, 2)), kinds: ["+U", "+U", "-D", "+I"] },
    ]);
    const random = new SeededRandom(7);
    let losses = 0;
    handler.decide = () => {
      if (!random.chance(0.2)) return pass;
      losses++;
      return lose;
    };
    for (const commit of effects)
      for (let tries = 0; ; tries++) {
        try {
          await carryOut(commit);
          break;
        } catch (error) {
          assert.ok(tries < 20 && failsAs("unavailable", /did not answer/)(error), String(error));
        }
      }
    assert.ok(losses > 1);
    assert.deepEqual(await rows(), { a: 2, b: 2, d: 2 });
  });

  it("wait while the table throttles, and are tried again later when it goes on", async () => {
    const { carryOut, sink, handler, rows, clock } = await place();
    const effects = effectsOf(sink, [{ rows: [row("a", 1)] }]).flat();
    let throttles = 3;
    handler.decide = () => (throttles-- > 0 ? refusal("ProvisionedThroughputExceededException") : pass);
    await carryOut(effects);
    assert.deepEqual(clock.slept, [25, 50, 100]);
    assert.deepEqual(await rows(), { a: 1 });
    throttles = Infinity;
    const more = effectsOf(sink, [{ rows: [row("b", 1)] }], { from: 2 }).flat();
    await assert.rejects(carryOut(more), failsAs("unavailable", /throttled.*counts/));
    handler.decide = () => pass;
    await carryOut(more);
    assert.deepEqual(await rows(), { a: 1, b: 1 });
  });

  it("that somebody else has put there are written over, those of another job are not", async () => {
    const { carryOut, sink, rows, client, name } = await place();
    await client.send(new PutItemCommand({ TableName: name, Item: { page: { S: "a" }, start: { N: "0" }, n: { N: "9" } } }));
    await carryOut(effectsOf(sink, [{ rows: [row("a", 1)] }]).flat());
    assert.deepEqual(await rows(), { a: 1 });
    const stranger = await place({ table: name, job: "job-2" });
    const theirs = effectsOf(sink, [{ rows: [row("a", 2), row("b", 2)] }], { from: 50 }).flat();
    await assert.rejects(stranger.carryOut(theirs), failsAs("invalid", /another job writes.*job\/out, job-2\/out/));
    assert.equal((await rows()).a, 1);
  });

  it("of a newer generation stop a job that begins anew: its writes would be lost without a word", async () => {
    const { carryOut, sink, rows } = await place();
    await carryOut(effectsOf(sink, [{ rows: [row("a", 5)] }], { generation: 3 }).flat());
    const older = effectsOf(sink, [{ rows: [row("a", 1)] }], { generation: 1, from: 100 }).flat();
    await assert.rejects(carryOut(older), failsAs("fenced", /generation 3 has taken over.*generation 1, counts/));
    assert.deepEqual(await rows(), { a: 5 });
  });
});

describe("aws: rows of a table after a restore", () => {
  it("that were written only after the checkpoint are deleted, those that changed since are listed", async () => {
    const { target, carryOut, sink, rows, lists, telemetry } = await place();
    const steps = [
      { rows: [row("kept", 1), row("changed", 1), row("deleted", 1)] },
      { rows: [row("new", 2), row("changed", 2), row("deleted", 1), row("brief", 2)], kinds: ["+I", "+U", "-D", "+I"] as const },
      { rows: [row("new", 3), row("brief", 2)], kinds: ["+U", "-D"] as const },
    ];
    const commits = effectsOf(sink, steps);
    await carryOut(commits.flat());
    await carryOut(effectsOf(sink, [{ rows: [row("later task", 1)] }], { task: other }).flat());
    const restored = restoreOf({ [task]: 1 });
    for (let times = 1; times <= 2; times++) {
      await target.quarantine(restored);
      assert.deepEqual(await rows(), { changed: 2, kept: 1 });
      assert.deepEqual(
        lists.at(-1)!.map(({ key, change, generation, seq }) => [key.page, key.start, change, generation, seq]),
        [
          ["changed", 0, "written", 1, 2],
          ["deleted", 0, "deleted", 1, 2],
        ],
      );
    }
    assert.deepEqual(lists[0], lists[1], "the list is the same whoever makes it again");
    assert.equal(telemetry.total("sinkRowsTakenBack"), 2, "new, and the later task's");
    assert.equal(telemetry.total("sinkRowsChanged"), 2 * 2);
  });

  it("are not brought back by a zombie, and are written again by the new generation", async () => {
    const { target, carryOut, sink, rows } = await place();
    const commits = effectsOf(sink, [{ rows: [row("kept", 1)] }, { rows: [row("new", 2), row("kept", 2)], kinds: ["+I", "+U"] }]);
    await carryOut(commits.flat());
    await target.quarantine(restoreOf({ [task]: 1 }));
    await assert.rejects(carryOut(commits[1]!), failsAs("fenced", /generation 2/));
    assert.deepEqual(await rows(), { kept: 2 });
    const next = effectsOf(sink, [{ rows: [row("new", 7), row("kept", 8)] }], { generation: 2, from: 2 });
    await carryOut(next.flat());
    assert.deepEqual(await rows(), { kept: 8, new: 7 });
    // Restored again, from the new generation's beginning: what only it has made goes.
    await target.quarantine(restoreOf({ [task]: 1 }, { from: 2, generation: 3 }));
    assert.deepEqual(await rows(), { kept: 8 });
  });

  it("are in the end what they would be without it, whichever checkpoint it goes back to and whoever repeats what", async () => {
    const change = fc.record({
      page: fc.constantFrom("a", "b", "c", "d"),
      n: fc.nat({ max: 99 }),
      kind: fc.constantFrom<ChangeKind>("+I", "+U", "-D"),
    });
    const commits = fc.array(fc.array(change, { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 6 });
    const places = fc.array(fc.nat({ max: 5 }), { minLength: 12, maxLength: 12 });
    const shared = await place();
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(commits, fc.nat({ max: 5 }), places, async (lists, checkpoint, zombies) => {
        // Tasks have names of their own in each run, as generations do: one run's rows are not the next one's.
        const run = ++runs;
        const writer = id<TaskId>(`g1.count~${run}`);
        const named = (page: string) => `${run} ${page}`;
        const steps = lists.map((list) => ({
          rows: list.map(({ page, n }) => row(named(page), n)),
          kinds: list.map(({ kind }) => kind),
        }));
        const [generation, last] = [2 * run, Math.min(checkpoint, lists.length)];
        const before = effectsOf(shared.sink, steps, { task: writer, generation });
        for (const commit of before) await shared.carryOut(commit);
        await shared.target.quarantine(restoreOf({ [writer]: last }, { from: generation, generation: generation + 1 }));
        const restored = Object.entries(await shared.rows()).filter(([page]) => page.startsWith(`${run} `));
        const known = new Set(lists.slice(0, last).flatMap((list) => list.map(({ page }) => named(page))));
        for (const [page] of restored) assert.ok(known.has(page), "written only after the checkpoint");
        const again = effectsOf(shared.sink, steps.slice(last), {
          task: id<TaskId>(`g2.count~${run}`),
          generation: generation + 1,
          from: last + 1,
        });
        for (const [n, commit] of again.entries()) {
          await shared.carryOut(commit);
          for (const zombie of zombies.slice(2 * n, 2 * n + 2))
            await shared.carryOut(before[zombie % before.length]!).catch((error: unknown) => {
              if (!isKind(error, "fenced")) throw error;
            });
        }
        const expected = new Map<string, number>();
        for (const { page, n, kind } of lists.flat())
          if (kind === "-D") expected.delete(named(page));
          else expected.set(named(page), n);
        const found = Object.entries(await shared.rows()).filter(([page]) => page.startsWith(`${run} `));
        assert.deepEqual(found, [...expected].sort());
      }),
      { numRuns: 20 },
    );
  });

  it("that a parent wrote first are not taken for new when its child has written them since", async () => {
    const { target, carryOut, sink, rows, lists } = await place();
    await carryOut(effectsOf(sink, [{ rows: [row("a", 1)] }], { from: 3 }).flat());
    await carryOut(effectsOf(sink, [{ rows: [row("a", 2)], kinds: ["+U"] }], { from: 9, task: other }).flat());
    await target.quarantine(restoreOf({ [task]: 5 }));
    assert.deepEqual(await rows(), { a: 2 });
    assert.deepEqual(
      lists.flat().map(({ change, task: by }) => [change, by]),
      [["written", other]],
    );
  });

  it("of other sinks, other jobs and somebody else are left alone", async () => {
    const { target, carryOut, sink, rows, client, name } = await place();
    await client.send(new PutItemCommand({ TableName: name, Item: { page: { S: "else" }, start: { N: "0" }, n: { N: "9" } } }));
    await carryOut(effectsOf(sink, [{ rows: [row("a", 1)] }]).flat());
    const another = await place({ table: name, operator: id<OperatorUid>("out-2") });
    await another.carryOut(effectsOf(sink, [{ rows: [row("b", 1)] }]).flat());
    const stranger = await place({ table: name, job: "job-2" });
    await stranger.carryOut(effectsOf(sink, [{ rows: [row("c", 1)] }]).flat());
    await target.quarantine(restoreOf({}));
    assert.deepEqual(await rows(), { b: 1, c: 1, else: 9 });
  });
});

describe("aws: a table that cannot be written", () => {
  it("says so, keeps the effects, and goes on when it can", async () => {
    const { carryOut, sink, handler, rows, target } = await place();
    const effects = effectsOf(sink, [{ rows: [row("a", 1)] }]).flat();
    const cases = [
      ["AccessDeniedException", "invalid", /no permission.*counts/],
      ["ResourceNotFoundException", "invalid", /no such table.*counts/],
      ["UnrecognizedClientException", "invalid", /credentials.*AWS_REGION/],
      ["InternalServerError", "unavailable", /did not answer/],
    ] as const;
    for (const [type, kind, message] of cases) {
      handler.decide = () => refusal(type);
      await assert.rejects(carryOut(effects), failsAs(kind, message), type);
      await assert.rejects(target.quarantine(restoreOf({})), failsAs(kind, message), type);
      await assert.rejects(target.check(), failsAs(kind, message), type);
    }
    handler.decide = () => pass;
    await carryOut(effects);
    assert.deepEqual(await rows(), { a: 1 });
  });

  it("has other keys: found out at the start, and said when it is written", async () => {
    const client = await servers.client();
    await createTable(client, "by-page", { partitionKey: { name: "page", type: "S" } });
    await createTable(client, "by-number", { partitionKey: { name: "page", type: "N" }, sortKey: { name: "start", type: "N" } });
    const effects = effectsOf(sinkOf(), [{ rows: [row("a", 1)] }]).flat();
    const byPage = await place({ table: "by-page", options: { key: ["page", "start"] } });
    await assert.rejects(byPage.target.check(), failsAs("invalid", /by-page has page, the sink page, start/));
    const byOther = await place({ table: "by-page", options: { key: ["start"] } });
    const wrong = effectsOf(sinkOf({ key: ["start"] }), [{ rows: [{ start: 1, n: 1 }] }]).flat();
    await assert.rejects(byOther.carryOut(wrong), failsAs("invalid", /keys are not those of the sink.*by-page/));
    const byNumber = await place({ table: "by-number" });
    await assert.rejects(byNumber.carryOut(effects), failsAs("invalid", /keys are not those of the sink.*by-number/));
    await client.send(new DeleteTableCommand({ TableName: "by-number" }));
    await createTable(client, "by-number", { partitionKey: { name: "page", type: "S" }, sortKey: { name: "start", type: "N" } });
    await byNumber.carryOut(effects);
    assert.deepEqual(await byNumber.rows(), { a: 1 });
    await byNumber.target.check();
  });
});
