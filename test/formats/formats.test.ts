import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { ByteWriter } from "../../runtime/base/byte-writer.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import { encodeValue } from "../../runtime/base/message-pack.ts";
import { encodeManifest, type Manifest } from "../../runtime/snapshots/manifest.ts";
import { readIndex, readLocal, readReferences } from "../../runtime/snapshots/segment.ts";
import { samples } from "./samples.ts";

const here = new URL(".", import.meta.url);
const stored = readdirSync(here).filter((name) => name.endsWith(".hex"));

function bytesOf(file: string): Uint8Array {
  return Buffer.from(readFileSync(new URL(file, here), "utf8").replaceAll("\n", ""), "hex");
}

describe("bytes written by version 1 are read today", () => {
  for (const { name, decode, value } of samples)
    test(name, () => {
      const files = stored.filter((file) => file.startsWith(`${name}.`));
      assert.ok(files.includes(`${name}.1.hex`));
      for (const file of files) assert.deepEqual(decode(bytesOf(file)), value, file);
    });
});

describe("what is written today is read as it was", () => {
  for (const { name, decode, encode, value } of samples) test(name, () => assert.deepEqual(decode(encode()), value));
});

describe("a newer version is corrupt, and the message says both", () => {
  for (const { name, decode, encode, versionAt } of samples) {
    if (versionAt === undefined) continue;
    test(name, () => {
      const bytes = encode();
      bytes[versionAt] = 2;
      assert.throws(() => decode(bytes), { kind: "corrupt", message: /version 2, this code knows 1/ });
    });
  }

  test("the blocks of a segment", () => {
    const bytes = Buffer.from([0, 0, 0, 0, 2, 0]);
    bytes.writeUInt32LE(crc32(bytes.subarray(4)));
    const newer = { kind: "corrupt", message: /version 2, this code knows 1/ };
    assert.throws(() => readIndex(bytes), newer);
    assert.throws(() => readReferences(bytes), newer);
    assert.throws(() => readLocal(bytes), newer);
  });

  test("manifest and job record", () => {
    const manifest = samples.find(({ name }) => name === "manifest")!;
    const newer = JSON.stringify({ ...(JSON.parse(Buffer.from(manifest.encode()).toString()) as object), version: 2 });
    assert.throws(() => manifest.decode(Buffer.from(newer)), { kind: "corrupt", message: /version 2, this code knows 1/ });
    const record = samples.find(({ name }) => name === "job-record")!;
    const bytes = record.reseal!(Buffer.concat([Buffer.alloc(4), encodeValue({ ...(record.value as object), version: 2 })]));
    assert.throws(() => record.decode(bytes), { kind: "corrupt", message: /version 2, this code knows 1/ });
  });
});

// Bytes of all kinds: test/fuzz.
describe("mutated bytes give a value or an error of kind corrupt", () => {
  test("every single byte, set to what hurts", () => {
    for (const { name, decode, encode, reseal = (bytes: Uint8Array) => bytes } of samples)
      for (const byte of [0x00, 0x01, 0x7f, 0x80, 0x9f, 0xbf, 0xc9, 0xdd, 0xff]) {
        const bytes = encode();
        for (let at = 0; at < bytes.length; at++) {
          const mutated = bytes.slice();
          mutated[at] = byte;
          try {
            decode(reseal(mutated));
          } catch (error) {
            assert.equal((error as MillraceError).kind, "corrupt", `${name} at ${at} set to ${byte}: ${String(error)}`);
          }
        }
      }
  });
});

describe("with any one bit turned it is corrupt, never other data", () => {
  for (const { name, decode, encode, reseal } of samples) {
    if (reseal === undefined) continue;
    test(name, () => {
      const bytes = encode();
      for (let at = 0; at < bytes.length * 8; at++) {
        const turned = Uint8Array.from(bytes);
        turned[at >> 3] = turned[at >> 3]! ^ (1 << (at & 7));
        assert.throws(() => decode(turned), { kind: "corrupt" }, `bit ${at}`);
      }
    });
  }
});

test("a manifest holds any plain data that a watermark generator keeps", () => {
  const manifest = samples.find(({ name }) => name === "manifest")!;
  const state = {
    at: -0,
    seen: new Set([1n, undefined]),
    last: new Date(5),
    $bigint: "not one",
    bytes: new Uint8Array([1]),
    list: [undefined, NaN],
    invalid: new Date(NaN),
  };
  const given = { ...(manifest.value as Manifest), tasks: [], extra: state } as unknown as Manifest;
  assert.deepEqual(manifest.decode(encodeManifest(given)), given);
});

describe("values", () => {
  const any = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withNullPrototype: false,
    maxDepth: 4,
  });
  const value = samples.find(({ name }) => name === "value")!;

  test("of any kind come back as they were", () => {
    fc.assert(
      fc.property(any, (given) => assert.deepEqual(value.decode(encodeValue(given)), given)),
      { numRuns: 2_000 },
    );
  });

  test("with a member called __proto__ keep it as a member", () => {
    const parsed = JSON.parse('{"__proto__":{"polluted":1},"a":1}') as object;
    const back = value.decode(encodeValue(parsed)) as { polluted?: number };
    assert.deepEqual(Object.keys(back), ["__proto__", "a"]);
    assert.equal(back.polluted, undefined);
    assert.equal(({} as { polluted?: number }).polluted, undefined);
  });

  test("nested a hundred levels are stored; deeper ones and cycles are refused", () => {
    const nest = (levels: number) => {
      let inner: unknown = 1;
      for (let n = 0; n < levels; n++) inner = [inner];
      return inner;
    };
    assert.deepEqual(value.decode(encodeValue(nest(100))), nest(100));
    assert.throws(() => encodeValue(nest(101)), { kind: "invalid", message: /nested over 100 levels/ });
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    assert.throws(() => encodeValue(cyclic), { kind: "invalid", message: /cyclic/ });
  });

  test("with names that are alike keep each its own", () => {
    const names = [
      "a",
      "b",
      "ab",
      "ba",
      "aXb",
      "aYb",
      "axxb",
      "axyb",
      "é",
      "ü",
      "aéb",
      "x".repeat(31),
      "x".repeat(32),
      "",
      "0",
      "ab\0",
    ];
    const objects = names.flatMap((one) => names.map((other) => ({ [one]: 1, [other]: 2 })));
    for (const given of [...objects, ...objects.reverse()])
      assert.deepEqual(Object.entries(value.decode(encodeValue(given)) as object), Object.entries(given));
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`name-${n}`, n]));
    for (let n = 0; n < 2; n++) assert.deepEqual(value.decode(encodeValue(many)), many);
  });

  test("that are no data are refused by name", () => {
    for (const bad of [() => 1, Symbol("s"), new Float64Array(1)]) assert.throws(() => encodeValue({ bad }), { kind: "invalid" });
  });

  test("of integers are exact at every size", () => {
    const writer = new ByteWriter();
    const numbers = Array.from({ length: 54 }, (_, bits) => [2 ** bits - 1, 2 ** bits, -(2 ** bits)]).flat();
    for (const n of numbers) assert.ok(Object.is(value.decode(encodeValue(n)), n === 0 ? n : n), String(n));
    assert.ok(Object.is(value.decode(encodeValue(-0)), -0), "the sign of -0 is kept");
    assert.equal(writer.length, 0);
  });
});
