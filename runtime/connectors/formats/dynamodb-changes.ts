/**
 * Changes of a DynamoDB table: the records of its stream as JSON, as Kinesis Data Streams for DynamoDB brings them, and as Lambda's events
 * have them. Rows are plain objects.
 *
 * C1 INSERT, MODIFY and REMOVE are changes of one row, as debezium.ts has them (D1).
 * C2 Numbers are exact: a number where it holds what stands there, else a `bigint`, else the record is rejected.
 * C3 Of a table that `dynamodb()` writes, rows are without the version that stands beside them, and a row that it has marked as deleted is
 *    not there: marking it is the delete, and that the mark goes later is no change.
 *
 * Sources: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Record.html;
 * https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/kds_gettingstarted.html
 */
import type { Change } from "../../api/changelog-stream.ts";
import { MillraceError } from "../../base/errors.ts";
import { checkMode, type ChangeFormatOptions, isRecord, rowChanges } from "./debezium.ts";
import { type Encoded, type FormatOfMany, Rejection } from "./format.ts";
import { holdsDigits } from "./decimal-digits.ts";
import { json } from "./json.ts";
import { onlyOne } from "./only-one.ts";

const depthMax = 32;
const readOnly = "changes of a table are only read: write json()";
const readJson = json().decode;

export interface DynamodbChangesOptions<T> extends ChangeFormatOptions<T> {
  /** Of a table that `dynamodb()` writes, the attribute under which it keeps the row's version; default "_millrace". */
  readonly versionAttribute?: string;
}

/** An image of an item: a row, or what a delete has left in its place. */
type Image = { readonly row: Record<string, unknown>; readonly isDeleted: boolean };

/** For `asChangelog`. Throws `invalid` for options that cannot be. */
export function dynamodbChanges<T>({
  mode,
  schema,
  versionAttribute = "_millrace",
}: DynamodbChangesOptions<T>): FormatOfMany<Change<T>> {
  checkMode(mode);
  const changesOf = rowChanges(mode, schema, "the table's stream does not bring it (NEW_AND_OLD_IMAGES does)");
  const imageIn = (image: unknown, name: string) => imageOf(image, name, versionAttribute);
  const decodeAll = (encoded: Encoded): readonly Change<T>[] => {
    const record = readJson(encoded);
    if (!isRecord(record) || !isRecord(record.dynamodb)) throw new Rejection("not a record of a DynamoDB stream");
    const { Keys, OldImage, NewImage } = record.dynamodb;
    const [before, after] = [imageIn(OldImage, "OldImage"), imageIn(NewImage, "NewImage")];
    const deleted = () =>
      changesOf("delete", before?.row ?? (mode === "upsert" ? imageIn(Keys, "Keys")?.row : undefined), undefined);
    switch (record.eventName) {
      case "INSERT":
        return after?.isDeleted === true ? [] : changesOf("insert", undefined, after?.row);
      case "MODIFY":
        if (after?.isDeleted === true) return before?.isDeleted === true ? [] : deleted();
        return before?.isDeleted === true
          ? changesOf("insert", undefined, after?.row)
          : changesOf("update", before?.row, after?.row);
      case "REMOVE":
        return before?.isDeleted === true ? [] : deleted();
      default:
        throw new Rejection(`not a record of a DynamoDB stream: its event is ${JSON.stringify(record.eventName)?.slice(0, 40)}`);
    }
  };
  return {
    ...{ name: "dynamodbChanges", extension: "ndjson", framing: { kind: "lines" }, header: false, readOnly },
    ...{ decodeAll, decode: onlyOne(decodeAll) },
    encode: () => {
      throw new MillraceError("invalid", readOnly);
    },
  };
}

/** An item as a plain object; undefined: there is none. Throws `Rejection`. */
function imageOf(image: unknown, name: string, versionAttribute: string): Image | undefined {
  if (image === undefined || image === null) return undefined;
  if (!isRecord(image)) throw new Rejection(`not an item: ${name}`);
  const { [versionAttribute]: version, ...attributes } = image;
  const mark = isRecord(version) && isRecord(version.M) ? version.M.d : undefined;
  return { row: membersOf(attributes, name, 0), isDeleted: isRecord(mark) && mark.BOOL === true };
}

/** A DynamoDB attribute value, in JSON or as the SDK has it, as a plain value. Throws `Rejection`. */
export function fromAttribute(attribute: unknown, path: string, depth = 0): unknown {
  if (depth > depthMax) throw new Rejection(`nested over ${depthMax} levels: ${path}`);
  const entries = isRecord(attribute) ? Object.entries(attribute).filter(([, value]) => value !== undefined) : [];
  if (entries.length !== 1) throw new Rejection(`not an attribute value: ${path}`);
  const [type, value] = entries[0]!;
  const ofList = (each: (element: unknown) => unknown) => listOf(value, path).map(each);
  switch (type) {
    case "S":
      return textOf(value, path);
    case "N":
      return numberOf(value, path);
    case "B":
      return bytesOf(value, path);
    case "BOOL":
      if (typeof value !== "boolean") throw new Rejection(`not a boolean: ${path}`);
      return value;
    case "NULL":
      return null;
    case "L":
      return ofList((element) => fromAttribute(element, path, depth + 1));
    case "M":
      if (!isRecord(value)) throw new Rejection(`not a map: ${path}`);
      return membersOf(value, path, depth + 1);
    case "SS":
      return ofList((element) => textOf(element, path));
    case "NS":
      return ofList((element) => numberOf(element, path));
    case "BS":
      return ofList((element) => bytesOf(element, path));
    default:
      throw new Rejection(`not a type of DynamoDB's: ${type.slice(0, 20)}, ${path}`);
  }
}

function membersOf(attributes: Record<string, unknown>, path: string, depth: number): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "__proto__") throw new Rejection(`an attribute is called __proto__: ${path}`);
    plain[name] = fromAttribute(value, `${path}.${name}`, depth);
  }
  return plain;
}

function listOf(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Rejection(`not a list: ${path}`);
  return value;
}

function textOf(value: unknown, path: string): string {
  if (typeof value !== "string") throw new Rejection(`not text: ${path}`);
  return value;
}

/** Base64 in JSON. */
function bytesOf(value: unknown, path: string): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string" && /^[A-Za-z0-9+/]*={0,2}$/.test(value) && value.length % 4 === 0)
    return Uint8Array.from(Buffer.from(value, "base64"));
  throw new Rejection(`not bytes: ${path}`);
}

/** Up to 38 digits, which a number does not always hold. */
function numberOf(value: unknown, path: string): number | bigint {
  const text = textOf(value, path);
  const decimal = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text);
  if (decimal === null) throw new Rejection(`not a number: ${path}`);
  const number = Number(text);
  if (holdsDigits(number, text)) return number;
  if (/^-?\d+$/.test(text)) return BigInt(text);
  throw new Rejection(`a number does not hold ${text} exactly: ${path}`);
}
