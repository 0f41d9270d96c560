import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { Schema } from "../../runtime/api/functions.ts";
import { type } from "../../runtime/api/functions.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { accessLog } from "../../runtime/connectors/formats/access-log.ts";
import { csv } from "../../runtime/connectors/formats/csv.ts";
import { endOfCsvRecord, parseCsvFields } from "../../runtime/connectors/formats/csv-fields.ts";
import { recordDecoder, Rejection } from "../../runtime/connectors/formats/format.ts";
import { eventBridge } from "../../runtime/connectors/event-bridge/event-bridge.ts";
import { json, ndjson } from "../../runtime/connectors/formats/json.ts";
import { decode, encoded } from "./support.ts";

function schema<T>(validate: (value: any) => unknown): Schema<T> {
  return { "~standard": { version: 1, vendor: "test", validate } };
}
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8");
const rejection = (reason: RegExp) => (error: unknown) => error instanceof Rejection && reason.test(error.reason);

/** In a second of the processor's time: what the test waits for beside it is of the machine. */
function assertSoon(run: () => void): void {
  const before = process.threadCpuUsage();
  run();
  const { user, system } = process.threadCpuUsage(before);
  assert.ok(user + system < 1_000_000, `took ${(user + system) / 1_000} ms`);
}

suite("json", () => {
  test("takes the text where the record has it, else the bytes", () => {
    assert.deepEqual(json().decode({ bytes: Buffer.from("1"), text: '{"a":2}' }), { a: 2 });
    assert.deepEqual(json().decode(encoded('{"ä":"€"}')), { ä: "€" });
  });
  test("rejects what is no JSON, and bytes that are not UTF-8 instead of mending them", () => {
    assert.throws(() => json().decode(encoded("{")), rejection(/^not valid JSON: /));
    assert.throws(() => json().decode({ bytes: Buffer.from([0x22, 0xff, 0x22]) }), rejection(/^not valid UTF-8$/));
    assert.equal(json().decode(encoded('"\ufffd"')), "\ufffd");
  });
  test("rejects integers that a number does not hold, wherever they stand, and takes all others", () => {
    for (const integer of [
      "9007199254740993",
      "9223372036854775807",
      "9223372036854775808",
      "-1234567890123456789",
      `1${"0".repeat(30)}7`,
      "1".repeat(400),
    ])
      for (const around of [
        (n: string) => n,
        (n: string) => `{"id":${n}}`,
        (n: string) => `[1, ${n} ,2]`,
        (n: string) => `[\n${n}\t]`,
      ])
        assert.throws(
          () => json().decode(encoded(around(integer))),
          rejection(/^a number does not hold -?1?[\d…]+ exactly, read longs/),
        );
    for (const fine of [
      "9007199254740992",
      "9223372036854776000",
      "1000000000000000000000",
      "10000000000000000000000",
      "0.12345678901234567",
      "1234567890123456789.5",
      "1e300",
      "1e400",
    ])
      assert.equal(json().decode(encoded(fine)), Number(fine));
    const quoted = '{"id":"9007199254740993","text":"no 9007199254740993, or so"}';
    assert.deepEqual(json().decode(encoded(quoted)), JSON.parse(quoted));
  });
  test("reads and writes integers exactly as bigint where it is told to, and others as it did", () => {
    const exact = json<any>(undefined, { longs: "bigint" });
    const long = fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n });
    const scalar = fc.oneof(
      long,
      fc.string({ unit: "binary" }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
    );
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        scalar,
        fc.array(tie("value"), { maxLength: 20 }),
        fc.dictionary(fc.string(), tie("value")),
      ),
    }));
    /** Written by hand, integers by all their digits. */
    const written = (each: any, space: string): string => {
      if (typeof each === "bigint") return String(each);
      if (Array.isArray(each)) return `[${each.map((one) => `${space}${written(one, space)}`).join(",")}]`;
      if (typeof each !== "object") return JSON.stringify(each);
      return `{${Object.entries(each)
        .map(([name, one]) => `${JSON.stringify(name)}:${space}${written(one, space)}`)
        .join(`${space},`)}}`;
    };
    /** All digits of the shortest way to write the number. */
    const digits = (number: number): string => {
      const [, first, rest = "", zeros] = /^(-?\d)(?:\.(\d+))?e\+(\d+)$/.exec(String(number)) ?? [];
      return first === undefined ? String(number) : first + rest.padEnd(Number(zeros), "0");
    };
    /** A number where it has the same digits. */
    const held = (each: any): any => {
      if (typeof each === "bigint") return digits(Number(each)) === String(each) ? Number(each) : each;
      if (Array.isArray(each)) return each.map(held);
      if (typeof each !== "object") return Object.is(each, -0) ? 0 : each;
      return Object.fromEntries(Object.entries(each).map(([name, one]) => [name, held(one)]));
    };
    fc.assert(
      fc.property(value, fc.constantFrom("", " ", "\n\t"), (given, space) => {
        const decoded = exact.decode(encoded(written(given, space)));
        assert.deepEqual(decoded, held(given));
        assert.deepEqual(exact.decode(encoded(text(exact.encode(decoded)))), decoded);
      }),
    );
    assert.throws(() => exact.decode(encoded("1".repeat(100_000))), rejection(/^a number does not hold 1{40}… exactly: $/));
    assert.throws(
      () => json(undefined, { longs: "text" as any }),
      (error) => isKind(error, "invalid"),
    );
  });
  test("says of an event's detail too which integers it takes", () => {
    const event = (detail: string) =>
      encoded(`{"id":"e","source":"s","detail-type":"t","time":"2026-01-01T00:00:00Z","account":1,"detail":${detail}}`);
    const found = (longs: "number" | "bigint", detail: string) => {
      const { values, rejections } = decode(eventBridge({ queue: "bus", format: json(undefined, { longs }) }), event(detail));
      return [values.map((value: any) => value.detail), rejections.length];
    };
    assert.deepEqual(found("bigint", '{"id":9007199254740993,"n":1}'), [[{ id: 9007199254740993n, n: 1 }], 0]);
    assert.deepEqual(found("number", '{"id":9007199254740993,"n":1}'), [[], 1]);
    assert.deepEqual(found("number", '{"id":9007199254740992,"n":1}'), [[{ id: 9007199254740992, n: 1 }], 0]);
  });
  test("gives what the schema makes of the value", () => {
    const doubled = json(schema<number>((value) => ({ value: value * 2 })));
    assert.equal(doubled.decode(encoded("21")), 42);
    assert.equal(json(type(schema<number>(() => ({ value: 7 })))).decode(encoded("0")), 7);
    assert.equal(json(type<number>()).decode(encoded("5")), 5);
  });
  test("a failed validation reads as a reason with its paths", () => {
    const issues = [{ message: "expected a number", path: ["items", 2, { key: "price" }] }, { message: "is empty" }];
    const reason = /^does not match the schema: items\[2\]\.price: expected a number; is empty$/;
    assert.throws(() => json(schema(() => ({ issues }))).decode(encoded("{}")), rejection(reason));
    const many = schema(() => ({ issues: Array.from({ length: 7 }, (_, i) => ({ message: `m${i}` })) }));
    assert.throws(() => json(many).decode(encoded("{}")), rejection(/m4; 2 more$/));
  });
  test("an asynchronous validator is refused as `invalid`, not dead-lettered; one that throws rejects", () => {
    const source = { decode: recordDecoder(json(schema(async () => ({ value: 1 })))) };
    assert.throws(
      () => decode(source, encoded("1")),
      (error) => isKind(error, "invalid") && /asynchronous/.test(error.message),
    );
    const throwing = { decode: recordDecoder(json(schema(() => assert.fail("no")))) };
    assert.deepEqual(decode(throwing, encoded("1")).rejections, ["the schema threw: no"]);
  });
  test("a record that the reader rejected is not decoded", () => {
    const { values, rejections } = decode({ decode: recordDecoder(json()) }, { ...encoded("1"), rejected: "cut off" });
    assert.deepEqual([values, rejections], [[], ["cut off"]]);
  });
  test("encodes lines that decode to the same value, and refuses what JSON cannot say", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const line = text(ndjson().encode(value));
        assert.equal(line.indexOf("\n"), line.length - 1);
        assert.deepEqual(ndjson().decode(encoded(line.trimEnd())), JSON.parse(JSON.stringify(value)));
      }),
    );
    for (const value of [1n, undefined, () => 1])
      assert.throws(
        () => json().encode(value),
        (error) => isKind(error, "invalid"),
      );
  });
});

