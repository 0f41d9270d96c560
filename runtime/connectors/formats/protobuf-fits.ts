/**
 * Whether a value can be written as a message of Protocol Buffers, found out before it is.
 *
 * The library that writes takes what does not fit for something that does: text in a number's place for zero, a number that is too large for
 * the rest of it, the name of an enum's value that there is not for none. So values are looked through first.
 *
 * T1 What passes is read again as it was written: numbers within their field's range, each enum's value a name that there is or a number.
 * T2 Members that the message does not have are no part of it, as in the other formats; null and undefined are fields that are not there.
 *
 * Source: https://protobuf.dev/programming-guides/proto3/ (Scalar Value Types)
 */
import protobufjs, { type Field, type Type } from "protobufjs";

/** Throws an `Error` that says which field does not fit, and why. */
export function checkFits(type: Type, value: unknown, path = ""): void {
  if (typeof value !== "object" || value === null || Array.isArray(value) || isOfItsOwn(value))
    throw misfit(path, `an object is expected, as of ${type.fullName.slice(1)}`, value);
  const message = value as Record<string, unknown>;
  for (const field of type.fieldsArray)
    checkField(field, message[field.name], path === "" ? field.name : `${path}.${field.name}`);
  for (const { name, oneof } of type.oneofsArray) {
    const given = oneof.filter((member) => isThere(message[member]));
    if (given.length > 1) throw misfit(path, `only one of ${name} can be there`, given.join(", "));
  }
}

function checkField(field: Field, value: unknown, path: string): void {
  if (!isThere(value)) {
    if (field.required) throw misfit(path, "the field is required", value);
  } else if (field instanceof protobufjs.MapField) {
    if (typeof value !== "object" || Array.isArray(value) || isOfItsOwn(value as object))
      throw misfit(path, "an object is expected, as of a map", value);
    for (const [key, each] of Object.entries(value as object)) {
      if (!isKey(field.keyType, key)) throw misfit(path, `keys are of type ${field.keyType}`, key);
      checkOne(field, each, `${path}.${key}`);
    }
  } else if (field.repeated) {
    if (!Array.isArray(value)) throw misfit(path, "an array is expected", value);
    value.forEach((each, n) => checkOne(field, each, `${path}[${n}]`));
  } else checkOne(field, value, path);
}

function checkOne({ type, resolvedType }: Field, value: unknown, path: string): void {
  if (resolvedType instanceof protobufjs.Type) return checkFits(resolvedType, value, path);
  if (resolvedType instanceof protobufjs.Enum) {
    if (typeof value === "string" ? !Object.hasOwn(resolvedType.values, value) : !isWhole(value, -(2n ** 31n), 2n ** 31n))
      throw misfit(path, `not of the enum ${resolvedType.fullName.slice(1)}`, value);
  } else if (!isScalar(type, value)) throw misfit(path, `not of type ${type}`, value);
}

function isScalar(type: string, value: unknown): boolean {
  switch (type) {
    case "string":
      return typeof value === "string";
    case "bool":
      return typeof value === "boolean";
    case "bytes":
      return value instanceof Uint8Array || (typeof value === "string" && /^[A-Za-z0-9+/]*={0,2}$/.test(value));
    case "double":
    case "float":
      return typeof value === "number";
    default:
      return isNumberOf(type, value);
  }
}

/** 64-bit numbers may be written out, as JSON has them. */
function isNumberOf(type: string, value: unknown): boolean {
  const bits = type.endsWith("64") ? 64n : 32n;
  const isUnsigned = type === `uint${bits}` || type === `fixed${bits}`;
  const [from, to] = isUnsigned ? [0n, 2n ** bits] : [-(2n ** (bits - 1n)), 2n ** (bits - 1n)];
  if (bits === 32n) return typeof value === "number" && isWhole(value, from, to);
  return isWhole(typeof value === "string" && /^-?\d{1,20}$/.test(value) ? BigInt(value) : value, from, to);
}

function isKey(type: string, key: string): boolean {
  if (type === "string") return true;
  if (type === "bool") return key === "true" || key === "false";
  return /^-?\d+$/.test(key) && isNumberOf(type, type.endsWith("64") ? key : Number(key));
}

/** From `from` to below `to`, and exact. */
function isWhole(value: unknown, from: bigint, to: bigint): boolean {
  if (typeof value !== "bigint" && !Number.isSafeInteger(value)) return false;
  return (value as bigint | number) >= from && (value as bigint | number) < to;
}

function isThere(value: unknown): boolean {
  return value !== null && value !== undefined;
}

/** Of a kind that has no fields: it would be written as a message without any. */
function isOfItsOwn(value: object): boolean {
  return value instanceof Date || value instanceof Map || value instanceof Set || ArrayBuffer.isView(value);
}

function misfit(path: string, why: string, value: unknown): Error {
  const shown = typeof value === "object" && value !== null ? (Array.isArray(value) ? "an array" : "an object") : String(value);
  return new Error(`${path === "" ? "" : `${path}: `}${why}: ${shown.slice(0, 40)}`);
}
