/** Beside a Map and a sort. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SparseTable } from "../../runtime/base/sparse-table.ts";

const number = fc.oneof(fc.nat(300), fc.nat(32_767));
const steps = fc.array(fc.record({ kind: fc.constantFrom("set", "set", "delete"), n: number }), { maxLength: 200 });

void test("after any steps it holds what a map holds, and lists it in order", () => {
  fc.assert(
    fc.property(steps, (list) => {
      const table = new SparseTable<{ readonly n: number }>();
      const map = new Map<number, { readonly n: number }>();
      for (const { kind, n } of list) {
        if (kind === "set") {
          const value = { n };
          table.set(n, value);
          map.set(n, value);
        } else {
          table.delete(n);
          map.delete(n);
        }
        assert.equal(table.get(n), map.get(n));
        assert.equal(table.has(n), map.has(n));
        assert.equal(table.size, map.size);
      }
      assert.deepEqual(
        table.values(),
        [...map].sort(([a], [b]) => a - b).map(([, value]) => value),
      );
      assert.deepEqual(new SparseTable(map).values(), table.values());
    }),
  );
});
