/**
 * Parquet: files in columns, as Athena, Spark, Glue and DuckDB read them. Only written.
 *
 * A row is kept as the list of its columns' values, checked when it comes; a file is made of all its rows when it is finished.
 *
 * P1 The same rows make the same bytes: nothing in a file tells of when, where or by whom it was made.
 * P2 What a column cannot hold is refused with its row, so a file can always be made of the rows that were kept.
 */
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import type { ColumnSource, SchemaElement } from "hyparquet-writer";
import { MillraceError } from "../../base/errors.ts";
import { decodeValue, encodeValue } from "../../base/message-pack.ts";
import type { Format } from "./format.ts";
import { type ColumnKind, columnKindOf, type ParquetColumnType } from "./parquet-column.ts";

export interface ParquetOptions<T> {
  /** The columns in their order: the fields of rows that are written, and what they hold. A type that ends with "?" may be missing. */
  readonly columns: { readonly [K in keyof NoInfer<T> & string]?: ParquetColumnType };
  /** Default "snappy". */
  readonly compression?: "snappy" | "none";
}

interface Column extends ColumnKind {
  readonly name: string;
}

const lengthBytes = 4;
/** A group of rows is held in memory as values: so many, or so many bytes as they are kept, whichever comes first. */
const rowsPerGroup = 65_536;
const bytesPerGroup = 8 << 20;
const magicBytes = 8;

/**
 * Rows as Parquet. Of T only the columns are written. Throws `invalid` for columns that cannot be; a row that does not fit them goes to the
 * dead letters.
 */
export function parquet<T = any>({ columns: declared, compression = "snappy" }: ParquetOptions<T>): Format<T> {
  const columns = Object.entries(declared).map(([name, type]): Column => ({ name, ...columnKindOf(name, type as string) }));
  if (columns.length === 0)
    throw new MillraceError("invalid", 'parquet() needs columns: parquet({ columns: { page: "string" } })');
  if (compression !== "snappy" && compression !== "none")
    throw new MillraceError("invalid", `Parquet is compressed by "snappy" or "none": ${String(compression)}`);
  const cannotRead = "Parquet is only written: read JSON, CSV or another format of records";
  return {
    name: "parquet",
    extension: "parquet",
    framing: { kind: "lines" },
    header: false,
    writeOnly: cannotRead,
    decode: () => {
      throw new MillraceError("invalid", cannotRead);
    },
    encode: (row) => encodeRow(columns, row),
    assemble: (rows, stamp) => assemble(columns, rows, stamp, compression),
  };
}

function encodeRow(columns: readonly Column[], row: any): Uint8Array {
  if (typeof row !== "object" || row === null) throw new MillraceError("invalid", `a row of Parquet is an object: ${typeof row}`);
  const values = columns.map((column) => keptValue(column, row[column.name]));
  const bytes = encodeValue(values);
  const framed = Buffer.allocUnsafe(lengthBytes + bytes.length);
  framed.writeUInt32BE(bytes.length);
  framed.set(bytes, lengthBytes);
  return framed;
}

function keptValue({ name, optional, keep, expects }: Column, value: unknown): unknown {
  if (value === undefined || value === null) {
    if (optional) return null;
    throw new MillraceError(
      "invalid",
      `a column has no value in this row, one that may be missing is declared with "?": ${name}`,
    );
  }
  const kept = keep(value);
  if (kept === undefined) throw new MillraceError("invalid", `a column cannot hold this value, it holds ${expects}: ${name}`);
  return kept;
}

function assemble(columns: readonly Column[], rows: Uint8Array, stamp: string, compression: "snappy" | "none"): Uint8Array {
  const writer = new ByteWriter();
  const schema: SchemaElement[] = [
    { name: "root", num_children: columns.length },
    ...columns.map(({ name, optional, element }): SchemaElement => ({
      name,
      ...element,
      repetition_type: optional ? "OPTIONAL" : "REQUIRED",
    })),
  ];
  const parquet = new ParquetWriter({
    writer,
    schema,
    codec: compression === "snappy" ? "SNAPPY" : "UNCOMPRESSED",
    kvMetadata: [{ key: "millrace", value: stamp }],
    createdBy: "millrace",
  });
  for (const group of groupsOf(rows)) void parquet.write({ columnData: columnsOf(columns, group), rowGroupSize: rowsPerGroup });
  void parquet.finish();
  const bytes = writer.getBytes();
  if (bytes.length < magicBytes) throw new MillraceError("internal", `a Parquet file came out short: ${bytes.length} bytes`);
  return bytes;
}

/** Rows of one group after another, each as its values. */
function* groupsOf(rows: Uint8Array): Generator<readonly (readonly unknown[])[]> {
  const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
  let group: (readonly unknown[])[] = [];
  let groupFrom = 0;
  for (let at = 0; at < rows.length;) {
    const from = at + lengthBytes;
    at = from + view.getUint32(at);
    group.push(decodeValue(rows.subarray(from, at)) as readonly unknown[]);
    if (group.length < rowsPerGroup && at - groupFrom < bytesPerGroup) continue;
    yield group;
    group = [];
    groupFrom = at;
  }
  if (group.length > 0) yield group;
}

function columnsOf(columns: readonly Column[], rows: readonly (readonly unknown[])[]): ColumnSource[] {
  return columns.map(({ name, write }, n) => ({
    name,
    data: rows.map((row) => (row[n] === null ? null : write(row[n]))),
  }));
}
