/**
 * The words of marble diagrams: values and times as text without spaces, and back.
 *
 * - A time is milliseconds, or has a unit, or is a date: `300`, `1.5s`, `2m`, `1h`, `1d`, `-3s`, `2024-03-31T02:00+01:00`.
 * - A value is a number, a time (its milliseconds), `true`, `false`, `null`, `undefined`, text (in JSON's quotes where it has other
 *   characters than names have, or could be something else), a list `[a,2]`, or an object `{page:/a,n:2}`.
 * - `k@t` is the object `{ key: k, at: t }` and `k:5@t` has `n: 5` beside it. `k[s,e)` is the list `[k, s, e]`, and `k[s,e)=v` the list
 *   `[k, s, e, v]`: what is known of a window.
 *
 * W1 Whatever `wordOf` writes, `WordReader` reads as the same value.
 */
import { isDeepStrictEqual } from "node:util";
import { MillraceError } from "../base/errors.ts";

/** A word that is none; `at` is the place in it. */
export class WordError extends Error {
  readonly at: number;

  constructor(problem: string, at: number) {
    super(problem);
    this.at = at;
  }
}

/** What a diagram's names stand for, beside themselves. */
export interface WordMeanings {
  /** Values by name. */
  readonly values?: Readonly<Record<string, unknown>> | undefined;
  /** The value of `key@at` and `key:n@at`. */
  readonly record: (key: unknown, at: number, n: unknown) => unknown;
}

/** The value of `key@at` where nothing else is said. */
export function plainRecord(key: unknown, at: number, n: unknown): unknown {
  return n === undefined ? { key, at } : { key, at, n };
}

const units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;
const date = /\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)/y;
const amount = /(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(ms|s|m|h|d)?(?![^\s"()[\]{},:=@|])/y;
const name = /[^\s"()[\]{},:=@|]+/y;
const quoted = /"(?:[^"\\]|\\.)*"/y;
const literals: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["true", true],
  ["false", false],
  ["null", null],
  ["undefined", undefined],
  ["Infinity", Infinity],
  ["-Infinity", -Infinity],
  ["NaN", NaN],
]);

/** A record as its word says it. */
export interface RecordWord {
  readonly value: unknown;
  readonly at: number;
}

/** Reads one word from left to right. Throws a `WordError` where it goes wrong. */
export class WordReader {
  private readonly text: string;
  private readonly meanings: WordMeanings;
  private at = 0;

  constructor(text: string, meanings: WordMeanings) {
    this.text = text;
    this.meanings = meanings;
  }

  /** The whole word as a time. */
  time(what: string): number {
    const time = this.readTime(what);
    this.expectEnd();
    return time;
  }

  /** After a sign that the word begins with. */
  timeAfter(sign: string, what: string): number {
    this.expect(sign);
    return this.time(what);
  }

  /** The whole word as a value. */
  value(): unknown {
    const value = this.readValue();
    this.expectEnd();
    return value;
  }

  /** The whole word as a record of a source: `key@t`, `key:n@t`, or a value of any other kind before `@t`. */
  record(): RecordWord {
    const isPart = !this.sees("[") && !this.sees("{");
    const named = this.readNamed();
    const value = named === undefined ? (isPart ? this.readAtom() : this.readValue()) : named.value;
    const n = isPart && named === undefined ? this.readNumbered() : undefined;
    if (!this.sees("@")) throw this.error("is no record: write key@time or key:value@time");
    this.at++;
    const at = this.readTime("time");
    this.expectEnd();
    return { value: isPart && named === undefined ? this.meanings.record(value, at, n) : value, at };
  }

  private readValue(): unknown {
    if (this.sees("[")) return this.readList();
    if (this.sees("{")) return this.readObject();
    const named = this.readNamed();
    if (named !== undefined && !this.sees("[")) {
      if (!this.sees("@")) return named.value;
      this.at++;
      this.readTime("time");
      return named.value;
    }
    const part = named?.name ?? this.readAtom();
    if (this.sees("[")) return this.readWindow(part);
    const start = this.at;
    const n = this.readNumbered();
    if (this.sees("@")) {
      this.at++;
      return this.meanings.record(part, this.readTime("time"), n);
    }
    this.at = start;
    return part;
  }

