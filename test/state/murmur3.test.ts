/** The hash that says where a key's state lies: it must never change. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { murmur3 } from "../../runtime/state/murmur3.ts";

/** Of MurmurHash3 (x86, 32 bit, seed 0), as others give them; each length of a tail is among them. */
const known: readonly (readonly [text: string, hash: number])[] = [
  ["", 0],
  ["a", 0x3c2569b2],
  ["abc", 0xb3dd93fa],
  ["hello", 0x248bfa47],
  ["hello, world", 0x149bbb7f],
  ["19 Jan 2038 at 3:14:07 AM", 0xe31e8a70],
  ["The quick brown fox jumps over the lazy dog.", 0xd5c48bfc],
  ["The quick brown fox jumps over the lazy dog", 0x2e4ff723],
];

for (const [text, hash] of known)
  test(`of ${JSON.stringify(text)}`, () => {
    const bytes = Buffer.from(`xx${text}yy`);
    assert.equal(murmur3(bytes, 2, bytes.length - 4), hash);
  });
