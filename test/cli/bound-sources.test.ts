/** `millrace run --bind name=path`: sources of a deployment are read from files, each as it would bring them. */
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { suite, test } from "node:test";
import { withDirectory } from "../connectors/support.ts";
import { Commands } from "../e2e/commands.ts";

const job = join(import.meta.dirname, "jobs/bound-job.ts");
const order = (id: string, at: number) => ({ id, at });
const input = {
  archive: [order("a1", 1), order("a2", 2), order("a3", 3)],
  live: [order("l1", 4), order("l2", 5)],
  clicks: [order("c1", 1)],
  tasks: [order("t1", 1), order("t2", 2)],
  placed: [
    {
      ...{ version: "0", id: "e1", "detail-type": "Placed", source: "shop", account: "1", time: "2026-01-01T00:00:00Z" },
      ...{ region: "r", resources: [], detail: order("p1", 1) },
    },
  ],
  accounts: [{ eventName: "INSERT", eventSource: "aws:dynamodb", dynamodb: { Keys: { id: { S: "x" } } } }],
};

async function writeInput(directory: string): Promise<readonly string[]> {
  const bound = await Promise.all(
    Object.entries(input).map(async ([name, rows]) => {
      await writeFile(join(directory, `${name}.ndjson`), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
      return ["--bind", `${name}=${name}.ndjson`];
    }),
  );
  return bound.flat();
}

async function linesIn(directory: string): Promise<readonly object[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith(".ndjson")).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(directory, name), "utf8")));
  return texts.flatMap((text) => text.split("\n").filter((line) => line !== "")).map((line) => JSON.parse(line) as object);
}

suite("sources that are bound to files", () => {
  test("are read to their ends: a hybrid source's parts one after the other, messages, events and changes as they stand", () =>
    withDirectory(async (directory) => {
      const bound = await writeInput(directory);
      const commands = new Commands({ directory, variables: {}, coordinator: "none" });
      const { code, out, err } = await commands.run("run", job, ...bound, "--output", "results", "--json");
      assert.equal(code, 0, err);
      const { outcome, totals } = JSON.parse(out) as { outcome: string; totals: { records: number; deadLetters: number } };
      const records = Object.values(input).flat().length;
      assert.deepEqual([outcome, totals.records, totals.deadLetters], ["finished", records, 0], err);
      const results = (name: string) => linesIn(join(directory, "results", name));
      const orders = ["a1", "a2", "a3", "l1", "l2"];
      assert.deepEqual(
        await results("orders"),
        orders.map((id, n) => ({ n: n + 1, id })),
      );
      assert.deepEqual(await results("topic"), [{ id: "c1" }]);
      assert.deepEqual(await results("queue"), [
        { named: true, id: "t1" },
        { named: true, id: "t2" },
      ]);
      assert.deepEqual(await results("bus"), [{ id: "e1", detailType: "Placed", of: "p1" }]);
      assert.deepEqual(await results("table"), [{ eventName: "INSERT", id: "x" }]);
    }));

  test("are refused where one is not bound, or a hybrid source by its own name and not by those of its parts", () =>
    withDirectory(async (directory) => {
      const bound = await writeInput(directory);
      const commands = new Commands({ directory, variables: {}, coordinator: "none" });
      const unbound = await commands.run("run", job, ...bound.slice(2), "--memory");
      assert.equal(unbound.code, 1);
      assert.match(unbound.err, /--bind archive=<path>/);
      const whole = await commands.run("run", job, ...bound.slice(4), "--bind", "orders=live.ndjson", "--memory");
      assert.equal(whole.code, 1);
      assert.match(whole.err, /each part of a hybrid source is bound by its own name: archive, live/);
    }));
});
