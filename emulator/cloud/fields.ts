/** Reads plain JSON field by field; whatever is wrong is told with its path and its value. */
import { MillraceError } from "../../runtime/base/errors.ts";

/** A value, and the path at which it stands. */
export class Field {
  readonly value: unknown;
  readonly path: string;

  constructor(value: unknown, path: string) {
    this.value = value;
    this.path = path;
  }

  /** Throws `invalid`: `path` must be `what`. */
  refuse(what: string): never {
    throw new MillraceError("invalid", `${this.path} must be ${what}: ${JSON.stringify(this.value) ?? "absent"}`);
  }

  text(what = "a text", pattern = /[^]/): string {
    return typeof this.value === "string" && pattern.test(this.value) ? this.value : this.refuse(what);
  }

  whole(from: number, to: number): number {
    const { value } = this;
    return Number.isInteger(value) && Number(value) >= from && Number(value) <= to
      ? Number(value)
      : this.refuse(`a whole number from ${from} to ${to}`);
  }

  flag(): boolean {
    return typeof this.value === "boolean" ? this.value : this.refuse("true or false");
  }

  oneOf<T extends string>(...allowed: readonly T[]): T {
    return allowed.find((one) => one === this.value) ?? this.refuse(`one of ${allowed.join(", ")}`);
  }

  list(): Field[] {
    if (!Array.isArray(this.value)) this.refuse("a list");
    return (this.value as unknown[]).map((value, index) => new Field(value, `${this.path}[${index}]`));
  }

  /** Every entry, by its key. */
  entries(): [string, Field][] {
    return Object.entries(this.#record()).map(([key, value]) => [key, new Field(value, `${this.path}.${key}`)]);
  }

  /** The fields that are there; throws for one that is not among `known`. */
  object<K extends string>(...known: readonly K[]): { readonly [name in K]?: Field } {
    const record = this.#record();
    const odd = Object.keys(record).find((key) => !(known as readonly string[]).includes(key));
    if (odd !== undefined) {
      throw new MillraceError("invalid", `${this.path} has no field of this name, but ${known.join(", ")}: ${odd}`);
    }
    return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, new Field(value, `${this.path}.${key}`)])) as {
      [name in K]?: Field;
    };
  }

  /** The field of this name in `object`; throws when it is absent. */
  required<K extends string>(object: { readonly [name in K]?: Field | undefined }, name: K): Field {
    return object[name] ?? new Field(undefined, `${this.path}.${name}`);
  }

  #record(): Record<string, unknown> {
    if (typeof this.value !== "object" || this.value === null || Array.isArray(this.value)) this.refuse("an object");
    return this.value as Record<string, unknown>;
  }
}

/** What is there, without what is undefined: optional fields stay absent. */
export function present<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
