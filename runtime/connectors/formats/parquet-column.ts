/** What a column of Parquet holds: how a value is checked and kept, and what it is in the file. */
import type { SchemaElement } from "hyparquet-writer";
import { MillraceError } from "../../base/errors.ts";

type Plain = "string" | "int32" | "int64" | "float" | "double" | "boolean" | "timestamp" | "date" | "bytes" | "json";
type Decimal = `decimal(${number},${number})` | `decimal(${number}, ${number})`;

/**
 * `timestamp`: epoch ms or a Date. `date`: "2026-11-21", or a Date, of which the day in UTC is kept. `decimal(p,s)`: numbers of at most p
 * digits (18), s of them behind the point, as numbers, text or bigint. `json`: any value, as text. With "?": may be missing or null.
 */
export type ParquetColumnType = Plain | Decimal | `${Plain}?` | `${Decimal}?`;

export interface ColumnKind {
  readonly optional: boolean;
  /** What it holds, for messages. */
  readonly expects: string;
  readonly element: Pick<SchemaElement, "type" | "converted_type" | "scale" | "precision">;
  /** What is kept of a value, as MessagePack writes it; undefined: no such value. */
  readonly keep: (value: unknown) => unknown;
  /** What was kept, as it goes to the file. */
  readonly write: (kept: any) => unknown;
}

type Kind = Omit<ColumnKind, "optional">;

const int64Max = (1n << 63n) - 1n;
const dayMs = 86_400_000;
const decimalDigitsMax = 18;
const same = (kept: unknown) => kept;

const kinds: Readonly<Record<Plain, Kind>> = {
  string: {
    expects: "text",
    element: { type: "BYTE_ARRAY", converted_type: "UTF8" },
    keep: (value) => (typeof value === "string" ? value : undefined),
    write: same,
  },
  int32: {
    expects: "whole numbers of 32 bits",
    element: { type: "INT32" },
    keep: (value) => (typeof value === "number" && value === (value | 0) ? value | 0 : undefined),
    write: same,
  },
  int64: { expects: "whole numbers of 64 bits", element: { type: "INT64" }, keep: int64, write: BigInt },
  float: { expects: "numbers", element: { type: "FLOAT" }, keep: number, write: same },
  double: { expects: "numbers", element: { type: "DOUBLE" }, keep: number, write: same },
  boolean: {
    expects: "true and false",
    element: { type: "BOOLEAN" },
    keep: (value) => (typeof value === "boolean" ? value : undefined),
    write: same,
  },
  timestamp: {
    expects: "times: epoch ms or a Date",
    element: { type: "INT64", converted_type: "TIMESTAMP_MILLIS" },
    keep: (value) => (value instanceof Date ? int64(value.getTime()) : int64(value)),
    write: BigInt,
  },
  date: { expects: 'days: "2026-11-21" or a Date', element: { type: "INT32", converted_type: "DATE" }, keep: day, write: same },
  bytes: {
    expects: "bytes",
    element: { type: "BYTE_ARRAY" },
    keep: (value) => (value instanceof Uint8Array ? value : undefined),
    write: same,
  },
  json: {
    expects: "what JSON has words for",
    element: { type: "BYTE_ARRAY", converted_type: "UTF8" },
    keep: json,
    write: same,
  },
};

/** Throws `invalid` for a type that is none. */
export function columnKindOf(name: string, type: string): ColumnKind {
  const optional = type.endsWith("?");
  const plain = optional ? type.slice(0, -1) : type;
  const kind = Object.hasOwn(kinds, plain) ? kinds[plain as Plain] : decimalOf(plain);
  if (name !== "" && kind !== undefined) return { ...kind, optional };
  const known = [...Object.keys(kinds), "decimal(p,s)"].join(", ");
  throw new MillraceError(
    "invalid",
    `a Parquet column has a name and one of these types, or one with "?": ${known}: ${name}, ${type}`,
  );
}

function decimalOf(type: string): Kind | undefined {
  const match = /^decimal\((\d+), ?(\d+)\)$/.exec(type);
  const [precision, scale] = [Number(match?.[1]), Number(match?.[2])];
  if (!(precision >= 1 && precision <= decimalDigitsMax && scale <= precision)) return undefined;
  return {
    expects: `numbers of at most ${precision} digits, ${scale} of them behind the point`,
    element: { type: "INT64", converted_type: "DECIMAL", precision, scale },
    keep: (value) => unscaled(value, precision, scale),
    write: same,
  };
}

/** The number times 10 to the scale: exact, or undefined. */
function unscaled(value: unknown, precision: number, scale: number): bigint | undefined {
  if (typeof value !== "number" && typeof value !== "string" && typeof value !== "bigint") return undefined;
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(plainDecimal(value));
  if (match === null) return undefined;
  const [, sign, whole, fraction = ""] = match as unknown as [string, string, string, string?];
  const behind = fraction.replace(/0+$/, "");
  if (behind.length > scale) return undefined;
  const digits = `${whole}${behind.padEnd(scale, "0")}`.replace(/^0+(?=\d)/, "");
  return digits.length > precision ? undefined : BigInt(`${sign}${digits}`);
}

/** Numbers below a millionth are written with an exponent. */
function plainDecimal(value: number | string | bigint): string {
  const small = typeof value === "number" ? /^(-?)(\d)(?:\.(\d+))?e-(\d+)$/.exec(String(value)) : null;
  if (small === null) return String(value);
  const [, sign, first, rest = "", places] = small;
  return `${sign}0.${first!.padStart(Number(places), "0")}${rest}`;
}

function int64(value: unknown): number | bigint | undefined {
  if (typeof value === "number") return Number.isSafeInteger(value) ? value + 0 : undefined;
  return typeof value === "bigint" && value <= int64Max && value >= -int64Max - 1n ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function day(value: unknown): number | undefined {
  const time = value instanceof Date ? value.getTime() : timeOfDay(value);
  return Number.isNaN(time) ? undefined : Math.floor(time / dayMs);
}

function timeOfDay(value: unknown): number {
  if (typeof value !== "string" || !/^\d{4}-\d{2}-\d{2}$/.test(value)) return NaN;
  const time = Date.parse(`${value}T00:00:00Z`);
  // Some days that do not exist, such as the 31st of April, are taken for one of the next month.
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(value) ? time : NaN;
}

function json(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}
