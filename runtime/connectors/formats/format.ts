/**
 * What turns the bytes of one record into a value and back.
 *
 * Owns: the contract of formats, and the one path from a source record to a decoded value or a dead letter.
 * Does not own: how a file is cut into records (files/record-cutter.ts); a format only says which way (`framing`).
 *
 * F1 A format is pure: the same record decodes to the same value or the same rejection, whatever came before it.
 * F2 What does not decode is rejected with a reason; nothing is passed over.
 */
import type { ConnectorOptions, Decoder, SourceRecord } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import type { RecordSchemas } from "../registry/record-schemas.ts";

/** How a file of this format is cut: at every line end, at line ends outside CSV quotes, or into lines that are each a record in base64. */
export type Framing =
  { readonly kind: "lines" } | { readonly kind: "csv"; readonly separator: string } | { readonly kind: "base64Lines" };

const lineFeed = 0x0a;

/** What a format may look at: a source record has it all. */
export type Encoded = Pick<SourceRecord, "bytes" | "text" | "header" | "schema">;

export interface Format<T> {
  readonly name: string;
  /** Of file names, without the dot. */
  readonly extension: string;
  readonly framing: Framing;
  /** Each file begins with a line that names the fields; readers hand it along with every record. */
  readonly header: boolean;
  /** The record's value. Throws `Rejection`. */
  decode(encoded: Encoded): T;
  /** Given: readers fetch the schemas that records name, and hand them along. */
  readonly schemas?: RecordSchemas | undefined;
  /** One record, with its line end unless it is framed as `base64Lines`. Throws `invalid` for a value that cannot be written. */
  encode(value: T): Uint8Array;
  /** What stands at the beginning of every file that is written. */
  readonly fileHeader?: Uint8Array | undefined;
  /** Why values cannot be written in this format as it was declared, and what to do. */
  readonly readOnly?: string | undefined;
  /** Why values cannot be read in this format, and what to do. */
  readonly writeOnly?: string | undefined;
  /**
   * Of formats whose files are made of all their rows at once: `encode` gives rows as they are kept until a file is finished, this the
   * file. The same rows give the same bytes, and `stamp`, which is ASCII, stands among them.
   */
  readonly assemble?: ((rows: Uint8Array, stamp: string) => Uint8Array) | undefined;
}

/** A format whose records hold several values each, or none. */
export interface FormatOfMany<T> extends Format<T> {
  /** The record's values in their order. Throws `Rejection`. `decode` gives the only one, and rejects records that hold more or fewer. */
  decodeAll(encoded: Encoded): readonly T[];
}

/** Says that a record does not decode, and why: an expected outcome, which sends the record to the dead letters. */
export class Rejection extends Error {
  readonly reason: string;

  constructor(reason: string) {
    super(reason);
    this.name = "Rejection";
    this.reason = reason;
  }
}

/** A decoder whose records come with their schemas. */
export type SchemaDecoder<T> = Decoder<T> & { readonly schemas?: RecordSchemas | undefined };

/** The decoder of a source whose records each hold values of this format. Throws `invalid` for one that cannot be read. */
export function recordDecoder<T>(format: Format<T> | FormatOfMany<T>): SchemaDecoder<T> {
  const { name, writeOnly } = format;
  if (writeOnly !== undefined) throw new MillraceError("invalid", `a source cannot read this format: ${writeOnly}: ${name}`);
  const many = "decodeAll" in format ? format : undefined;
  const decode: Decoder<T> = (record, target) => {
    if (record.rejected !== undefined) return target.reject(record.rejected);
    let value: T;
    try {
      if (many !== undefined) {
        for (const each of many.decodeAll(record)) target.accept(each);
        return;
      }
      value = format.decode(record);
    } catch (error) {
      if (error instanceof Rejection) return target.reject(error.reason);
      throw error;
    }
    target.accept(value);
  };
  return format.schemas === undefined ? decode : Object.assign(decode, { schemas: format.schemas });
}

/** A value as the whole of a record of its own: without the line end that it would have in a file. Throws as `Format.encode`. */
export function encodeRecord<T>(format: Format<T>, value: T): Uint8Array {
  const line = format.encode(value);
  return format.framing.kind !== "base64Lines" && line.at(-1) === lineFeed ? line.subarray(0, -1) : line;
}

/** A value as what stands in a file for it, with its line end. Throws as `Format.encode`. */
export function encodeLine<T>(format: Format<T>, value: T): Uint8Array {
  const bytes = format.encode(value);
  if (format.framing.kind !== "base64Lines") return bytes;
  return Buffer.from(`${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64")}\n`);
}

/** Throws `invalid` for a format in which no value stands alone; `what` is how messages call the sink. */
export function checkWritesRecords({ name, readOnly, header, assemble }: Format<any>, what: string): void {
  const cannotWrite =
    readOnly ??
    (header ? "messages have no header line before them, declare it with header: false" : undefined) ??
    (assemble !== undefined ? "it makes whole files, of which a row is no part" : undefined);
  if (cannotWrite !== undefined) throw new MillraceError("invalid", `${what} cannot write this format: ${cannotWrite}: ${name}`);
}

/** What the plan shows of a format, and all that a file reader needs to know of it: stands as `format` in a source's options. */
export function formatOptions(format: Format<any>): ConnectorOptions {
  const { name, framing, header, schemas } = format;
  return { name, framing, header, ...(schemas && { registry: schemas.registry.name }) };
}