suite("csv", () => {
  test("names the fields by the header that came with the record, whatever header came before", () => {
    const format = csv();
    assert.deepEqual(format.decode(encoded("1,x", "id,name")), { id: "1", name: "x" });
    assert.deepEqual(format.decode(encoded("x,1", "name,id")), { id: "1", name: "x" });
    assert.deepEqual(format.decode(encoded("2,y", "id,name")), { id: "2", name: "y" });
  });
  test("quoted fields hold separators, quotes and line ends; a quote inside an unquoted field is itself", () => {
    assert.deepEqual(parseCsvFields('"a,b","say ""hi""",5" pipe,"",x', ","), ["a,b", 'say "hi"', '5" pipe', "", "x"]);
    assert.deepEqual(parseCsvFields('"a\nb";', ";"), ["a\nb", ""]);
    assert.throws(() => parseCsvFields('a,"b', ","), rejection(/not closed/));
    assert.throws(() => parseCsvFields('"a"b,c', ","), rejection(/after the closing quote of field 1/));
  });
  test("rejects rows and headers that do not fit", () => {
    assert.throws(() => csv().decode(encoded("1,2,3", "a,b")), rejection(/^3 fields where there are 2 columns$/));
    assert.throws(() => csv().decode(encoded("1,2", "a")), rejection(/^2 fields where there is 1 column$/));
    assert.throws(() => csv().decode(encoded("1,2")), rejection(/no header line/));
    assert.throws(() => csv().decode(encoded("1,2", "a,a")), rejection(/a column stands twice: "a"/));
    assert.throws(() => csv().decode(encoded("1,2", "a,__proto__")), rejection(/__proto__/));
    assert.throws(() => csv().decode({ bytes: Buffer.from([0xff]), header: "a" }), rejection(/UTF-8/));
  });
  test("fields are strings unless the schema makes them more", () => {
    const amount = schema<{ n: number }>((row) => ({ value: { n: Number(row.n) } }));
    assert.deepEqual(csv(amount).decode(encoded("12", "n")), { n: 12 });
  });
  test("declarations that cannot work are refused", () => {
    const refused = (make: () => unknown) => assert.throws(make, (error) => isKind(error, "invalid"));
    refused(() => csv(undefined, { header: false }));
    refused(() => csv(undefined, { separator: ";;" }));
    refused(() => csv(undefined, { separator: '"' }));
    refused(() => csv(undefined, { columns: ["a", "a"] }));
    assert.match(csv().readOnly ?? "", /columns/);
  });
  test("whatever is written is framed and read back the same", () => {
    const field = fc.string({ unit: fc.constantFrom("a", ",", '"', "\n", "\r", "é", " "), size: "medium" });
    fc.assert(
      fc.property(fc.array(field, { minLength: 1, maxLength: 4 }), fc.constantFrom(",", "\t"), (fields, separator) => {
        const columns = fields.map((_, i) => `c${i}`);
        const format = csv<Record<string, string>>(undefined, { columns, separator });
        const row = Object.fromEntries(columns.map((column, i) => [column, fields[i]!]));
        const bytes = format.encode(row);
        assert.equal(endOfCsvRecord(bytes, 0, separator.charCodeAt(0)), bytes.length - 1);
        assert.deepEqual(format.decode({ bytes: bytes.subarray(0, -1), header: columns.join(separator) }), row);
      }),
    );
  });
  test("writes its columns in their order, empty for what is missing, with a header unless told not to", () => {
    const format = csv<any>(undefined, { columns: ["a", "b", "c"] });
    assert.equal(text(format.fileHeader!), "a,b,c\n");
    assert.equal(text(format.encode({ c: 3n, a: new Date(0), x: 1 })), "1970-01-01T00:00:00.000Z,,3\n");
    assert.equal(csv(undefined, { columns: ["a"], header: false }).fileHeader, undefined);
  });
});

