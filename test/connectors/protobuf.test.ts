import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { isKind } from "../../runtime/base/errors.ts";
import { glueRegistry } from "../../runtime/adapters/aws/glue.ts";
import { type Format, Rejection } from "../../runtime/connectors/formats/format.ts";
import { confluentRegistry, protobuf } from "../../runtime/connectors/formats/protobuf.ts";

const rejection = (reason: RegExp) => (error: unknown) => error instanceof Rejection && reason.test(error.reason);
const invalid = (words: RegExp) => (error: unknown) => isKind(error, "invalid") && words.test(error.message);
const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");
const read = (format: Format<unknown>, bytes: Uint8Array) => format.decode({ bytes });

const schema = `
syntax = "proto3";
package shop.v1;
import "google/protobuf/timestamp.proto";
message Head { string id = 1; }
message View {
  enum Kind { UNKNOWN = 0; PAGE = 1; }
  message Tag { string name = 1; }
  string user_id = 1;
  int64 at = 2;
  optional int32 page = 3;
  Kind kind = 4;
  repeated int32 numbers = 5;
  map<string, uint64> counts = 6;
  Tag tag = 7;
  bytes raw = 8;
  google.protobuf.Timestamp seen = 9;
  View parent = 10;
}`;

suite("protobuf", () => {
  const format = protobuf<any>({ schema, message: "shop.v1.View" });

  test("reads a message as a plain object, by its schema's names", () => {
    const bytes = hex(
      "0a 01 75  10 96 01  18 00  20 01  2a 02 01 02  32 05 0a 01 61 10 07  3a 03 0a 01 74  42 02 ff 00  4a 02 08 05",
    );
    assert.deepEqual(read(format, bytes), {
      ...{ user_id: "u", at: 150, page: 0, kind: "PAGE", numbers: [1, 2], counts: { a: 7 } },
      ...{ tag: { name: "t" }, raw: Uint8Array.of(255, 0), seen: { seconds: 5, nanos: 0 } },
    });
  });
  test("gives defaults to fields without presence alone", () => {
    assert.deepEqual(read(format, new Uint8Array(0)), {
      ...{ user_id: "", at: 0, kind: "UNKNOWN", numbers: [], counts: {}, raw: new Uint8Array(0) },
    });
  });
  test("passes over fields of newer writers, and keeps numbers that have no name", () => {
    assert.deepEqual((read(format, hex("fa 01 03 61 62 63  20 09")) as { kind: unknown }).kind, 9);
  });
  test("reads 64-bit numbers exactly, or rejects them", () => {
    const big = hex("10 ff ff ff ff ff ff ff ff 7f");
    assert.throws(() => read(format, big), rejection(/9223372036854775807 exactly.*: at/));
    const exact = protobuf<any>({ schema, message: "shop.v1.View", longs: "bigint" });
    assert.equal((read(exact, big) as { at: bigint }).at, 2n ** 63n - 1n);
  });
  test("takes a descriptor as JSON, and imports that are given", () => {
    const nested = { a: { nested: { M: { fields: { x: { type: "int32", id: 1 } } } } } };
    assert.deepEqual(read(protobuf({ schema: { nested }, message: "a.M" }), hex("08 05")), { x: 5 });
    const importing = `syntax = "proto3"; import "other.proto"; message M { Other o = 1; }`;
    const imports = { "other.proto": `syntax = "proto3"; message Other { int32 x = 1; }` };
    assert.deepEqual(read(protobuf({ schema: importing, message: "M", imports }), hex("0a 02 08 05")), { o: { x: 5 } });
    assert.throws(() => protobuf({ schema: importing, message: "M" }), invalid(/imports.*other\.proto/));
  });
  test("refuses at once a schema that is none, and one without the message", () => {
    assert.throws(() => protobuf({ schema: "message {", message: "M" }), invalid(/protobuf/));
    assert.throws(() => protobuf({ schema, message: "shop.v1.Nothing" }), invalid(/no message.*shop\.v1\.Nothing/));
    assert.throws(() => protobuf({ schema, message: "shop.v1.View.Kind" }), invalid(/no message/));
  });
  test("rejects bytes that are no message, text that is not UTF-8, and what is nested too deep", () => {
    assert.throws(() => read(format, hex("0a 05 61")), rejection(/^not a shop\.v1\.View: /));
    assert.throws(() => read(format, hex("0a 01 ff")), rejection(/^not a shop\.v1\.View: /));
    let deep = Buffer.alloc(0);
    for (let n = 0; n < 5_000; n++) deep = Buffer.concat([hex("52"), varint(deep.length), deep]);
    assert.throws(() => read(format, deep), rejection(/depth|nested/));
  });
  test("writes what it reads", () => {
    const value = {
      user_id: "ü",
      at: 5,
      kind: "PAGE",
      numbers: [3],
      counts: { b: 1 },
      raw: Uint8Array.of(1),
      tag: { name: "x" },
    };
    assert.deepEqual(read(format, format.encode(value)), value);
    const broken = { user_id: "x", tag: 5 };
    assert.throws(() => format.encode(broken), invalid(/cannot write a value as a shop\.v1\.View/));
  });
});

