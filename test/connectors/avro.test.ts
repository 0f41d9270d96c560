import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { WriterSchema } from "../../runtime/api/connector.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { avro, type AvroOptions, confluentRegistry } from "../../runtime/connectors/formats/avro.ts";
import { type Format, Rejection } from "../../runtime/connectors/formats/format.ts";
import { glueRegistry } from "../../runtime/adapters/aws/glue.ts";

const rejection = (reason: RegExp) => (error: unknown) => error instanceof Rejection && reason.test(error.reason);
const invalid = (words: RegExp) => (error: unknown) => isKind(error, "invalid") && words.test(error.message);
const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");
const record = (name: string, ...fields: readonly object[]) => ({ type: "record", name, fields });
const field = (name: string, type: unknown, more: object = {}) => ({ name, type, ...more });
const read = (format: Format<unknown>, bytes: Uint8Array, schema?: WriterSchema) => format.decode({ bytes, schema });

/** The example of the specification: a = 27, b = "foo". */
const example = record("test", field("a", "long"), field("b", "string"));
const exampleBytes = hex("36 06 66 6f 6f");

suite("avro", () => {
  test("reads the specification's example, and writes it", () => {
    const format = avro({ schema: JSON.stringify(example) });
    assert.deepEqual({ ...(read(format, exampleBytes) as object) }, { a: 27, b: "foo" });
    assert.deepEqual(Buffer.from(format.encode({ a: 27, b: "foo" })), exampleBytes);
  });
  test("reads each type of Avro as a plain value", () => {
    const all = record(
      "all",
      field("nothing", "null"),
      field("yes", "boolean"),
      field("int", "int"),
      field("float", "float"),
      field("double", "double"),
      field("bytes", "bytes"),
      field("fixed", { type: "fixed", name: "two", size: 2 }),
      field("enum", { type: "enum", name: "suit", symbols: ["HEARTS", "SPADES"] }),
      field("array", { type: "array", items: "int" }),
      field("map", { type: "map", values: "int" }),
      field("union", ["null", "string"]),
      field("nested", record("inner", field("x", "int"))),
    );
    const bytes = hex(`01 01 0000c03f 000000000000f83f 04aabb ccdd 02 04020400 0202610600 02026f 0a`);
    const value = read(avro({ schema: all }), bytes) as Record<string, unknown>;
    assert.deepEqual(JSON.parse(JSON.stringify(value)), {
      ...{ nothing: null, yes: true, int: -1, float: 1.5, double: 1.5, enum: "SPADES", array: [1, 2], map: { a: 3 } },
      ...{ union: "o", nested: { x: 5 } },
      ...{ bytes: { type: "Buffer", data: [0xaa, 0xbb] }, fixed: { type: "Buffer", data: [0xcc, 0xdd] } },
    });
  });
  test("brings what was written into the form of the job's schema", () => {
    const later = record(
      "test",
      field("name", "string", { aliases: ["b"] }),
      field("a", "double"),
      field("since", "int", { default: 7 }),
    );
    const value = read(avro({ schema: later, writerSchema: example }), exampleBytes);
    assert.deepEqual({ ...(value as object) }, { name: "foo", a: 27, since: 7 });
  });
  test("matches types by what stands behind the last point of their names, where the whole names differ", () => {
    const inner = (namespace: string) => ({ type: "record", name: "In", namespace, fields: [field("x", "int")] });
    const outer = (namespace: string, name = "Out") => {
      const nested = field("in", ["null", inner(`${namespace}.in`)]);
      return { type: "record", name, namespace, fields: [nested, field("e", { type: "enum", name: "E", symbols: ["A"] })] };
    };
    const written = avro({ schema: outer("producer") }).encode({ in: { x: 5 }, e: "A" });
    const value = read(avro({ schema: outer("ours"), writerSchema: outer("producer") }), written) as { in: object };
    assert.deepEqual({ ...value, in: { ...value.in } }, { in: { x: 5 }, e: "A" });
    assert.throws(() => avro({ schema: outer("ours", "Other"), writerSchema: outer("producer") }), invalid(/producer\.Out/));
  });
  test("rejects the record alone whose symbol the job's enum lacks, unless that has a default", () => {
    const suit = (symbols: readonly string[], more: object = {}) => ({ type: "enum", name: "Suit", symbols, ...more });
    const hands = (of: object) =>
      record("hand", field("first", of), field("others", { type: "array", items: "Suit" }), field("last", ["null", "Suit"]));
    const writerSchema = hands(suit(["HEARTS", "SPADES", "CLUBS"]));
    const written = avro<object>({ schema: writerSchema });
    const reading = (of: object) => (hand: object) => ({
      ...(read(avro({ schema: hands(of), writerSchema }), written.encode(hand)) as object),
    });
    const known = { first: "SPADES", others: ["HEARTS", "SPADES"], last: "HEARTS" };
    const strict = reading(suit(["SPADES", "HEARTS"]));
    assert.deepEqual(strict(known), known);
    for (const unknown of [{ first: "CLUBS" }, { others: ["HEARTS", "CLUBS"] }, { last: "CLUBS" }])
      assert.throws(() => strict({ ...known, ...unknown }), rejection(/enum Suit has no CLUBS, nor a default/));
    const lenient = reading(suit(["HEARTS", "SPADES"], { default: "HEARTS" }));
    assert.deepEqual(lenient({ first: "CLUBS", others: ["CLUBS", "SPADES"], last: "CLUBS" }), {
      ...{ first: "HEARTS", others: ["HEARTS", "SPADES"], last: "HEARTS" },
    });
    const none = reading(suit(["DIAMONDS"]));
    assert.throws(() => none(known), rejection(/enum Suit has no SPADES/));
    assert.throws(() => avro({ schema: hands({ ...suit(["CLUBS"]), name: "Other" }), writerSchema }), invalid(/avro/));
  });
  test("refuses at once schemas that do not fit each other, or are none", () => {
    const other = record("test", field("a", "string"));
    assert.throws(() => avro({ schema: other, writerSchema: example }), invalid(/avro: can't read.*|avro: .*/));
    assert.throws(() => avro({ schema: { type: "nonsense" } }), invalid(/nonsense/));
    assert.throws(() => avro({ schema: "{" }), invalid(/avro/));
    assert.throws(() => avro({}), invalid(/needs a schema/));
    const registry = glueRegistry();
    assert.throws(() => avro({ registry, writerSchema: example, schema: example }), invalid(/leave writerSchema out/));
  });
  test("reads longs exactly, or rejects them", () => {
    const schema = record("test", field("a", "long"));
    const big = hex("fe ff ff ff ff ff ff ff ff 01");
    assert.throws(() => read(avro({ schema }), big), rejection(/precision/));
    const format = avro({ schema, longs: "bigint" });
    const value = read(format, big) as { a: bigint };
    assert.equal(value.a, 2n ** 63n - 1n);
    assert.deepEqual(Buffer.from(format.encode({ a: value.a })), big);
    assert.deepEqual({ ...(read(format, hex("03")) as object) }, { a: -2n });
  });
  test("rejects bytes that are cut off, left over or lie about what they hold", () => {
    const format = avro({ schema: example });
    assert.throws(() => read(format, exampleBytes.subarray(0, 4)), rejection(/cut off/));
    assert.throws(() => read(format, Buffer.concat([exampleBytes, hex("00")])), rejection(/1 bytes are left over/));
    assert.throws(() => read(format, new Uint8Array(0)), rejection(/cut off/));
    assert.throws(() => read(avro({ schema: '"boolean"' }), hex("02")), rejection(/boolean is 2/));
    assert.throws(() => read(avro({ schema: ["null", "int"] }), hex("04")), rejection(/choice 2 of 2/));
    assert.throws(
      () => read(avro({ schema: { type: "map", values: "int" } }), hex("02 12 5f5f70726f746f5f5f 02 00")),
      rejection(/__proto__/),
    );
  });
  test("takes no time and memory for counts that are lies", () => {
    const lie = hex("fe ff ff ff ff ff 7f");
    for (const items of ["null", "int", "string", record("empty")]) {
      const format = avro({ schema: { type: "array", items } });
      assert.throws(() => read(format, Buffer.concat([lie, Buffer.alloc(20)])), rejection(/says that it holds/));
    }
    assert.throws(() => read(avro({ schema: '"bytes"' }), lie), rejection(/cut off/));
    const list = record("list", field("next", ["null", "list"]));
    assert.throws(() => read(avro({ schema: list }), Buffer.alloc(100_000, 2)), rejection(/nested over/));
  });
  test("refuses to write what is no value of its schema", () => {
    assert.throws(() => avro<any>({ schema: example }).encode({ a: "x", b: 1 }), invalid(/cannot write a value as Avro/));
  });
  test("checks values beyond their form", () => {
    const check = {
      "~standard": { version: 1, vendor: "test", validate: () => ({ issues: [{ message: "too small" }] }) },
    } as const;
    assert.throws(() => read(avro({ schema: example, check }), exampleBytes), rejection(/too small/));
  });
});

suite("avro with a registry", () => {
  const registry = confluentRegistry({ url: "http://127.0.0.1:1" });
  const written = (definition: object | string, id = "17"): WriterSchema => ({
    ...{ id, definition: typeof definition === "string" ? definition : JSON.stringify(definition), references: [] },
  });
  const framed = Buffer.concat([hex("00 00000011"), exampleBytes]);

  test("reads by the schema that came with the record, into the job's", () => {
    const later = record("test", field("b", "string"));
    assert.deepEqual({ ...(read(avro({ schema: later, registry }), framed, written(example)) as object) }, { b: "foo" });
    assert.deepEqual({ ...(read(avro({ registry }), framed, written(example)) as object) }, { a: 27, b: "foo" });
    const glue = avro({ registry: glueRegistry() });
    const uuid = "11111111-2222-3333-4444-555555555555";
    const header = hex(`03 00 ${uuid.replaceAll("-", "")}`);
    assert.equal(glue.schemas!.idOf(Buffer.concat([header, exampleBytes])), uuid);
    assert.deepEqual(
      { ...(read(glue, Buffer.concat([header, exampleBytes]), written(example, uuid)) as object) },
      { a: 27, b: "foo" },
    );
  });
  test("reads a schema that names others", () => {
    const outer = record("outer", field("inner", "shop.Inner"));
    const inner = JSON.stringify({ ...record("Inner", field("x", "int")), namespace: "shop" });
    const schema = { id: "1", definition: JSON.stringify(outer), references: [{ name: "shop.Inner", definition: inner }] };
    const value = read(avro({ registry }), hex("00 00000001 0a"), schema) as { inner: object };
    assert.deepEqual({ ...value.inner }, { x: 5 });
  });
  test("rejects records without a header, whose schema did not come, is none, or does not fit", () => {
    const format = avro({ schema: example, registry });
    assert.throws(() => read(format, hex("01 00000011 36")), rejection(/no schema id of the confluent registry/));
    assert.throws(() => read(format, hex("00 00")), rejection(/no schema id/));
    assert.throws(() => read(format, framed), rejection(/was not fetched/));
    assert.throws(() => read(format, framed, written("{", "18")), rejection(/schema 18 cannot be read/));
    assert.throws(() => read(format, framed, written(record("test", field("a", "string")), "19")), rejection(/schema 19 cannot/));
    assert.equal(format.schemas!.idOf(framed), "17");
    assert.equal(format.schemas!.idOf(hex("01 00000011")), undefined);
  });
  test("writes behind the id that its schema has there", () => {
    const options: AvroOptions<any> = { schema: example, registry };
    assert.match(avro(options).readOnly!, /schemaId/);
    assert.deepEqual(Buffer.from(avro({ ...options, schemaId: 17 }).encode({ a: 27, b: "foo" })), framed);
    assert.throws(() => avro({ ...options, schemaId: "x" }).encode({ a: 27, b: "foo" }), invalid(/whole number: x/));
  });
  test("reads what Glue compressed, and no more than a record can be", async () => {
    const { deflateSync } = await import("node:zlib");
    const uuid = "11111111-2222-3333-4444-555555555555";
    const header = hex(`03 05 ${uuid.replaceAll("-", "")}`);
    const format = avro({ registry: glueRegistry() });
    const bytes = Buffer.concat([header, deflateSync(exampleBytes)]);
    assert.deepEqual({ ...(read(format, bytes, written(example, uuid)) as object) }, { a: 27, b: "foo" });
    const bomb = Buffer.concat([header, deflateSync(Buffer.alloc(20 << 20))]);
    assert.throws(() => read(format, bomb, written(example, uuid)), rejection(/cannot be decompressed/));
  });
});

suite("avro of any value", () => {
  const schema = record(
    "any",
    field("items", { type: "array", items: ["null", "string", { type: "map", values: "double" }] }),
    field("next", ["null", "any"]),
    field("n", "int"),
  );
  const format = avro<any>({ schema });
  const value = fc.letrec<{ any: object }>((tie) => ({
    any: fc.record({
      items: fc.array(
        fc.oneof(
          fc.constant(null),
          fc.string(),
          fc.dictionary(
            fc.string().filter((key) => key !== "__proto__"),
            fc.double(),
          ),
        ),
      ),
      next: fc.option(tie("any") as fc.Arbitrary<object>, { maxDepth: 4 }),
      n: fc.integer(),
    }),
  })).any;

  test("is what was written when it was not changed", () => {
    fc.assert(
      fc.property(value, (given) => {
        const bytes = format.encode(given);
        assert.deepEqual(Buffer.from(format.encode(format.decode({ bytes }))), Buffer.from(bytes));
      }),
    );
  });
});
