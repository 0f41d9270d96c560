/**
 * docs/semantics.md is true: the code that it shows is that of docs/examples, letter by letter, and does what the diagrams under it say, in
 * all the ways of `verifyOperator`.
 */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { suite, test } from "node:test";
import { pathToFileURL } from "node:url";
import type { WindowAssignerSpec } from "../../runtime/api/windows.ts";
import type { Job } from "../../runtime/index.ts";
import { type MarbleTest, verifyMarbles } from "../../runtime/testing/index.ts";

const docs = join(resolve(import.meta.dirname, "../.."), "docs");
const page = await readFile(join(docs, "semantics.md"), "utf8");
const examples = (await readdir(join(docs, "examples")))
  .map((file) => file.replace(/\.ts$/, ""))
  .filter((name) => name !== "example")
  .sort();

/** A record, so that a new kind does not compile without a place here. */
const windowKinds: Readonly<Record<WindowAssignerSpec["kind"], true>> = {
  ...{ tumbling: true, sliding: true, cumulating: true, session: true, calendarDays: true, calendarWeeks: true, global: true },
  count: true,
};

/** The page's blocks of a language, by the example that they name. */
function blocks(language: string): readonly (readonly [example: string, text: string])[] {
  const found = page.matchAll(new RegExp(`^\`\`\`${language} (\\S+)\\n(.*?)^\`\`\``, "gms"));
  return [...found].map(([, example, text]) => [example as string, text as string]);
}

const shown = blocks("ts");
const diagrams = blocks("marbles");

/** What the page shows of an example: all but what it imports, and how it is tested. */
async function codeOf(example: string): Promise<string> {
  const file = await readFile(join(docs, "examples", `${example}.ts`), "utf8");
  return file
    .replaceAll(/^import [^;]*;\n/gm, "")
    .replace(/^export const how: [^]*$/m, "")
    .trim();
}

async function load(example: string): Promise<{ readonly job: Job; readonly how: MarbleTest }> {
  const { default: job, how = {} } = (await import(pathToFileURL(join(docs, "examples", `${example}.ts`)).href)) as {
    default: Job;
    how?: MarbleTest;
  };
  return { job, how };
}

suite("docs/semantics.md", () => {
  test("shows every example, and what it does", () => {
    assert.deepEqual([...new Set(diagrams.map(([name]) => name))].sort(), examples);
    const twice = shown.filter(([name], place) => shown.findIndex(([other]) => other === name) !== place);
    assert.deepEqual(twice, []);
  });

  test("shows no code that is of no example", () => {
    assert.equal(page.match(/^```\w/gm)?.length, shown.length + diagrams.length);
  });

  test("shows an example of every kind of window", async () => {
    const kinds = new Set<string>();
    for (const [name] of shown) {
      const { job } = await load(name);
      for (const { spec } of job.graph.nodes) if (spec.kind === "window") kinds.add(spec.assigner.kind);
    }
    assert.deepEqual([...kinds].sort(), Object.keys(windowKinds).sort());
  });
});

suite("the code in docs/semantics.md", () => {
  for (const [name, code] of shown)
    test(`is that of docs/examples/${name}.ts`, async () => assert.equal(code.trim(), await codeOf(name)));
});

suite("the diagrams of docs/semantics.md", () => {
  for (const [name, text] of diagrams)
    test(name, async () => {
      const { job, how } = await load(name);
      await verifyMarbles(job, text, how);
    });
});
