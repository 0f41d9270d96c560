/** `npm run vectors`: what it prints, what it answers, and what it refuses. */
import { spawnSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { withDirectory } from "../connectors/support.ts";
import { readExclusions, selectVectors, type Exclusion } from "./exclusions.ts";
import { areas, readVectors, type Vector } from "./vector.ts";

const main = resolve(import.meta.dirname, "main.ts");

function vectors(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: "utf8" });
  return { status, lines: stdout.split("\n").filter(Boolean), error: stderr.trim() };
}

/** The generator's vectors: the watermark is the highest timestamp − 1. */
const ascending = (id: string, last: number) => ({
  id,
  area: "watermarks",
  features: ["generator"],
  config: { driver: "generator", generator: { type: "ascendingTimestamps" } },
  input: [{ event: 5 }],
  expected: { phases: [{ afterStep: 1, last }] },
});

async function write(directory: string, list: readonly unknown[], name = "some.json"): Promise<void> {
  await writeFile(join(directory, name), JSON.stringify({ format: "stream-vectors/1", vectors: list }));
}

describe("npm run vectors", () => {
  test("prints a line per failure with expected and actual, and the counts last", () =>
    withDirectory(async (directory) => {
      await write(directory, [ascending("w/right", 4), ascending("w/wrong", 5), { ...ascending("c/none", 4), area: "cep" }]);
      const { status, lines } = vectors(directory);
      assert.equal(status, 1);
      assert.match(lines[0] ?? "", /^w\/wrong: expected .*is: 5.*, actual .*is: 4/);
      assert.match(lines[1] ?? "", /^c\/none: expected .*, actual .*no runner/);
      assert.equal(lines[2], "1 passed, 2 failed");
      assert.equal(lines.length, 3);
    }));

  test("answers 0 when all pass, and picks areas", () =>
    withDirectory(async (directory) => {
      await write(directory, [ascending("w/right", 4), { ...ascending("c/none", 4), area: "cep" }]);
      assert.deepEqual(vectors(directory, "--area", "watermarks,ttl"), { status: 0, lines: ["1 passed, 0 failed"], error: "" });
    }));

  test("counts a driver that is not built as failed", () =>
    withDirectory(async (directory) => {
      await write(directory, [{ ...ascending("w/new", 4), config: { driver: "crystalBall" } }]);
      const { status, lines } = vectors(directory);
      assert.equal(status, 1);
      assert.match(lines[0] ?? "", /no driver crystalBall/);
    }));

  test("refuses what it cannot read, and says which", () =>
    withDirectory(async (directory) => {
      const refused = (words: RegExp, ...args: string[]) => {
        const { status, error } = vectors(...args);
        assert.equal(status, 2);
        assert.match(error, words);
      };
      refused(/name one directory/);
      refused(/cannot be read: .*nowhere/, join(directory, "nowhere"));
      refused(/no vectors/, directory);
      await write(directory, [ascending("w/right", 4)]);
      refused(/no such area: cooking/, directory, "--area", "cooking");
      for (const [name, text, words] of [
        ["cut", '{"format":"stream-vec', /JSON.*broken\/cut\.json/],
        ["other", '{"format":"stream-vectors/2","vectors":[]}', /format is stream-vectors\/2/],
        ["listless", '{"format":"stream-vectors/1"}', /no list/],
        ["area", '{"format":"stream-vectors/1","vectors":[{"id":"x","area":"cooking"}]}', /x is of an area not known: cooking/],
        ["driver", '{"format":"stream-vectors/1","vectors":[{"id":"x","area":"ttl","config":{}}]}', /x names no driver/],
      ] as const) {
        const broken = join(directory, "broken");
        await mkdir(broken, { recursive: true });
        await writeFile(join(broken, `${name}.json`), text);
        refused(words, broken);
        await writeFile(join(broken, `${name}.json`), JSON.stringify({ format: "stream-vectors/1", vectors: [] }));
      }
    }));
});

describe("exclusions", () => {
  const twenty = Array.from({ length: 20 }, (_, n) => ({
    ...ascending(`w/${n}`, 4),
    features: n < 2 ? ["rare", "pair"] : ["common"],
    config: { driver: n === 0 ? "odd" : "generator" },
  })) as unknown as Vector[];
  const by = (what: Omit<Exclusion, "area" | "reason">): Exclusion[] => [{ area: "watermarks", reason: "none", ...what }];

  test("leave out by driver or by feature, at most one in twenty of an area", () => {
    const odd = selectVectors(twenty, by({ driver: "odd" }));
    assert.deepEqual([odd.run.length, [...odd.excluded], odd.refused], [19, [["watermarks", 1]], []]);
    const both = selectVectors(twenty, by({ driver: "odd", feature: "pair" }));
    assert.equal(both.run.length, 19);
    const rare = selectVectors(twenty, by({ feature: "rare" }));
    assert.deepEqual([rare.run.length, [...rare.excluded], rare.refused], [20, [], ["watermarks"]]);
    assert.equal(selectVectors(twenty, by({})).run.length, 20, "one that names neither leaves nothing out");
  });

  test("that are committed name an area, a driver or feature, and why", () => {
    for (const { area, driver, feature, reason } of readExclusions()) {
      assert.ok(areas.includes(area) && (driver ?? feature) !== undefined && reason.length > 10);
    }
    const all = readVectors(resolve(import.meta.dirname, "data"));
    assert.deepEqual(selectVectors(all, readExclusions()).refused, []);
  });
});
