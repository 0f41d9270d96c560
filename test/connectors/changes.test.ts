/** Envelopes of changes: what each is in a changelog, and what goes to the dead letters. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { deflateSync } from "node:zlib";
import fc from "fast-check";
import type { Change } from "../../runtime/api/changelog-stream.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { toAttributes } from "../../runtime/connectors/dynamodb/attribute.ts";
import { avro } from "../../runtime/connectors/formats/avro.ts";
import { debezium } from "../../runtime/connectors/formats/debezium.ts";
import { dynamodbChanges, fromAttribute } from "../../runtime/connectors/formats/dynamodb-changes.ts";
import { framed } from "../../runtime/connectors/formats/framed.ts";
import { json } from "../../runtime/connectors/formats/json.ts";
import { type FormatOfMany, recordDecoder, Rejection } from "../../runtime/connectors/formats/format.ts";
import { decode } from "./support.ts";

const rejection = (reason: RegExp) => (error: unknown) => error instanceof Rejection && reason.test(error.reason);
const bytesOf = (value: unknown) => Buffer.from(JSON.stringify(value));
const changes = (format: FormatOfMany<Change<any>>, value: unknown) =>
  format.decodeAll({ bytes: bytesOf(value) }).map(({ kind, value: row }) => [kind, row]);

const [before, after] = [
  { id: 1, name: "a" },
  { id: 1, name: "b" },
];

suite("debezium", () => {
  const retract = debezium<any>({ mode: "retract" });
  const upsert = debezium<any>({ mode: "upsert" });

  test("is a changelog: inserts and snapshots, updates, deletes", () => {
    for (const op of ["c", "r"]) assert.deepEqual(changes(retract, { op, before: null, after }), [["+I", after]]);
    const update = { op: "u", before, after };
    assert.deepEqual(changes(retract, update), [
      ["-U", before],
      ["+U", after],
    ]);
    assert.deepEqual(changes(upsert, update), [["+U", after]]);
    for (const format of [retract, upsert]) assert.deepEqual(changes(format, { op: "d", before, after: null }), [["-D", before]]);
  });
  test("may stand in the payload of an envelope with its schema", () => {
    assert.deepEqual(changes(upsert, { schema: { type: "struct" }, payload: { op: "c", after } }), [["+I", after]]);
  });
  test("may be Avro", () => {
    const row = { type: "record", name: "Value", fields: [{ name: "id", type: "int" }] };
    const envelope = {
      ...{ type: "record", name: "Envelope" },
      fields: [
        { name: "before", type: ["null", row], default: null },
        { name: "after", type: ["null", "Value"], default: null },
        { name: "op", type: "string" },
      ],
    };
    const format = avro<any>({ schema: envelope });
    const [change, ...more] = debezium<any>({ mode: "upsert", format }).decodeAll({
      bytes: format.encode({ before: null, after: { id: 7 }, op: "c" }),
    });
    assert.deepEqual([change!.kind, { ...change!.value }, more], ["+I", { id: 7 }, []]);
  });
  test("passes over the tombstone that follows a delete, and nothing else", () => {
    assert.deepEqual(upsert.decodeAll({ bytes: new Uint8Array(0) }), []);
    for (const op of ["t", "m", undefined, 7])
      assert.throws(() => changes(upsert, { op, after }), rejection(/no change of a row|has no op/));
    assert.throws(() => changes(upsert, { id: 1 }), rejection(/has no op/));
    assert.throws(() => changes(upsert, [1]), rejection(/not an object/));
    assert.throws(() => upsert.decodeAll({ bytes: Buffer.from("{") }), rejection(/not valid JSON/));
  });
  test("rejects what lacks the rows that the mode needs, and says what to set up", () => {
    assert.throws(
      () => changes(retract, { op: "u", before: null, after }),
      rejection(/takes back has no row: .*REPLICA IDENTITY FULL/),
    );
    assert.throws(() => changes(retract, { op: "d", before: null }), rejection(/a delete has no row/));
    assert.throws(() => changes(upsert, { op: "d" }), rejection(/a delete has no row/));
    assert.throws(() => changes(upsert, { op: "u", after: "x" }), rejection(/an update has no row, but/));
  });
  test("rejects an update whose row has a column that was not logged, in whatever form that is said", () => {
    const unlogged = "__debezium_unavailable_value";
    for (const text of [unlogged, [unlogged], Buffer.from(unlogged).toString("base64")])
      assert.throws(
        () => changes(upsert, { op: "u", before: null, after: { ...after, text } }),
        rejection(/REPLICA IDENTITY FULL\): column text$/),
      );
    const bytes = json();
    const format = { ...bytes, decode: () => ({ op: "u", after: { ...after, text: Buffer.from(unlogged) } }) };
    assert.throws(() => changes(debezium({ mode: "upsert", format }), {}), rejection(/column text$/));
    // Said of a value it is one.
    for (const text of [`${unlogged}s`, [unlogged, unlogged], null, unlogged.length])
      assert.deepEqual(changes(upsert, { op: "u", after: { ...after, text } }), [["+U", { ...after, text }]]);
    assert.deepEqual(changes(upsert, { op: "c", after: { ...after, text: unlogged } }), [["+I", { ...after, text: unlogged }]]);
  });
  test("checks rows, but for those of an upsert stream's deletes, which may be keys", () => {
    const schema = {
      "~standard": {
        version: 1 as const,
        vendor: "test",
        validate: (row: any) => (row.name === undefined ? { issues: [{ message: "no name" }] } : { value: row }),
      },
    } as const;
    const checked = debezium<any>({ mode: "upsert", schema });
    assert.throws(() => changes(checked, { op: "c", after: { id: 1 } }), rejection(/no name/));
    assert.deepEqual(changes(checked, { op: "d", before: { id: 1 } }), [["-D", { id: 1 }]]);
    assert.throws(() => changes(debezium({ mode: "retract", schema }), { op: "d", before: { id: 1 } }), rejection(/no name/));
    assert.throws(
      () => debezium({ mode: "append" as any }),
      (error) => isKind(error, "invalid"),
    );
  });
});

suite("changes of a DynamoDB table", () => {
  const item = (row: object) => toAttributes(row, "");
  const event = (eventName: string, images: object) => ({
    ...{ eventID: "1", eventName, eventSource: "aws:dynamodb", tableName: "t", recordFormat: "application/json" },
    dynamodb: { ApproximateCreationDateTime: 1, Keys: item({ id: 1 }), SizeBytes: 10, ...images },
  });
  const both = { OldImage: item(before), NewImage: item(after) };
  const retract = dynamodbChanges<any>({ mode: "retract" });
  const upsert = dynamodbChanges<any>({ mode: "upsert" });

  test("are a changelog", () => {
    assert.deepEqual(changes(retract, event("INSERT", { NewImage: item(after) })), [["+I", after]]);
    assert.deepEqual(changes(retract, event("MODIFY", both)), [
      ["-U", before],
      ["+U", after],
    ]);
    assert.deepEqual(changes(upsert, event("MODIFY", { NewImage: item(after) })), [["+U", after]]);
    assert.deepEqual(changes(retract, event("REMOVE", { OldImage: item(before) })), [["-D", before]]);
    assert.deepEqual(changes(upsert, event("REMOVE", {})), [["-D", { id: 1 }]]);
  });
  test("of a table that a sink of a job writes are those of its rows: what is marked as deleted is not there", () => {
    const marked = (row: object, v: number) => item({ ...row, _millrace: { v, t: "g1.a~0", o: "job/sink" } });
    const tombstone = item({ id: 1, _millrace: { v: 9, t: "g1.a~0", o: "job/sink", d: true } });
    const live = marked(before, 1);
    assert.deepEqual(changes(retract, event("INSERT", { NewImage: live })), [["+I", before]]);
    assert.deepEqual(changes(retract, event("MODIFY", { OldImage: live, NewImage: marked(after, 2) })), [
      ["-U", before],
      ["+U", after],
    ]);
    assert.deepEqual(changes(retract, event("MODIFY", { OldImage: live, NewImage: tombstone })), [["-D", before]]);
    assert.deepEqual(changes(upsert, event("MODIFY", { NewImage: tombstone })), [["-D", { id: 1 }]]);
    assert.deepEqual(changes(retract, event("MODIFY", { OldImage: tombstone, NewImage: live })), [["+I", before]]);
    for (const nothing of [
      event("INSERT", { NewImage: tombstone }),
      event("MODIFY", { OldImage: tombstone, NewImage: tombstone }),
      event("REMOVE", { OldImage: tombstone }),
    ])
      assert.deepEqual(changes(retract, nothing), []);
    const other = dynamodbChanges<any>({ mode: "retract", versionAttribute: "version" });
    const row = { id: 1, _millrace: "mine" };
    assert.deepEqual(changes(other, event("INSERT", { NewImage: item({ ...row, version: { v: 1 } }) })), [["+I", row]]);
  });
  test("are rejected where the stream does not bring the images that the mode needs", () => {
    assert.throws(() => changes(retract, event("MODIFY", { NewImage: item(after) })), rejection(/NEW_AND_OLD_IMAGES/));
    assert.throws(() => changes(retract, event("REMOVE", {})), rejection(/NEW_AND_OLD_IMAGES/));
    assert.throws(() => changes(upsert, event("INSERT", {})), rejection(/an insert has no row/));
    assert.throws(() => changes(upsert, event("DROP", both)), rejection(/"DROP"/));
    assert.throws(() => changes(upsert, { id: 1 }), rejection(/not a record of a DynamoDB stream/));
    assert.throws(() => changes(upsert, event("INSERT", { NewImage: [1] })), rejection(/not an item/));
  });
  test("have every type of attribute as a plain value", () => {
    const value = fromAttribute(
      {
        M: {
          ...{ s: { S: "x" }, n: { N: "-1.5E2" }, b: { B: "/wA=" }, yes: { BOOL: false }, nothing: { NULL: true } },
          ...{ l: { L: [{ N: "1" }, { M: {} }] }, ss: { SS: ["a"] }, ns: { NS: ["1", "2"] }, bs: { BS: ["AA=="] } },
        },
      },
      "x",
    );
    assert.deepEqual(value, {
      ...{ s: "x", n: -150, b: Uint8Array.of(255, 0), yes: false, nothing: null, l: [1, {}], ss: ["a"], ns: [1, 2] },
      bs: [Uint8Array.of(0)],
    });
  });
  test("have numbers as they stand, or are rejected", () => {
    assert.equal(fromAttribute({ N: "9007199254740993" }, "n"), 9_007_199_254_740_993n);
    assert.equal(fromAttribute({ N: "0.10" }, "n"), 0.1);
    assert.equal(fromAttribute({ N: "1E+20" }, "n"), 1e20);
    assert.equal(fromAttribute({ N: "-0.00" }, "n"), -0);
    assert.throws(() => fromAttribute({ N: "0.1234567890123456789" }, "n"), rejection(/exactly: n/));
    assert.throws(() => fromAttribute({ N: "x" }, "n"), rejection(/not a number/));
  });
  test("are rejected with the place of what is no attribute value", () => {
    const wrong: readonly [unknown, RegExp][] = [
      [{ S: 1 }, /not text: x/],
      [{ S: "a", N: "1" }, /not an attribute value: x/],
      [{}, /not an attribute value/],
      [null, /not an attribute value/],
      [{ Z: 1 }, /not a type of DynamoDB's: Z/],
      [{ B: "%" }, /not bytes/],
      [{ L: {} }, /not a list/],
      [{ M: { a: { M: { b: 1 } } } }, /not an attribute value: x\.a\.b/],
      [{ M: JSON.parse('{"__proto__": {"S": "a"}}') as object }, /__proto__/],
    ];
    for (const [attribute, reason] of wrong) assert.throws(() => fromAttribute(attribute, "x"), rejection(reason));
    let deep: object = { S: "x" };
    for (let n = 0; n < 5_000; n++) deep = { L: [deep] };
    assert.throws(() => fromAttribute(deep, "x"), rejection(/nested/));
  });
  test("of items that were stored are what was stored", () => {
    const row = fc.dictionary(
      fc.string({ minLength: 1 }).filter((name) => name !== "__proto__"),
      fc.oneof(
        fc.string(),
        fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e100, max: 1e100 }),
        fc.boolean(),
        fc.constant(null),
        fc.array(fc.integer()),
      ),
    );
    fc.assert(
      fc.property(row, (given) => {
        const isStored = Object.values(given).every(
          (value) => typeof value !== "number" || value === 0 || Math.abs(value) > 1e-100,
        );
        fc.pre(isStored);
        const plain = JSON.parse(JSON.stringify(given)) as object;
        assert.deepEqual(changes(upsert, event("INSERT", { NewImage: item(given) })), [["+I", plain]]);
      }),
    );
  });
});

suite("a format behind the id of a schema", () => {
  test("is read without it, and is not without it", () => {
    const format = framed(json<{ a: number }>(), "confluent");
    assert.deepEqual(format.decode({ bytes: Buffer.from('\0\0\0\0\x07{"a":1}') }), { a: 1 });
    assert.throws(() => format.decode({ bytes: Buffer.from('{"a":1}') }), rejection(/no schema id of the confluent registry/));
    const uuid = Buffer.alloc(16, 1);
    const compressed = Buffer.concat([Buffer.from([3, 5]), uuid, deflateSync('{"a":2}')]);
    assert.deepEqual(framed(json(), "glue").decode({ bytes: compressed }), { a: 2 });
    assert.match(format.readOnly!, /only read/);
    const changed = framed(debezium<any>({ mode: "upsert" }), "glue");
    const { values } = decode(
      { decode: recordDecoder(changed) },
      { bytes: Buffer.concat([Buffer.from([3, 0]), uuid, bytesOf({ op: "c", after })]) },
    );
    assert.deepEqual(values, [{ kind: "+I", value: after }]);
  });
});
