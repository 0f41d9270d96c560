/** The table of texts does what a Map does (X1, X2). */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TextTable } from "../../runtime/base/text-table.ts";

interface Entry {
  readonly n: number;
}

const text = fc.oneof(fc.integer({ min: 0, max: 60 }).map(String), fc.string({ unit: "binary", maxLength: 4 }));
const step = fc.record({ kind: fc.constantFrom("set", "set", "delete", "get"), text });

void test("a table of texts answers as a Map does", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const table = new TextTable<Entry>();
      const map = new Map<string, Entry>();
      for (const [n, { kind, text }] of steps.entries()) {
        if (kind === "set") {
          table.set(text, { n });
          map.set(text, { n });
        } else if (kind === "delete") assert.equal(table.delete(text), map.delete(text));
        assert.deepEqual(table.get(text), map.get(text));
        assert.equal(table.size, map.size);
      }
      for (const [text, entry] of map) assert.deepEqual(table.get(text), entry);
    }),
  );
});

void test("a table that has grown and shrunk finds what is left, and nothing else", () => {
  const table = new TextTable<Entry>();
  for (let n = 0; n < 20_000; n++) table.set(`key ${n}`, { n });
  for (let n = 0; n < 20_000; n++) if (n % 100 !== 0) assert.equal(table.delete(`key ${n}`), true);
  assert.equal(table.size, 200);
  for (let n = 0; n < 20_000; n++) assert.equal(table.get(`key ${n}`)?.n, n % 100 === 0 ? n : undefined);
});

void test("looking ahead gives the hashes by which texts are found, known or not, whatever comes in between", () => {
  fc.assert(
    fc.property(fc.array(text, { maxLength: 300 }), fc.array(text, { minLength: 1, maxLength: 64 }), (known, asked) => {
      const table = new TextTable<Entry>();
      for (const [n, text] of known.entries()) table.set(text, { n });
      const hashes = new Int32Array(64);
      table.lookAhead(asked, asked.length, hashes, []);
      for (const [place, text] of asked.entries()) {
        assert.equal(table.find(text, hashes[place]!), table.get(text));
        table.set(text, { n: -place });
      }
    }),
  );
});