suite("protobuf's scalar types", () => {
  const bounds = {
    int32: [-(2 ** 31), 2 ** 31 - 1],
    sint32: [-(2 ** 31), 2 ** 31 - 1],
    sfixed32: [-(2 ** 31), 2 ** 31 - 1],
    uint32: [0, 2 ** 32 - 1],
    fixed32: [0, 2 ** 32 - 1],
    int64: [-(2n ** 63n), 2n ** 63n - 1n],
    sint64: [-(2n ** 63n), 2n ** 63n - 1n],
    sfixed64: [-(2n ** 63n), 2n ** 63n - 1n],
    uint64: [0n, 2n ** 64n - 1n],
    fixed64: [0n, 2n ** 64n - 1n],
  } as const;
  for (const [kind, [least, most]] of Object.entries(bounds)) {
    const text = `syntax = "proto3"; message M { ${kind} one = 1; repeated ${kind} many = 2; map<${kind}, string> keys = 3; }`;
    const format = protobuf<any>({ schema: text, message: "M", longs: "bigint" });

    test(`${kind} is read as it was written, as a map's key too, and what it cannot hold is not written`, () => {
      const value = { one: most, many: [least, most], keys: { [String(least)]: "least", [String(most)]: "most" } };
      assert.deepEqual(read(format, format.encode(value)), value);
      const [below, above] = typeof least === "bigint" ? [least - 1n, (most as bigint) + 1n] : [least - 1, (most as number) + 1];
      for (const wrong of [below, above, 1.5, NaN, "x", true, new Date(0)]) {
        assert.throws(() => format.encode({ one: wrong }), invalid(new RegExp(`one: not of type ${kind}`)), String(wrong));
        assert.throws(() => format.encode({ many: [wrong] }), invalid(/many\[0\]/), String(wrong));
      }
      assert.throws(() => format.encode({ keys: { [String(above)]: "x" } }), invalid(new RegExp(`keys are of type ${kind}`)));
    });
  }

  test("what the library would take for something else is not written", () => {
    const text = `syntax = "proto2"; enum E { A = 0; B = 1; } message In { optional int32 x = 1; }
      message M { required bool must = 1; optional E e = 2; optional In in = 3; repeated In ins = 4; optional bytes raw = 5;
        optional string text = 6; optional double d = 7; oneof one { int32 a = 8; int32 b = 9; } map<bool, E> by = 10; }`;
    const format = protobuf<any>({ schema: text, message: "M" });
    const wrong: readonly (readonly [object, RegExp])[] = [
      [{ must: undefined }, /must: the field is required/],
      [{ e: "C" }, /e: not of the enum E: C/],
      [{ in: new Date(0) }, /in: an object is expected, as of In/],
      [{ in: [] }, /in: an object is expected/],
      [{ ins: [null] }, /ins\[0\]: an object is expected/],
      [{ ins: { x: 1 } }, /ins: an array is expected/],
      [{ ins: [{ x: 1 }, { x: "1" }] }, /ins\[1\]\.x: not of type int32/],
      [{ raw: "not base64!" }, /raw: not of type bytes/],
      [{ text: 5 }, /text: not of type string/],
      [{ d: "5" }, /d: not of type double/],
      [{ a: 1, b: 2 }, /only one of one can be there: a, b/],
      [{ by: new Map([[true, "A"]]) }, /by: an object is expected, as of a map/],
      [{ by: { yes: "A" } }, /by: keys are of type bool: yes/],
    ];
    for (const [fields, says] of wrong) assert.throws(() => format.encode({ must: true, ...fields }), invalid(says));
    const right = { must: false, e: "B", in: { x: 1 }, ins: [{}], raw: Uint8Array.of(1), d: NaN, b: 2, by: { true: "B" } };
    assert.deepEqual(read(format, format.encode({ ...right, a: null, text: undefined, unknown: 1 })), right);
  });
});

