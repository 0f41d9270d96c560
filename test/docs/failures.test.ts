/** The table of failures is held to the tests that show them, to the kinds of error and to the metrics. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { metrics } from "../../functions/metrics.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const defaultFile = "test/functions/bad-input.test.ts";
const kinds = ["unavailable", "invalid", "corrupt", "fenced", "user", "internal"];

const rows = read("docs/operations/failures.md")
  .split("\n")
  .filter((line) => line.startsWith("| "))
  .map((line) =>
    line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );
const failures = rows.filter((cells) => cells.length === 5 && cells[0] !== "cause" && !/^-+$/.test(cells[0]!));
const named = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);

/** The titles of tests in a file: their own, and those of lists that tests are made of. */
function titlesIn(path: string): ReadonlySet<string> {
  const text = read(path);
  const quoted = [...text.matchAll(/(?:\b(?:test|it)\(|title: )\s*"([^"]+)"/g)].map(([, title]) => title!);
  const made = [...text.matchAll(/\btest\(`([^`]*)`/g)].flatMap(([, template]) => fill(template!, text));
  return new Set([...quoted, ...made]);
}

/** A template's titles, where what fills it stands first in the lists of the file. */
function fill(template: string, text: string): readonly string[] {
  const words = [...text.matchAll(/^\s*\["([^"]+)", /gm)].map(([, word]) => word!);
  return words.map((word) => template.replace(/\$\{what\}/, word));
}

describe("the table of failures", () => {
  test("names a test that is there, for each", () => {
    assert.ok(failures.length >= 30, String(failures.length));
    for (const [cause, , , , shownBy = ""] of failures) {
      for (const shown of shownBy.split(";")) {
        const [title = "", path = defaultFile] = named(shown);
        assert.ok(titlesIn(path).has(title), `${cause}: ${title}`);
      }
    }
  });

  test("has a row for each test of what goes wrong", () => {
    const shown = new Set(failures.map(([, , , , shownBy = ""]) => named(shownBy)[0]));
    const paths = [defaultFile, "test/functions/deadly-input.test.ts"];
    for (const path of paths) for (const title of titlesIn(path)) assert.ok(shown.has(title), title);
  });

  test("says what is seen by kinds and metrics that there are, and what to do", () => {
    const known = new Set<string>(metrics.map(({ name }) => name));
    for (const [cause, seen = "", metric = "", remedy = ""] of failures) {
      const [kind] = named(seen).filter((word) => kinds.includes(word));
      const counted = named(metric).filter((name) => known.has(name));
      assert.ok(metric === "–" || counted.length > 0, `${cause}: ${metric}`);
      assert.notEqual(remedy, "", cause);
      if (kind === undefined) continue;
      const own = rows.find(([first, second]) => first === `\`${kind}\`` && second !== undefined)!;
      assert.ok(metric.includes(own[1]!), `${cause}: ${kind} is counted by ${own[1]}`);
    }
  });

  test("names the metric of each kind of error", () => {
    for (const kind of kinds) {
      const metric = metrics.find(({ of }) => of === `failed.${kind}`)!.name;
      assert.ok(
        rows.some(([first, second]) => first === `\`${kind}\`` && second === `\`${metric}\``),
        kind,
      );
    }
  });
});
