/**
 * JSON whose integers may be longer than a number holds exactly: ids of 64 bits are the common case, and two of them that are rounded are
 * one key.
 *
 * Most text has none, which is found out without looking at each character; only text that may have one is parsed the slow way.
 */
import { holdsDigits } from "./decimal-digits.ts";
import { Rejection } from "./format.ts";

/** The shortest integer that a number may not hold has 16 digits. */
const digitsLeast = 16;

/** Characters that stand before and behind a number in JSON; -1: none does. */
const before = new Set([-1, ...codesOf(":[, \t\r\n")]);
const behind = new Set([-1, ...codesOf(",]} \t\r\n")]);
const minus = 0x2d;

function codesOf(characters: string): readonly number[] {
  return [...characters].map((character) => character.charCodeAt(0));
}

/** Whether something in the text looks like an integer of 16 digits or more. It may stand in a string all the same. */
export function mayHaveLongIntegers(text: string): boolean {
  for (let at = digitsLeast - 1; at < text.length; at += digitsLeast) {
    if (!isDigit(text, at)) continue;
    let [from, to] = [at, at + 1];
    while (isDigit(text, from - 1)) from--;
    while (isDigit(text, to)) to++;
    if (to - from >= digitsLeast && behind.has(codeAt(text, to)) && before.has(codeAt(text, from - 1, minus))) return true;
    // The loop goes on with the last place that a run behind this one could have passed over.
    at = to - 1;
  }
  return false;
}

/** The character's code; of `passed` that of the one before it. */
function codeAt(text: string, at: number, passed?: number): number {
  if (at < 0 || at >= text.length) return -1;
  const code = text.charCodeAt(at);
  return code === passed ? codeAt(text, at - 1) : code;
}

function isDigit(text: string, at: number): boolean {
  const code = at < 0 ? 0 : text.charCodeAt(at);
  return code >= 0x30 && code <= 0x39;
}

/** What an integer becomes that a number does not hold exactly. */
export type Longs = "number" | "bigint";

/**
 * The value of the text. An integer that a number does not hold (decimal-digits.ts) is a `bigint`, or the record is rejected, as one beyond all numbers is. Throws `SyntaxError` for
 * what is no JSON.
 */
export function parseExactly(text: string, longs: Longs): unknown {
  const exact = (name: string, value: unknown, { source }: { readonly source?: string }): unknown => {
    if (typeof value !== "number" || Number.isSafeInteger(value) || source === undefined || !/^-?\d+$/.test(source)) return value;
    // What is not finite has over 308 digits, and may have a million.
    if (Number.isFinite(value)) {
      if (holdsDigits(value, source)) return value;
      if (longs === "bigint") return BigInt(source);
    }
    throw new Rejection(
      `a number does not hold ${shortened(source)} exactly${longs === "number" ? ', read longs as "bigint"' : ""}: ${shortened(name)}`,
    );
  };
  // TypeScript's library does not know of the third argument.
  return JSON.parse(text, exact as (this: unknown, name: string, value: unknown) => unknown);
}

function shortened(text: string): string {
  return text.length <= 40 ? text : `${text.slice(0, 40)}…`;
}

/** JSON in which a `bigint` is an integer. Throws `TypeError`. */
export function stringifyExactly(value: unknown): string | undefined {
  return JSON.stringify(value, (_name, each: unknown) => (typeof each === "bigint" ? rawJson(String(each)) : each));
}

const { rawJSON: rawJson } = JSON as unknown as { readonly rawJSON: (text: string) => unknown };