  /** The `:5` of `k:5@t`. */
  private readNumbered(): unknown {
    if (!this.sees(":")) return undefined;
    this.at++;
    return this.sees("[") ? this.readList() : this.sees("{") ? this.readObject() : this.readAtom();
  }

  private readList(): unknown[] {
    return this.readMany("[", "]", () => this.readValue());
  }

  private readObject(): unknown {
    return Object.fromEntries(
      this.readMany("{", "}", () => {
        const key = this.match(quoted) === undefined ? this.take(name) : (JSON.parse(this.take(quoted) as string) as string);
        if (key === undefined) throw this.error("lacks a member's name");
        this.expect(":");
        return [key, this.readValue()] as const;
      }),
    );
  }

  private readMany<T>(open: string, close: string, read: () => T): T[] {
    this.expect(open);
    const items: T[] = [];
    while (!this.sees(close)) {
      if (items.length > 0) this.expect(",");
      items.push(read());
    }
    this.at++;
    return items;
  }

  private readWindow(key: unknown): unknown[] {
    this.expect("[");
    const start = this.readTime("start");
    this.expect(",");
    const end = this.readTime("end");
    this.expect(")");
    if (!this.sees("=")) return [key, start, end];
    this.at++;
    return [key, start, end, this.readValue()];
  }

  /** A name that the table knows. */
  private readNamed(): { readonly name: string; readonly value: unknown } | undefined {
    const { values } = this.meanings;
    const found = values && this.match(name);
    if (found === undefined || !Object.hasOwn(values as object, found)) return undefined;
    this.at += found.length;
    return { name: found, value: values?.[found] };
  }

  /** A number, a time, a literal, or text. */
  private readAtom(): unknown {
    const text = this.take(quoted);
    if (text !== undefined) return this.unquoted(text);
    const time = this.readOptionalTime();
    if (time !== undefined) return time;
    const word = this.take(name);
    if (word === undefined) throw this.error("lacks a value");
    return literals.has(word) ? literals.get(word) : word;
  }

  private unquoted(text: string): string {
    try {
      return JSON.parse(text) as string;
    } catch {
      throw this.error("has quotes around what is no JSON", this.at - text.length);
    }
  }

  private readTime(what: string): number {
    const time = this.readOptionalTime();
    if (time === undefined) throw this.error(`has no ${what}: write ms, or a number with ms, s, m, h or d, or 2024-03-31T00:00Z`);
    return time;
  }

  private readOptionalTime(): number | undefined {
    const day = this.take(date);
    if (day !== undefined) {
      const at = Date.parse(day);
      if (Number.isNaN(at)) throw this.error("has a date that does not exist", this.at - day.length);
      return at;
    }
    amount.lastIndex = this.at;
    const found = amount.exec(this.text);
    if (found === null) return undefined;
    this.at += found[0].length;
    const [, number, unit] = found;
    if (unit === undefined) return Number(number);
    // 1.001 s is 1,001 ms, and so it is written, whatever floating point makes of it.
    return Math.round(Number(number) * units[unit as keyof typeof units] * 1_000) / 1_000;
  }

  private sees(sign: string): boolean {
    return this.text.startsWith(sign, this.at);
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    return pattern.exec(this.text)?.[0];
  }

  private take(pattern: RegExp): string | undefined {
    const found = this.match(pattern);
    if (found !== undefined) this.at += found.length;
    return found;
  }

  private expect(sign: string): void {
    if (!this.sees(sign)) throw this.error(`lacks ${sign}`);
    this.at += sign.length;
  }

  private expectEnd(): void {
    if (this.at < this.text.length) throw this.error("goes on where it should end");
  }

  private error(problem: string, at = this.at): WordError {
    return new WordError(problem, at);
  }
}

/** The word of a time, in the largest unit that holds it whole. Throws `invalid` for what is no time. */
export function timeWord(ms: number): string {
  if (!Number.isFinite(ms)) throw noWord(ms);
  const [unit, length] = Object.entries(units).find(([, length]) => ms !== 0 && ms % length === 0) ?? ["ms", 1];
  return unit === "ms" ? String(ms) : `${ms / length}${unit}`;
}

