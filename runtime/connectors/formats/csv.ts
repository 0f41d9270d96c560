/**
 * CSV (RFC 4180): a record is an object of its fields by column name; fields are strings until a schema makes them more.
 *
 * The names come from the header line, which the reader keeps per shard and hands along with every record: files with other
 * columns, or in another order, can stand beside each other, and decoding stays a function of the record alone. `columns`
 * names the fields instead where there is no header, and says what is written.
 */
import { MillraceError } from "../../base/errors.ts";
import { encodeCsvField, parseCsvFields } from "./csv-fields.ts";
import { type Encoded, type Format, Rejection } from "./format.ts";
import { type SchemaOrType, validator } from "./schema.ts";
import { utf8Text } from "./utf8.ts";

export interface CsvOptions {
  /** Files begin with a line of column names, and are so written; default true. */
  readonly header?: boolean;
  /** One ASCII character; default ",". */
  readonly separator?: string;
  /** The fields' names in their order; default: the header's. Needed for writing, and for reading without a header. */
  readonly columns?: readonly string[];
}

/** CSV with a header line. Without a schema the values are objects of strings. */
export function csv<T = Readonly<Record<string, string>>>(schema?: SchemaOrType<T>, options: CsvOptions = {}): Format<T> {
  const { header = true, separator = ",", columns } = options;
  checkOptions(header, separator, columns);
  const check = validator(schema);
  const columnsOf = columns === undefined ? headerColumns(separator) : () => columns;
  const decodeRow = (encoded: Encoded): any => toRow(parseCsvFields(textOf(encoded), separator), columnsOf(encoded.header));
  const writeLine = (fields: readonly unknown[]) => Buffer.from(encodeLine(fields, separator));
  return {
    name: "csv",
    extension: "csv",
    framing: { kind: "csv", separator },
    header,
    decode: check === undefined ? decodeRow : (encoded) => check(decodeRow(encoded)),
    encode: (value: any) => writeLine((columns ?? []).map((column) => value[column])),
    fileHeader: header && columns !== undefined ? writeLine(columns) : undefined,
    readOnly: columns === undefined ? 'give csv() the columns to write: csv(schema, { columns: ["a", "b"] })' : undefined,
  };
}

function checkOptions(header: boolean, separator: string, columns: readonly string[] | undefined): void {
  if (!/^[\x20-\x7e\t]$/.test(separator) || separator === '"') {
    throw new MillraceError("invalid", `a CSV separator is one ASCII character and no quote: ${JSON.stringify(separator)}`);
  }
  if (columns === undefined && !header) throw new MillraceError("invalid", "csv without a header line needs `columns`");
  const wrong = columns && wrongColumns(columns);
  if (wrong) throw new MillraceError("invalid", `csv columns: ${wrong}`);
}

function wrongColumns(columns: readonly string[]): string | undefined {
  const repeated = columns.find((column, i) => columns.indexOf(column) !== i);
  if (repeated !== undefined) return `a column stands twice: ${JSON.stringify(repeated)}`;
  return columns.includes("__proto__") ? "no column can be called __proto__" : undefined;
}

// Read from the bytes, not from `record.text`: fields are slices, and a slice of that would keep the reader's whole chunk alive.
function textOf({ bytes }: Encoded): string {
  const text = utf8Text(bytes);
  if (text === undefined) throw new Rejection("not valid UTF-8");
  return text;
}

/** Header lines to columns; the same header is parsed once. */
function headerColumns(separator: string): (header: string | undefined) => readonly string[] {
  let lastHeader: string | undefined;
  let lastColumns: readonly string[] = [];
  return (header) => {
    if (header === undefined) throw new Rejection("no header line came with the record: name the columns in csv()");
    if (header !== lastHeader) {
      lastColumns = parseHeader(header, separator);
      lastHeader = header;
    }
    return lastColumns;
  };
}

function parseHeader(header: string, separator: string): readonly string[] {
  const columns = parseCsvFields(header, separator);
  const wrong = wrongColumns(columns);
  if (wrong !== undefined) throw new Rejection(`in the header line, ${wrong}`);
  return columns;
}

function toRow(fields: readonly string[], columns: readonly string[]): Record<string, string> {
  if (fields.length !== columns.length) {
    const [found, expected] = [counted(fields.length, "field"), counted(columns.length, "column")];
    throw new Rejection(`${found} where there ${columns.length === 1 ? "is" : "are"} ${expected}`);
  }
  const row: Record<string, string> = {};
  for (let i = 0; i < columns.length; i++) row[columns[i]!] = fields[i]!;
  return row;
}

function counted(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}

function encodeLine(fields: readonly unknown[], separator: string): string {
  const line = fields.map((field) => encodeCsvField(field, separator)).join(separator);
  // One empty field alone would be an empty line, which readers pass over.
  return line === "" ? '""\n' : `${line}\n`;
}
