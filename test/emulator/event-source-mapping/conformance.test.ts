/** Every row of the conformance list has its test, and the README shows the list as it is. `--write` as an argument renders it anew. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { conformance, conformanceTable, pages } from "../../../emulator/event-source-mapping/conformance.ts";

const readme = new URL("../../../emulator/event-source-mapping/README.md", import.meta.url);
const [begin, end] = ["<!-- conformance: rendered from conformance.ts -->", "<!-- end of conformance -->"];

/** The cells of a table's lines, whatever the spaces that a formatter put between them. */
function cells(markdown: string): readonly (readonly string[])[] {
  const lines = markdown.split("\n").filter((line) => line.startsWith("|"));
  return lines.map((line) => line.split("|").map((cell) => cell.trim().replace(/^-+$/, "---")));
}

/** The names of the tests in a file of this folder. */
function testNames(file: string): readonly string[] {
  const text = readFileSync(new URL(`./${file}.test.ts`, import.meta.url), "utf8");
  return [...text.matchAll(/\btest\(\s*"((?:[^"\\]|\\.)*)"/g)].map(([, name]) => name!);
}

describe("the conformance list", () => {
  test("names a test that exists, once, in every row", () => {
    const files = readdirSync(new URL(".", import.meta.url)).filter((file) => file.endsWith(".test.ts"));
    const names = new Map(files.map((file) => [file.slice(0, -".test.ts".length), testNames(file.slice(0, -".test.ts".length))]));
    const missing = conformance.filter(({ test: [file, name] }) => names.get(file)?.includes(name) !== true);
    assert.deepEqual(missing, []);
    assert.ok(!names.get("batching")!.includes("a test that nobody wrote"));
    const used = conformance.map(({ test: [file, name] }) => `${file}: ${name}`);
    assert.deepEqual(used, [...new Set(used)]);
  });

  test("cites pages of AWS's documentation, each at least once", () => {
    const cited = new Set(conformance.map(({ page }) => page));
    for (const [name, url] of Object.entries(pages)) {
      assert.match(url, /^https:\/\/docs\.aws\.amazon\.com\//);
      assert.ok(cited.has(name as keyof typeof pages), name);
    }
  });

  test("is the README's table", () => {
    const text = readFileSync(readme, "utf8");
    const [head, rest] = text.split(begin) as [string, string];
    const [table, tail] = rest.split(end) as [string, string];
    if (process.argv.includes("--write")) writeFileSync(readme, `${head}${begin}\n\n${conformanceTable()}\n\n${end}${tail}`);
    else assert.deepEqual(cells(table), cells(conformanceTable()));
  });
});
