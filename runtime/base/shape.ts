/**
 * The form that plain data read from outside must have: bytes can be whole, decode to a value, and still not be what was expected there.
 *
 * S1 A form says what is wrong as a value, and makes nothing where nothing is.
 */
import { corrupt } from "./byte-reader.ts";
import { shownValue } from "./errors.ts";

/** What is wrong with a value, and where in it; undefined: nothing. */
export type Shape = (value: unknown) => Problem | undefined;

/** `at`: the way from the whole to the part, e.g. ".tasks[2].range". */
export interface Problem {
  readonly at: string;
  readonly what: string;
}

/** Throws `corrupt` for a value that is not of the form; `what` is how the message calls it. */
export function checkShape(what: string, value: unknown, shape: Shape): void {
  const problem = shape(value);
  if (problem === undefined) return;
  throw corrupt(`${what} is not of its form: ${problem.at === "" ? "it" : problem.at} is ${problem.what}`);
}

function shape(fits: (value: unknown) => boolean): Shape {
  return (value) => (fits(value) ? undefined : { at: "", what: shownValue(value).slice(0, 80) });
}

export const anything: Shape = () => undefined;
export const text = shape((value) => typeof value === "string");
export const number = shape((value) => typeof value === "number");
/** A number, and not NaN. */
export const time = shape((value) => typeof value === "number" && !Number.isNaN(value));
/** A whole number from 0 on. */
export const count = shape((value) => Number.isSafeInteger(value) && (value as number) >= 0);
export const flag = shape((value) => typeof value === "boolean");
export const big = shape((value) => typeof value === "bigint");
export const bytes = shape((value) => value instanceof Uint8Array);

export function oneOf(...values: readonly unknown[]): Shape {
  return shape((value) => values.includes(value));
}

export function optional(inner: Shape): Shape {
  return (value) => (value === undefined ? undefined : inner(value));
}

export function listOf(inner: Shape): Shape {
  return (value) => {
    if (!Array.isArray(value)) return anyList(value);
    for (let n = 0; n < value.length; n++) {
      const problem = inner(value[n]);
      if (problem !== undefined) return { ...problem, at: `[${n}]${problem.at}` };
    }
    return undefined;
  };
}
const anyList = shape(Array.isArray);

/** A `Map` with text for keys. */
export function mapOf(inner: Shape): Shape {
  return (value) => {
    if (!(value instanceof Map)) return anyMap(value);
    for (const [key, item] of value) {
      const problem = text(key) ?? inner(item);
      if (problem !== undefined) return { ...problem, at: `.get(${shownValue(key)})${problem.at}` };
    }
    return undefined;
  };
}
const anyMap = shape((value) => value instanceof Map);

/** An object with at least these members. */
export function object(members: Readonly<Record<string, Shape>>): Shape {
  const list = Object.entries(members);
  return (value) => {
    const problem = anyObject(value);
    if (problem !== undefined) return problem;
    for (const [name, inner] of list) {
      const wrong = inner((value as Record<string, unknown>)[name]);
      if (wrong !== undefined) return { ...wrong, at: `.${name}${wrong.at}` };
    }
    return undefined;
  };
}
const anyObject = shape(
  (value) => typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype,
);

/** A list of this length, each place of a form of its own. */
export function tuple(...inner: readonly Shape[]): Shape {
  return (value) => {
    if (!Array.isArray(value) || value.length !== inner.length) return { at: "", what: `not ${inner.length} values` };
    for (const [n, each] of inner.entries()) {
      const problem = each(value[n]);
      if (problem !== undefined) return { ...problem, at: `[${n}]${problem.at}` };
    }
    return undefined;
  };
}

/** An object whose member `tag` says which of these forms it has. */
export function tagged(tag: string, forms: Readonly<Record<string, Shape>>): Shape {
  return (value) => {
    const kind = anyObject(value) === undefined ? (value as Record<string, unknown>)[tag] : undefined;
    const form = typeof kind === "string" && Object.hasOwn(forms, kind) ? forms[kind] : undefined;
    return form === undefined ? { at: "", what: `none of ${Object.keys(forms).join(", ")}` } : form(value);
  };
}
