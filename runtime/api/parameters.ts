/** Values of a job that are set at deployment or on the command line (Flink's application properties). */
import { invalid } from "./invalid.ts";
import type { KeyPart } from "./key.ts";

/** By name: a value, or its text as it stands on a command line. */
export type ParameterValues = Readonly<Record<string, KeyPart>>;

/** What `param` gives for a fallback of type T: a literal's general type. */
export type ParameterOf<T extends KeyPart> = T extends string
  ? string
  : T extends number
    ? number
    : T extends bigint
      ? bigint
      : boolean;

/** The value given for a parameter as the type of its fallback; the fallback when none is given. Throws `invalid` for text that is no such value. */
export function resolveParameter<T extends KeyPart>(name: string, given: KeyPart | undefined, fallback: T): ParameterOf<T> {
  const resolved = given === undefined ? fallback : typeof given === typeof fallback ? given : parse(String(given), fallback);
  if (resolved !== undefined) return resolved as ParameterOf<T>;
  throw invalid(`a parameter must be a ${typeof fallback}`, { parameter: name, value: given });
}

function parse(text: string, like: KeyPart): KeyPart | undefined {
  switch (typeof like) {
    case "string":
      return text;
    case "number":
      return text.trim() === "" || Number.isNaN(Number(text)) ? undefined : Number(text);
    case "bigint":
      return /^-?\d+$/.test(text) ? BigInt(text) : undefined;
    case "boolean":
      return text === "true" ? true : text === "false" ? false : undefined;
  }
}
