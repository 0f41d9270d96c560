/**
 * Whether bytes are a value of an Avro type, found out without making the value.
 *
 * The library that decodes believes the counts that stand in the bytes: a record of ten bytes can say that it holds billions of items, and
 * takes as long and as much memory. So records are looked through first, in time and memory bounded by their length.
 *
 * V1 What passes has all the bytes that its counts and lengths ask for, and none more.
 * V2 Items that take no bytes (nulls, empty records) are bounded, and so is the depth.
 *
 * Source: https://avro.apache.org/docs/1.12.0/specification/ (Binary Encoding)
 */
import type { Type, types } from "avsc";
import { Rejection } from "./format.ts";

const emptyItemsMax = 65_536;
const depthMax = 200;
const forbiddenKey = "__proto__";

/** Where the looking through is. */
class Place {
  readonly bytes: Buffer;
  at = 0;
  items: number;
  depth = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.items = bytes.length + emptyItemsMax;
  }

  skip(length: number): void {
    // Written so that NaN fails too.
    if (!(length >= 0 && length <= this.bytes.length - this.at)) throw new Rejection("not a record of its schema: it is cut off");
    this.at += length;
  }

  /** Exact up to 2^53, which is more than any count that passes. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.bytes[this.at];
      this.skip(1);
      value += (byte! & 0x7f) * 2 ** shift;
      if (byte! < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
    throw new Rejection("not a record of its schema: a number has more than ten bytes");
  }

  text(): string {
    const length = this.varint();
    const from = this.at;
    this.skip(length);
    return this.bytes.toString("latin1", from, this.at);
  }
}

type Skip = (place: Place) => void;

/** Throws `Rejection` for bytes that are no value of the type, and for such as would take too much to decode. */
export function avroBounds(type: Type): (bytes: Buffer) => void {
  const skip = skipOf(type, new Map());
  return (bytes) => {
    const place = new Place(bytes);
    skip(place);
    if (place.at < bytes.length)
      throw new Rejection(`not a record of its schema: ${bytes.length - place.at} bytes are left over`);
  };
}

function skipOf(type: Type, known: Map<Type, Skip>): Skip {
  const before = known.get(type);
  if (before !== undefined) return before;
  const made: { skip?: Skip } = {};
  // A type may hold itself.
  known.set(type, (place) => made.skip!(place));
  return (made.skip = makeSkip(type, known));
}

function makeSkip(type: Type, known: Map<Type, Skip>): Skip {
  const [kind, subkind] = type.typeName.split(":") as [string, string | undefined];
  switch (kind) {
    case "null":
      return () => {};
    case "boolean":
      return skipBoolean;
    case "int":
      return skipInt;
    case "long":
    case "abstract":
      return (place) => void place.varint();
    case "float":
      return (place) => place.skip(4);
    case "double":
      return (place) => place.skip(8);
    case "bytes":
    case "string":
      return (place) => place.skip(place.varint());
    case "fixed":
      return (place) => place.skip((type as types.FixedType).size);
    case "enum":
      return skipChoice((type as types.EnumType).symbols.map(() => () => {}));
    case "union":
      return skipChoice((type as types.UnwrappedUnionType).types.map((branch) => skipOf(branch, known)));
    case "array":
      return skipBlocks(skipOf((type as types.ArrayType).itemsType, known));
    case "map":
      return skipBlocks(skipEntry(skipOf((type as types.MapType).valuesType, known)));
    case "record":
    case "error":
      return skipFields((type as types.RecordType).fields.map((field) => skipOf(field.type, known)));
    case "logical":
      return skipOf((type as types.LogicalType).underlyingType, known);
    default:
      throw new Rejection(`a type of Avro that is not known: ${kind}${subkind === undefined ? "" : `:${subkind}`}`);
  }
}

function skipBoolean(place: Place): void {
  const byte = place.bytes[place.at];
  place.skip(1);
  if (byte! > 1) throw new Rejection(`not a record of its schema: a boolean is ${byte}`);
}

/** The library takes longer ones too, and then cannot write them. */
function skipInt(place: Place): void {
  const value = place.varint();
  if (value !== (value | 0)) throw new Rejection(`not a record of its schema: an int has more than 32 bits: ${value}`);
}

/** A whole number and what it stands for. */
function skipChoice(choices: readonly Skip[]): Skip {
  return (place) => {
    const index = place.varint();
    const choice = choices[index];
    if (choice === undefined) throw new Rejection(`not a record of its schema: it names choice ${index} of ${choices.length}`);
    choice(place);
  };
}

function skipFields(fields: readonly Skip[]): Skip {
  return (place) => {
    if (++place.depth > depthMax) throw new Rejection(`nested over ${depthMax} levels`);
    for (const skip of fields) skip(place);
    place.depth--;
  };
}

function skipEntry(skipValue: Skip): Skip {
  return (place) => {
    if (place.text() === forbiddenKey) throw new Rejection(`a map has the key ${forbiddenKey}`);
    skipValue(place);
  };
}

/** Blocks of items, each with their number; below zero, with their bytes as well. A block of none is the last. */
function skipBlocks(skip: Skip): Skip {
  return (place) => {
    if (++place.depth > depthMax) throw new Rejection(`nested over ${depthMax} levels`);
    for (let count = place.varint(); count !== 0; count = place.varint()) {
      if (count < 0) place.varint();
      const items = Math.abs(count);
      place.items -= items;
      if (place.items < 0) throw new Rejection(`not a record of its schema: it says that it holds ${items} items`);
      for (let n = 0; n < items; n++) skip(place);
    }
    place.depth--;
  };
}
