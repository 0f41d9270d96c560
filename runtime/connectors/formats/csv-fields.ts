/**
 * One CSV record to fields and back (RFC 4180).
 *
 * C1 A quote opens a quoted field only where a field begins; anywhere else in an unquoted field it stands for itself.
 * C2 `endOfCsvRecord` and `parseCsvFields` agree on which line ends are inside quotes.
 */
import { Rejection } from "./format.ts";

const quote = 0x22;
const lineFeed = 0x0a;

/** The fields of one record without its line end. Throws `Rejection` when a quoted field is not closed, or goes on after its quote. */
export function parseCsvFields(record: string, separator: string): string[] {
  if (!record.includes('"')) return record.split(separator);
  const fields: string[] = [];
  let at = 0;
  while (true) {
    const end = record.charCodeAt(at) === quote ? endOfQuoted(record, at) : endOfUnquoted(record, at, separator);
    fields.push(record.charCodeAt(at) === quote ? unquote(record.slice(at + 1, end - 1)) : record.slice(at, end));
    if (end === record.length) return fields;
    if (record[end] !== separator) throw new Rejection(`text after the closing quote of field ${fields.length}`);
    at = end + 1;
  }
}

function endOfUnquoted(record: string, from: number, separator: string): number {
  const end = record.indexOf(separator, from);
  return end < 0 ? record.length : end;
}

/** Just after the closing quote of the field that opens at `from`. */
function endOfQuoted(record: string, from: number): number {
  let at = from + 1;
  while (true) {
    const end = record.indexOf('"', at);
    if (end < 0) throw new Rejection("a quoted field is not closed");
    if (record.charCodeAt(end + 1) !== quote) return end + 1;
    at = end + 2;
  }
}

function unquote(inner: string): string {
  return inner.includes('"') ? inner.replaceAll('""', '"') : inner;
}

type Within = "fieldStart" | "unquoted" | "quoted" | "closed";

/** The index of the line feed that ends the record beginning at `from`, or -1 when it is not among these bytes. */
export function endOfCsvRecord(bytes: Uint8Array, from: number, separator: number): number {
  let within: Within = "fieldStart";
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte === lineFeed && within !== "quoted") return at;
    within = nextWithin(within, byte, separator);
  }
  return -1;
}

function nextWithin(within: Within, byte: number, separator: number): Within {
  if (within === "quoted") return byte === quote ? "closed" : "quoted";
  if (byte === separator) return "fieldStart";
  // Right after a quoted field's quote, a second one is the quote itself, doubled.
  return byte === quote && within !== "unquoted" ? "quoted" : "unquoted";
}

/** A value as a field, quoted when it must be. */
export function encodeCsvField(value: unknown, separator: string): string {
  const text = textOf(value);
  const plain = !text.includes('"') && !text.includes(separator) && !text.includes("\n") && !text.includes("\r");
  return plain ? text : `"${text.replaceAll('"', '""')}"`;
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (value instanceof Date) return value.toISOString();
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
