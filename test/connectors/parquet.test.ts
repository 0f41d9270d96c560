/** Files of Parquet, read back by an implementation of somebody else's. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parquetMetadata, parquetReadObjects, parquetSchema } from "hyparquet";
import { type Format, isKind, parquet, type ParquetOptions, fileSink, files, kinesisSink } from "../../runtime/index.ts";

function assembled(format: Format<any>, rows: readonly unknown[], stamp = "stamp"): Uint8Array {
  return format.assemble!(Buffer.concat(rows.map((row) => format.encode(row))), stamp);
}

function read(bytes: Uint8Array): Promise<Record<string, any>[]> {
  return parquetReadObjects({ file: bufferOf(bytes) });
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
}

const invalid = (message: RegExp) => (error: unknown) => isKind(error, "invalid") && message.test(error.message);
const of = (columns: Record<string, string>, options: Partial<ParquetOptions<any>> = {}) =>
  parquet<any>({ columns: columns as ParquetOptions<any>["columns"], ...options });

describe("a file of Parquet", () => {
  it("has small decimals, which numbers are written with an exponent for, exactly", async () => {
    const format = of({ c: "decimal(18,10)" });
    const small = [1e-7, -1.25e-8, 1.5e-9, 0.000001, "0.0000000001", 3n];
    const back = await read(
      assembled(
        format,
        small.map((c) => ({ c })),
      ),
    );
    // The reader makes numbers of them again, by a multiplication that rounds.
    const unscaled = back.map(({ c }) => Math.round((c as number) * 1e10));
    assert.deepEqual(unscaled, [1_000, -125, 15, 10_000, 1, 30_000_000_000]);
    for (const c of [1e-11, 1.25e-10, "1e-7"])
      assert.throws(() => format.encode({ c }), invalid(/cannot hold this value/), String(c));
  });

  it("has what was written, of every type", async () => {
    const format = of({
      s: "string",
      i: "int32",
      l: "int64",
      f: "float",
      d: "double",
      b: "boolean",
      t: "timestamp",
      day: "date",
      raw: "bytes",
      j: "json",
      price: "decimal(10,2)",
    });
    const at = new Date("2026-11-21T19:22:13.045Z");
    const row = {
      s: "käse",
      i: -(2 ** 31),
      l: 2n ** 63n - 1n,
      f: 0.5,
      d: 0.1,
      b: true,
      t: at.getTime(),
      day: "2026-02-28",
      raw: new Uint8Array([0, 255]),
      j: { a: [1, null] },
      price: "-12.5",
      notDeclared: 1,
    };
    const [back] = await read(assembled(format, [row]));
    assert.deepEqual(back, {
      s: "käse",
      i: -(2 ** 31),
      l: 2n ** 63n - 1n,
      f: 0.5,
      d: 0.1,
      b: true,
      t: at,
      day: new Date("2026-02-28T00:00:00Z"),
      raw: back!["raw"],
      j: '{"a":[1,null]}',
      price: -12.5,
    });
    assert.deepEqual(Buffer.from(back!["raw"] as string, "latin1").length > 0, true);
    const [dated] = await read(assembled(format, [{ ...row, t: at, day: at, l: 7, price: 3 }]));
    assert.deepEqual([dated!["t"], dated!["day"], dated!["l"], dated!["price"]], [at, new Date("2026-11-21T00:00:00Z"), 7n, 3]);
  });

  it("says in its schema what may be missing", async () => {
    const bytes = assembled(of({ a: "string?", b: "int64" }), [{ b: 1 }, { a: null, b: 2 }, { a: "x", b: 3 }]);
    assert.deepEqual(
      await read(bytes),
      [
        { a: undefined, b: 1n },
        { a: undefined, b: 2n },
        { a: "x", b: 3n },
      ].map((row) => ({ ...row, a: row.a ?? null })),
    );
    const { children } = parquetSchema(parquetMetadata(bufferOf(bytes)));
    assert.deepEqual(
      children.map(({ element }) => [element.name, element.repetition_type]),
      [
        ["a", "OPTIONAL"],
        ["b", "REQUIRED"],
      ],
    );
  });

  it("is the same of the same rows, and bears its stamp", () => {
    const rows = Array.from({ length: 1_000 }, (_, n) => ({ n, text: `row ${n % 7}` }));
    for (const compression of ["snappy", "none"] as const) {
      const format = of({ n: "int64", text: "string" }, { compression });
      const bytes = assembled(format, rows, "millrace-rows:1:2");
      assert.deepEqual(bytes, assembled(of({ n: "int64", text: "string" }, { compression }), rows, "millrace-rows:1:2"));
      assert.ok(Buffer.from(bytes).includes("millrace-rows:1:2"));
    }
  });

  it("has several groups of rows when there are many", async () => {
    const rows = Array.from({ length: 70_000 }, (_, n) => ({ n }));
    const bytes = assembled(of({ n: "int32" }), rows);
    const { row_groups, num_rows } = parquetMetadata(bufferOf(bytes));
    assert.deepEqual([row_groups.map(({ num_rows }) => Number(num_rows)), Number(num_rows)], [[65_536, 4_464], 70_000]);
    assert.deepEqual(
      (await read(bytes)).map(({ n }) => n),
      rows.map(({ n }) => n),
    );
  });

  it("can be made of any rows that were taken, and reads back as they were", async () => {
    const value = (type: fc.Arbitrary<unknown>) => fc.option(type, { nil: null });
    const rows = fc.array(
      fc.record({
        text: value(fc.string({ unit: "grapheme" })),
        whole: value(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
        number: value(fc.double({ noNaN: true })),
        truth: value(fc.boolean()),
      }),
      { minLength: 1, maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(rows, async (rows) => {
        const format = of({ text: "string?", whole: "int64?", number: "double?", truth: "boolean?" });
        assert.deepEqual(
          await read(assembled(format, rows)),
          rows.map((row) => ({ ...row })),
        );
      }),
      { numRuns: 100 },
    );
  });
});

describe("a row of Parquet", () => {
  const refused: readonly (readonly [string, unknown])[] = [
    ["string", 1],
    ["int32", 2 ** 31],
    ["int32", 0.5],
    ["int64", 2 ** 60],
    ["int64", 2n ** 63n],
    ["double", "1"],
    ["boolean", 0],
    ["timestamp", "2026-11-21"],
    ["timestamp", new Date(NaN)],
    ["date", "2026-02-31"],
    ["date", "2026-04-31"],
    ["date", "21.11.2026"],
    ["bytes", "x"],
    ["json", 1n],
    ["decimal(4,2)", 100],
    ["decimal(4,2)", 0.125],
    ["decimal(4,2)", "1e1"],
    ["decimal(4,2)", "abc"],
  ];
  for (const [type, value] of refused)
    it(`is refused when a column of ${type} cannot hold it: ${String(value)}`, () => {
      assert.throws(() => of({ c: type }).encode({ c: value }), invalid(/cannot hold this value, it holds .*: c$/));
    });

  it("is refused when a column that must be there is not, or when it is no object", () => {
    assert.throws(() => of({ c: "string" }).encode({}), invalid(/no value in this row.*: c$/));
    assert.throws(() => of({ c: "string" }).encode("c"), invalid(/is an object: string/));
  });
});

describe("the declaration of Parquet", () => {
  it("refuses columns and uses that cannot be", () => {
    assert.throws(() => of({}), invalid(/needs columns/));
    assert.throws(() => of({ a: "text" }), invalid(/one of these types.*: a, text/));
    assert.throws(() => of({ a: "decimal(19,2)" }), invalid(/one of these types/));
    assert.throws(() => of({ a: "decimal(2,3)" }), invalid(/one of these types/));
    assert.throws(() => of({ a: "string" }, { compression: "gzip" as any }), invalid(/"snappy" or "none"/));
    assert.throws(() => files({ paths: "a", format: of({ a: "string" }) }), invalid(/only written/));
    const stream = { stream: "s", partitionKey: () => "k" };
    assert.throws(() => kinesisSink({ ...stream, format: of({ a: "string" }) }), invalid(/makes whole files/));
    fileSink<{ a: string; b: number }>({ path: "out", format: parquet({ columns: { a: "string", b: "int64?" } }) });
  });
});
