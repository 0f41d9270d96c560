import { type Encoded, Rejection } from "./format.ts";

/** `decode` of a format of many, for who can take one value alone. */
export function onlyOne<T>(decodeAll: (encoded: Encoded) => readonly T[]): (encoded: Encoded) => T {
  return (encoded) => {
    const values = decodeAll(encoded);
    if (values.length === 1) return values[0] as T;
    throw new Rejection(`the record holds ${values.length} values`);
  };
}
