import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { join } from "node:path";
import { LocalRun } from "../../cli/local-run.ts";
import {
  count,
  type CustomRestore,
  type CustomRow,
  customSink,
  type CustomSinkFunctions,
  defineJob,
  explain,
  generator,
  monotonous,
  planJob,
  seconds,
  tumbling,
} from "../../runtime/index.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import { type OperatorUid, type TaskId, id } from "../../runtime/base/ids.ts";
import type { CustomSink } from "../../runtime/connectors/custom/custom-sink.ts";
import { LocalSinks } from "../../runtime/connectors/local-sinks.ts";
import { sinkParts, withDirectory } from "./support.ts";

interface Counted {
  readonly key: string;
  readonly start: number;
  readonly n: number;
}

const events = 3_000;
const numbers = generator({ seed: 1, count: events, next: (index) => ({ key: `k${index % 7}`, at: index * 10 }) });

function counting(functions: CustomSinkFunctions<Counted>, parallelism = 1) {
  return defineJob(
    "custom",
    (job) => {
      job
        .source("events", numbers, { timestamps: ({ at }) => at, watermarks: monotonous() })
        .keyBy(({ key }) => key)
        .window(tumbling(seconds(1)))
        .aggregate("counts", count(), (key, { start }, n): Counted => ({ key, start, n }))
        .sinkTo("table", customSink(functions));
    },
    { parallelism, checkpoints: { interval: seconds(1) } },
  );
}