/** The word of a value: a name of the table where it has one. Throws `invalid` for what is no plain data. */
export function wordOf(value: unknown, meanings: WordMeanings): string {
  const named = nameOf(value, meanings);
  if (named !== undefined) return named;
  if (Array.isArray(value)) return windowWord(value, meanings) ?? listWord(value, meanings);
  if (typeof value !== "object" || value === null) return atomWord(value, meanings);
  return eventWord(value, meanings) ?? objectWord(value, meanings);
}

/** The word of a record of a source. Throws `invalid` for what is no plain data. */
export function recordWord({ value, at }: RecordWord, meanings: WordMeanings): string {
  const named = nameOf(value, meanings);
  if (named !== undefined) return `${named}@${timeWord(at)}`;
  if (Array.isArray(value)) return `${listWord(value, meanings)}@${timeWord(at)}`;
  if (typeof value !== "object" || value === null) throw noWord(value);
  const event = (value as { readonly at?: unknown }).at === at ? eventWord(value, meanings) : undefined;
  return event ?? `${objectWord(value, meanings)}@${timeWord(at)}`;
}

function nameOf(value: unknown, { values }: WordMeanings): string | undefined {
  return Object.entries(values ?? {}).find(([, meant]) => isDeepStrictEqual(meant, value))?.[0];
}

/** Three or four of a kind are not taken for a window: it is of some length, and of a key that is text or null. */
function windowWord(value: readonly unknown[], meanings: WordMeanings): string | undefined {
  const [key, start, end, result] = value;
  if (value.length < 3 || value.length > 4 || (typeof key !== "string" && key !== null)) return undefined;
  if (!isTime(start) || !isTime(end) || end - start < 10) return undefined;
  const window = `${atomWord(key, meanings)}[${timeWord(start)},${timeWord(end)})`;
  return value.length === 3 ? window : `${window}=${wordOf(result, meanings)}`;
}

function listWord(value: readonly unknown[], meanings: WordMeanings): string {
  return `[${value.map((item) => wordOf(item, meanings)).join(",")}]`;
}

function eventWord(value: object, meanings: WordMeanings): string | undefined {
  const { key, at, n } = value as { readonly [name: string]: unknown };
  const shape = Object.keys(value).join();
  const isEvent = shape === "key,at" || (shape === "key,at,n" && n !== undefined && isAtom(n));
  if (meanings.record !== plainRecord || !isEvent || !isAtom(key) || !isTime(at)) return undefined;
  return `${atomWord(key, meanings)}${n === undefined ? "" : `:${atomWord(n)}`}@${timeWord(at)}`;
}

function objectWord(value: object, meanings: WordMeanings): string {
  if (Object.getPrototypeOf(value) !== Object.prototype) throw noWord(value);
  const members = Object.entries(value).map(([name, item]) => `${isName(name) ? name : quote(name)}:${wordOf(item, meanings)}`);
  return `{${members.join(",")}}`;
}

function isAtom(value: unknown): boolean {
  return typeof value !== "object" || value === null;
}

function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value) && !Object.is(value, -0);
}

function atomWord(value: unknown, { values }: Pick<WordMeanings, "values"> = {}): string {
  if (typeof value === "string") return isPlain(value) && !Object.hasOwn(values ?? {}, value) ? value : quote(value);
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (typeof value === "boolean" || value === null || value === undefined) return String(value);
  throw noWord(value);
}

/** Text that can be read as nothing else. */
export function isPlain(text: string): boolean {
  if (!isName(text) || literals.has(text)) return false;
  amount.lastIndex = date.lastIndex = 0;
  return !amount.test(text) && !date.test(text);
}

function isName(text: string): boolean {
  name.lastIndex = 0;
  return name.exec(text)?.[0] === text;
}

function quote(text: string): string {
  return JSON.stringify(text);
}

function noWord(value: unknown): MillraceError {
  return new MillraceError("invalid", `a marble diagram has no word for this: ${String(value)}`);
}
