/** Beside zlib's, on either side of the length from which that one is asked. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 as crc32OfZlib } from "node:zlib";
import fc from "fast-check";
import { crc32 } from "../../runtime/base/crc32.ts";

void test("is zlib's, of any part", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(600), fc.nat(600), (bytes, a, b) => {
      const [from, to] = [Math.min(a, b, bytes.length), Math.min(Math.max(a, b), bytes.length)];
      assert.equal(crc32(bytes, from, to), crc32OfZlib(bytes.subarray(from, to)));
      assert.equal(crc32(bytes), crc32OfZlib(bytes));
    }),
  );
});