suite("protobuf with a registry", () => {
  const registry = confluentRegistry({ url: "http://127.0.0.1:1" });
  const written = { id: "3", definition: schema, references: [] };
  const view = protobuf<any>({ schema, message: "shop.v1.View", registry, schemaId: 3 });
  const head = protobuf<any>({ schema, message: "shop.v1.Head", registry, schemaId: 3 });
  const tag = protobuf<any>({ schema, message: "shop.v1.View.Tag", registry, schemaId: 3 });

  test("writes which message of the schema it is, and reads it", () => {
    assert.deepEqual(Buffer.from(head.encode({ id: "a" })), hex("00 00000003 00 0a 01 61"));
    assert.deepEqual(Buffer.from(tag.encode({ name: "a" })), hex("00 00000003 04 02 00 0a 01 61"));
    assert.deepEqual(head.decode({ bytes: head.encode({ id: "a" }), schema: written }), { id: "a" });
    assert.deepEqual(tag.decode({ bytes: hex("00 00000003 04 02 00 0a 01 61"), schema: written }), { name: "a" });
  });
  test("rejects records of another message, and those whose schema is none", () => {
    const bytes = head.encode({ id: "a" });
    assert.throws(() => view.decode({ bytes, schema: written }), rejection(/is a shop\.v1\.Head, and not a shop\.v1\.View/));
    assert.throws(() => view.decode({ bytes }), rejection(/was not fetched/));
    const broken = { id: "4", definition: "message {", references: [] };
    assert.throws(() => view.decode({ bytes, schema: broken }), rejection(/schema 4 cannot be read/));
    assert.throws(() => view.decode({ bytes: hex("00 00000003 02 40 00"), schema: written }), rejection(/no message at 32/));
    assert.throws(() => view.decode({ bytes: hex("00 00000003"), schema: written }), rejection(/which message/));
  });
  test("passes over what stands before the record without one", () => {
    const framed = protobuf<any>({ schema, message: "shop.v1.Head", framing: "confluent" });
    assert.deepEqual(framed.decode({ bytes: hex("00 00000003 00 0a 01 61") }), { id: "a" });
    assert.match(framed.readOnly!, /schemaId/);
    const glue = protobuf<any>({ schema, message: "shop.v1.Head", registry: glueRegistry() });
    const uuid = "11111111222233334444555555555555";
    assert.deepEqual(glue.decode({ bytes: hex(`03 00 ${uuid} 00 0a 01 61`) }), { id: "a" });
  });
});

function varint(value: number): Buffer {
  return value < 128
    ? Buffer.from([value])
    : Buffer.concat([Buffer.from([(value % 128) | 128]), varint(Math.floor(value / 128))]);
}