suite("accessLog", () => {
  const parse = (line: string) => accessLog().decode(encoded(line));

  test("the combined format", () => {
    const line =
      '203.0.113.9 - frank [10/Oct/2000:13:55:36 -0700] "GET /a?b=1 HTTP/1.0" 200 2326 "http://x.test/" "Mozilla/4.08 \\"en\\""';
    assert.deepEqual(parse(line), {
      host: "203.0.113.9",
      user: "frank",
      time: Date.parse("2000-10-10T13:55:36-07:00"),
      method: "GET",
      path: "/a?b=1",
      protocol: "HTTP/1.0",
      status: 200,
      bytes: 2326,
      referrer: "http://x.test/",
      agent: 'Mozilla/4.08 "en"',
    });
  });
  test("the common format, and what is left open", () => {
    const entry = parse('::1 - - [29/Feb/2024:00:00:00 +0530] "POST / HTTP/2.0" 304 -');
    assert.deepEqual(
      [entry.user, entry.bytes, entry.referrer, entry.agent, entry.time],
      [undefined, 0, undefined, undefined, Date.parse("2024-02-29T00:00:00+05:30")],
    );
  });
  test("requests that are none are kept as the path", () => {
    const entry = parse('1.2.3.4 - - [01/Jan/2024:00:00:00 +0000] "\\x16\\x03\\x01" 400 166 "-" "-" "more" 0.003');
    assert.deepEqual([entry.method, entry.path, entry.protocol, entry.status], [undefined, "\\x16\\x03\\x01", undefined, 400]);
  });
  test("rejects other lines and times that do not exist", () => {
    assert.throws(() => parse("hello"), rejection(/^not a line of/));
    for (const day of ["31/Feb/2024", "10/Foo/2024", "00/Jan/2024"]) {
      assert.throws(() => parse(`h - - [${day}:00:00:00 +0000] "GET / HTTP/1.1" 200 1`), rejection(/no such time/));
    }
    assert.throws(() => parse('h - - [01/Jan/2024:25:00:00 +0000] "GET / HTTP/1.1" 200 1'), rejection(/no such time/));
  });
  test("an agent that the line's end cuts off", () => {
    const request = '1.2.3.4 - - [01/Jan/2024:00:00:00 +0000] "GET / HTTP/1.1" 200 1 "-"';
    assert.equal(parse(`${request} "Mozilla/5.0 (compat`).agent, "Mozilla/5.0 (compat");
    assert.throws(() => parse(`${request.slice(0, -1)}`), rejection(/^not a line of/));
    for (const tail of [" ", "a "]) {
      const line = `${request} "${tail.repeat(200_000)}"\\`;
      assertSoon(() => assert.throws(() => parse(line), rejection(/^not/)));
    }
  });
  test("a hostile line of a megabyte is rejected in linear time", () => {
    for (const part of [" [", 'a [b] "', '"\\"', " - ["]) {
      const line = `h - ${part.repeat((1 << 20) / part.length)}`;
      assertSoon(() => assert.throws(() => parse(line), rejection(/^not a line of/)));
    }
  });
  test("cannot be written", () => {
    assert.match(accessLog().readOnly ?? "", /only read/);
  });
});
