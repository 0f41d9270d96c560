/** The README's example is a module, letter by letter, and does what it should. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { anHourOfOrders } from "../../../emulator/event-source-mapping/example.ts";

const folder = new URL("../../../emulator/event-source-mapping/", import.meta.url);

test("the README shows the example", () => {
  const [, shown] = /```ts\n(.*?)```/s.exec(readFileSync(new URL("README.md", folder), "utf8"))!;
  assert.equal(shown, readFileSync(new URL("example.ts", folder), "utf8"));
});

test("an hour of orders is counted once each, whatever is delivered twice", async () => {
  const { totals, deadLetters, counts, metrics } = await anHourOfOrders(7);
  const total = Array.from({ length: 60 }, (_, minute) => minute).reduce((sum, minute) => sum + minute);
  assert.deepEqual(
    [...totals.values()],
    Array.from({ length: 10 }, () => total),
  );
  assert.deepEqual(deadLetters, []);
  assert.ok(metrics.invokedEventCount > 600, String(metrics.invokedEventCount));
  assert.ok(counts.coldStarts > 3, String(counts.coldStarts));
});
