/**
 * Values as attributes of DynamoDB, and what they take, by the rules of the developer guide ("Supported data types", "DynamoDB item sizes
 * and formats"). Pure: a row that cannot be stored is found out before its commit.
 */
import { MillraceError } from "../../base/errors.ts";

/** As the API has it; the types that are written here. */
export type Attribute =
  | { readonly S: string }
  | { readonly N: string }
  | { readonly B: Uint8Array }
  | { readonly BOOL: boolean }
  | { readonly NULL: true }
  | { readonly L: Attribute[] }
  | { readonly M: Record<string, Attribute> };

/** Any attribute, for its size. */
export interface AnyAttribute {
  readonly S?: string | undefined;
  readonly N?: string | undefined;
  readonly B?: Uint8Array | undefined;
  readonly BOOL?: boolean | undefined;
  readonly NULL?: boolean | undefined;
  readonly L?: readonly AnyAttribute[] | undefined;
  readonly M?: Readonly<Record<string, AnyAttribute>> | undefined;
}

/** What an item may take, keys and names included. */
export const itemBytesMax = 400 * 1024;

const depthMax = 32;
const digitsMax = 38;
const wholeDigitsMax = 126;
const magnitudeMax = 9.99e125;
const magnitudeMin = 1e-130;
/** Of a list or map, beside what is in it. */
const containerBytes = 3;

/** Members that are undefined are left out. Throws `invalid` for what DynamoDB has no type for; `path` is how messages call the value. */
export function toAttribute(value: unknown, path: string, depth = 0): Attribute {
  switch (typeof value) {
    case "string":
      return { S: value };
    case "boolean":
      return { BOOL: value };
    case "number":
    case "bigint":
      return { N: digitsOf(value, path) };
    case "object":
      return value === null ? { NULL: true } : objectAttribute(value, path, depth + 1);
    default:
      throw cannotStore(path, `a ${typeof value}`);
  }
}

function objectAttribute(value: object, path: string, depth: number): Attribute {
  if (depth > depthMax) throw cannotStore(path, `more than ${depthMax} levels`);
  if (value instanceof Uint8Array) return { B: value };
  if (Array.isArray(value)) return { L: value.map((element, n) => toAttribute(element, `${path}[${n}]`, depth)) };
  if (value instanceof Date || value instanceof Map || value instanceof Set)
    throw cannotStore(path, `a ${value.constructor.name}`);
  return { M: toAttributes(value, path, depth) };
}

/** The members of a plain object as attributes, each by its name. */
export function toAttributes(value: object, path: string, depth = 0): Record<string, Attribute> {
  const attributes: Record<string, Attribute> = {};
  for (const [name, member] of Object.entries(value)) {
    const memberPath = path === "" ? name : `${path}.${name}`;
    // It would not be a member of what is sent, but its prototype.
    if (name === "__proto__") throw cannotStore(memberPath, "a member of this name");
    if (member !== undefined) attributes[name] = toAttribute(member, memberPath, depth);
  }
  return attributes;
}

function digitsOf(value: number | bigint, path: string): string {
  if (typeof value === "bigint") {
    const digits = String(value).replace("-", "");
    if (digits.replace(/0+$/, "").length > digitsMax || digits.length > wholeDigitsMax)
      throw cannotStore(path, "a number of over 38 digits");
    return String(value);
  }
  if (!Number.isFinite(value)) throw cannotStore(path, String(value));
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude > magnitudeMax || magnitude < magnitudeMin)) throw cannotStore(path, String(value));
  return String(value === 0 ? 0 : value);
}

function cannotStore(path: string, what: string): MillraceError {
  return new MillraceError("invalid", `DynamoDB cannot store ${what}, convert it before the sink: ${path}`);
}

/** What attributes with their names take of an item. */
export function attributesBytes(attributes: Readonly<Record<string, AnyAttribute>>): number {
  return Object.entries(attributes).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + attributeBytes(value), 0);
}

/** Text in UTF-8, bytes as they are; numbers two digits a byte and one more; one byte for each element of a list or map. */
function attributeBytes({ S, B, N, L, M }: AnyAttribute): number {
  if (S !== undefined) return Buffer.byteLength(S);
  if (B !== undefined) return B.length;
  if (N !== undefined) return numberBytes(N);
  if (L !== undefined) return L.reduce((sum, element) => sum + 1 + attributeBytes(element), containerBytes);
  if (M !== undefined) return containerBytes + Object.keys(M).length + attributesBytes(M);
  return 1;
}

/** Pairs of digits counted from the point, without zeros at either end; one byte for the sign. */
function numberBytes(text: string): number {
  const [, sign, whole = "", fraction = "", exponent = "0"] = /^(-?)0*(\d*)\.?(\d*)(?:e([+-]?\d+))?$/i.exec(text) ?? [];
  const shifted = whole.length + Number(exponent);
  const digits = (whole + fraction).replace(/0+$/, "");
  const leading = /^0*/.exec(digits)![0].length;
  const significant = digits.length - leading;
  if (significant === 0) return 1;
  // The pair that holds the first digit has one alone where the digits before the point are odd in number.
  const startsInPair = Math.abs(shifted - leading) % 2;
  return 1 + Math.ceil((significant + startsInPair) / 2) + (sign === "-" ? 1 : 0);
}
