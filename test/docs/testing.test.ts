/** docs/testing.md shows the code of docs/testing, letter by letter, which test/testing/simulate.test.ts runs. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { countsByHand, countsInEveryWay } from "../../docs/testing/page-counts.by-hand.ts";
import { addingSink } from "../../docs/testing/page-counts.ts";
import { faultKinds } from "../../runtime/testing/simulation/fault-mix.ts";

const docs = join(resolve(import.meta.dirname, "../.."), "docs");
const page = await readFile(join(docs, "testing.md"), "utf8");
const plain = (code: string) => code.replaceAll(/\s+/g, " ").trim();

test("the page shows code that is run", async () => {
  const files = await Promise.all(
    ["page-counts.ts", "page-counts.by-hand.ts", "page-counts.simulation.ts"].map((name) =>
      readFile(join(docs, "testing", name), "utf8"),
    ),
  );
  const blocks = [...page.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code]) =>
    plain(code!.replace(/^await simulate/, "simulate")),
  );
  assert.equal(blocks.length, 5);
  for (const block of blocks) assert.ok(plain(files.join("\n")).includes(block), block);
});

test("what is done by hand holds", async () => {
  const sink = addingSink(new Map());
  await countsByHand(sink);
  await countsInEveryWay(sink);
});

test("the page names every fault that a job is simulated with", () => {
  const parts = /^(?:crash|zombie)[A-Z]|^lostResponse|^commitOnly|^poison$/;
  for (const kind of faultKinds.filter((name) => !parts.test(name))) assert.ok(page.includes(`\`${kind}\``), kind);
});