/** What comes of the events, by hand. */
function expected(): string[] {
  const counts = new Map<string, number>();
  for (let index = 0; index < events; index++) {
    const name = `k${index % 7} ${Math.floor((index * 10) / 1_000) * 1_000}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, n]) => `${name} ${n}`).sort();
}

/** A table outside, which takes a row once by its id, and fails as it is told to. */
class Table {
  readonly rows = new Map<string, CustomRow<Counted>>();
  readonly calls: string[] = [];
  readonly restores: CustomRestore[] = [];
  given = 0;
  failures = 0;
  failsAfter = false;

  get functions(): CustomSinkFunctions<Counted> {
    return {
      name: "outside",
      guarantee: "exactlyOnce",
      rowsPerWrite: 20,
      open: () => void this.calls.push("open"),
      close: () => void this.calls.push("close"),
      restored: (restore) => void this.restores.push(restore),
      write: async (rows, { signal }) => {
        assert.ok(!signal.aborted && rows.length <= 20);
        const fails = this.failures-- > 0;
        if (fails && !this.failsAfter) throw new Error("the table is away");
        for (const row of rows) {
          this.given++;
          const known = this.rows.get(row.id);
          if (known !== undefined) assert.deepEqual(row, known, "the same row under the same id");
          this.rows.set(row.id, row);
        }
        if (fails) throw new Error("the table took them and did not say so");
      },
    };
  }

  get lines(): string[] {
    return [...this.rows.values()].map(({ value: { key, start, n } }) => `${key} ${start} ${n}`).sort();
  }
}

async function runIn(directory: string, table: Table, parallelism = 1): Promise<void> {
  const run = await LocalRun.open(counting(table.functions, parallelism), {
    state: join(directory, "state"),
    output: join(directory, "out"),
  });
  try {
    assert.equal(await run.run(new AbortController().signal), "finished");
  } finally {
    await run.close();
  }
}

suite("a sink of the author's own", () => {
  for (const failsAfter of [false, true])
    test(`gets every row once by its id, though it fails ${failsAfter ? "after" : "before"} taking some`, () =>
      withDirectory(async (directory) => {
        const table = new Table();
        table.failures = 5;
        table.failsAfter = failsAfter;
        await runIn(directory, table);
        assert.deepEqual(table.lines, expected());
        assert.equal(table.given > table.rows.size, failsAfter, "rows came again only where the table had taken them");
        assert.deepEqual(table.calls, ["open", "close"]);
      }));

  test("at another parallelism: versions grow within each task, and no two rows have one id", () =>
    withDirectory(async (directory) => {
      const table = new Table();
      await runIn(directory, table, 3);
      assert.deepEqual(table.lines, expected());
      const last = new Map<string, bigint>();
      for (const { id: row, version } of table.rows.values()) {
        const task = row.split("/")[1]!;
        assert.ok(version > (last.get(task) ?? 0n));
        last.set(task, version);
      }
      assert.ok(last.size > 1);
    }));

  test("versions of a later generation are above all of an earlier one, and commits above their parts", async () => {
    const seen: CustomRow<unknown>[] = [];
    const sink = customSink<number>({ name: "seen", guarantee: "atLeastOnce", write: (rows) => void seen.push(...rows) });
    const uid = id<OperatorUid>("seen");
    const sinks = new LocalSinks({
      ...sinkParts(),
      sinks: new Map([[uid, sink]]),
      bindings: new Map(),
      outputDirectory: "none",
      console: process.stdout,
    });
    const writer = sink.createWriter({ generation: 1, task: "t", operator: "seen", seq: () => 1, now: () => 0 });
    writer.add(1, 5, "+I");
    writer.add(2, undefined, "+U");
    const [payload] = writer.flush("turn");
    for (const [generation, seq, n] of [
      [1, 1, 0],
      [1, 1, 1],
      [1, 2 ** 40, 0],
      [2, 1, 0],
    ] as const)
      await sinks.carryOut({ operator: uid, task: id<TaskId>("t"), generation, seq, n, payload: payload! });
    const versions = seen.map(({ version }) => version);
    assert.deepEqual(
      versions,
      versions.toSorted((a, b) => (a < b ? -1 : 1)),
    );
    assert.equal(new Set(versions).size, 8);
    assert.deepEqual(
      seen.slice(0, 2).map(({ kind, value, timestamp, id: row }) => ({ kind, value, timestamp, row })),
      [
        { kind: "+I", value: 1, timestamp: 5, row: "1/t/1/0/0" },
        { kind: "+U", value: 2, timestamp: undefined, row: "1/t/1/0/1" },
      ],
    );
  });

  test("is told of a restore, opened again when that failed, and an error of a kind keeps its kind", async () => {
    const table = new Table();
    let opens = 0;
    const functions: CustomSinkFunctions<Counted> = {
      ...table.functions,
      open: () => {
        if (++opens === 1) throw new Error("not yet");
      },
      write: () => {
        throw new MillraceError("invalid", "there is no such table");
      },
    };
    const uid = id<OperatorUid>("table");
    const sinks = new LocalSinks({
      ...sinkParts(),
      sinks: new Map([[uid, customSink(functions)]]),
      bindings: new Map(),
      outputDirectory: "none",
      console: process.stdout,
    });
    const restored = { generation: 2, from: 1, lastSeq: new Map([[id<TaskId>("g1.a~all"), 7]]) };
    await assert.rejects(sinks.quarantine(uid, restored), { kind: "unavailable", message: /open of sink table failed: not yet/ });
    await sinks.quarantine(uid, restored);
    assert.deepEqual(table.restores, [restored]);
    const writer = customSink(functions).createWriter({
      generation: 2,
      task: "t",
      operator: "table",
      seq: () => 1,
      now: () => 0,
    });
    writer.add({ key: "a", start: 0, n: 1 }, undefined, "+I");
    const effect = { operator: uid, task: id<TaskId>("t"), generation: 2, seq: 1, n: 0, payload: writer.flush("turn")[0]! };
    await assert.rejects(sinks.carryOut(effect), { kind: "invalid", message: "there is no such table" });
    await sinks.close();
    assert.equal(opens, 2);
  });

  test("stands in the plan with what it guarantees; what cannot be a sink is refused", () => {
    const sink = customSink<Counted>(new Table().functions) as CustomSink<Counted, "append">;
    assert.equal(sink.guarantee, "exactlyOnce");
    assert.match(explain(planJob(counting(new Table().functions))), /outside/);
    const bad = { name: "bad", guarantee: "atLeastOnce", write: () => undefined } as const;
    for (const wrong of [{ rowsPerWrite: 0 }, { rowsPerWrite: 1.5 }, { timeoutMs: 0 }])
      assert.throws(() => customSink({ ...bad, ...wrong }), { kind: "invalid" });
    const writer = customSink<any>(bad).createWriter({ generation: 1, task: "t", operator: "o", seq: () => 1, now: () => 0 });
    assert.throws(() => writer.add(() => 1, undefined, "+I"), { kind: "invalid" });
    assert.deepEqual(writer.flush("turn"), []);
  });
});
