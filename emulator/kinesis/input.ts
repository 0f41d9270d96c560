/**
 * The members of a request, checked as they are taken: their types, whether they are there, their lengths and bounds.
 *
 * Blobs and times come as the wire has them (base64 text or bytes; seconds or a Date) and are handed out as bytes and epoch ms, so
 * that no operation knows which protocol it was called through.
 */
import { constraintError, KinesisError } from "./kinesis-error.ts";

export interface TextConstraint {
  readonly min?: number;
  readonly max?: number;
  readonly pattern?: RegExp;
  readonly oneOf?: readonly string[];
}

export interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

export class Input {
  readonly #members: Readonly<Record<string, unknown>>;

  /** Throws SerializationException for anything but an object. */
  constructor(members: unknown) {
    if (typeof members !== "object" || members === null || Array.isArray(members)) throw malformed("the request", "a structure");
    this.#members = members as Record<string, unknown>;
  }

  has(name: string): boolean {
    return (this.#members[name] ?? undefined) !== undefined;
  }

  text(name: string, constraint: TextConstraint = {}): string | undefined {
    const value = this.#members[name] ?? undefined;
    if (value === undefined) return undefined;
    if (typeof value !== "string") throw malformed(name, "text");
    checkText(name, value, constraint);
    return value;
  }

  requiredText(name: string, constraint: TextConstraint = {}): string {
    return this.text(name, constraint) ?? missing(name);
  }

  integer(name: string, { min = -Infinity, max = Infinity }: Bounds = {}): number | undefined {
    const value = this.#members[name] ?? undefined;
    if (value === undefined) return undefined;
    if (typeof value !== "number" || !Number.isInteger(value)) throw malformed(name, "a whole number");
    if (value < min) throw constraintError(name, value, `have value greater than or equal to ${min}`);
    if (value > max) throw constraintError(name, value, `have value less than or equal to ${max}`);
    return value;
  }

  requiredInteger(name: string, bounds: Bounds = {}): number {
    return this.integer(name, bounds) ?? missing(name);
  }

  flag(name: string): boolean {
    const value = this.#members[name] ?? false;
    if (typeof value !== "boolean") throw malformed(name, "true or false");
    return value;
  }

  requiredBytes(name: string): Uint8Array {
    const value = this.#members[name] ?? missing(name);
    if (typeof value === "string") return Buffer.from(value, "base64");
    if (value instanceof Uint8Array) return value;
    throw malformed(name, "a blob");
  }

  /** Epoch ms. */
  time(name: string): number | undefined {
    const value = this.#members[name] ?? undefined;
    if (value === undefined) return undefined;
    if (value instanceof Date) return value.getTime();
    if (typeof value !== "number") throw malformed(name, "a time");
    return Math.round(value * 1000);
  }

  member(name: string): Input | undefined {
    return this.has(name) ? new Input(this.#members[name]) : undefined;
  }

  /** A list of structures. */
  requiredList(name: string, { min = 0, max = Infinity }: Bounds = {}): readonly Input[] {
    return this.#list(name, min, max).map((entry) => new Input(entry));
  }

  requiredTexts(name: string, { min = 0, max = Infinity }: Bounds = {}): readonly string[] {
    return this.#list(name, min, max).map((entry) => (typeof entry === "string" ? entry : fail(malformed(name, "text"))));
  }

  /** Texts by name. */
  texts(name: string): Readonly<Record<string, string>> | undefined {
    if (!this.has(name)) return undefined;
    const map = new Input(this.#members[name]);
    return Object.fromEntries(Object.keys(map.#members).map((key) => [key, map.requiredText(key)]));
  }

  #list(name: string, min: number, max: number): readonly unknown[] {
    const value = this.#members[name] ?? missing(name);
    if (!Array.isArray(value)) throw malformed(name, "a list");
    if (value.length < min) throw constraintError(name, "[]", `have length greater than or equal to ${min}`);
    if (value.length > max) throw constraintError(name, "[...]", `have length less than or equal to ${max}`);
    return value;
  }
}

function checkText(name: string, value: string, { min = 0, max = Infinity, pattern, oneOf }: TextConstraint): void {
  if (value.length < min) throw constraintError(name, value, `have length greater than or equal to ${min}`);
  if (value.length > max) throw constraintError(name, value, `have length less than or equal to ${max}`);
  if (pattern !== undefined && !pattern.test(value)) {
    throw constraintError(name, value, `satisfy regular expression pattern: ${pattern.source}`);
  }
  if (oneOf !== undefined && !oneOf.includes(value)) {
    throw constraintError(name, value, `satisfy enum value set: [${oneOf.join(", ")}]`);
  }
}

function missing(name: string): never {
  throw constraintError(name, undefined, "not be null");
}

function malformed(name: string, expected: string): KinesisError {
  return new KinesisError("SerializationException", `${name} is not ${expected}`);
}

function fail(error: Error): never {
  throw error;
}
