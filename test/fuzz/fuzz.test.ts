/** Bytes of all kinds, for everything that decodes: D1 to D3. `npm run fuzz` does the same for as long as there is time. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { decoders } from "./decoders.ts";
import { checkDecoder, type Decoder, inputsOf } from "./decoder.ts";
import { fuzz } from "./fuzz.ts";
import fc from "fast-check";

const seed = 20;
const runs = 250;

describe("any bytes, and good ones that were changed", () => {
  const fuzzed = fuzz({ names: decoders.map(({ name }) => name), seed, runs });
  for (const { name } of decoders)
    test(name, async () => {
      const result = (await fuzzed).find(({ decoder }) => decoder === name);
      assert.ok(result !== undefined, "it was not come to: the one before has not ended");
      assert.equal(result.failure, undefined, `bytes ${result.failure?.bytes}: ${result.failure?.error}`);
      assert.ok(result.runs >= runs);
    });
});

describe("it is noticed when a decoder", () => {
  const good: Decoder = {
    name: "good",
    valid: fc.uint8Array(),
    decode: (bytes) => [...bytes],
    encode: (list) => Uint8Array.from(list),
  };
  const found = (decoder: Decoder) => {
    const { failed, errorInstance } = fc.check(
      fc.property(inputsOf(decoder), (bytes) => checkDecoder(decoder, bytes)),
      { numRuns: 100, seed },
    );
    return failed ? String(errorInstance) : undefined;
  };

  test("is good, by nothing", () => assert.equal(found(good), undefined));
  test("fails otherwise than by its refusal", () => {
    const decode = (bytes: Uint8Array) => Buffer.from(bytes).readUInt32LE(0);
    assert.match(found({ name: "range", valid: fc.uint8Array(), decode })!, /RangeError/);
  });
  test("believes a length", () => {
    const decode = (bytes: Uint8Array) => new Uint8Array(bytes.length > 3 ? Buffer.from(bytes).readUInt32LE(0) >>> 3 : 0).length;
    assert.match(found({ name: "length", valid: fc.uint8Array({ minLength: 4 }), decode })!, /of memory|ms/);
  });
  test("takes what it cannot write again", () => {
    assert.match(found({ ...good, encode: () => new Uint8Array(0) })!, /deep-equal/);
  });
});
