import type { Key } from "../api/key.ts";

/** A key as messages show it: text in quotes, a bigint with its n. */
export function keyText(key: Key): string {
  return typeof key === "bigint"
    ? `${key}n`
    : JSON.stringify(key, (_name, part: unknown) => (typeof part === "bigint" ? `${part}n` : part));
}
