/**
 * Vectors: what Flink's own test suite says of its semantics, as data (format stream-vectors/1). Read and checked here.
 *
 * V1 A file is taken whole or refused: a vector that cannot be read would otherwise be passed over in silence.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { MillraceError, messageOf } from "../../runtime/base/errors.ts";
import { maxWatermark, minWatermark } from "../../runtime/time/watermark.ts";

export const areas = ["windows", "watermarks", "process-timers", "ttl", "joins", "sql", "cep"] as const;
export type Area = (typeof areas)[number];

/** One case. Its parts differ from driver to driver, so the drivers take them as they come. */
export interface Vector {
  readonly id: string;
  readonly area: Area;
  readonly features: readonly string[];
  readonly config: { readonly driver: string; readonly [name: string]: any };
  readonly input: readonly any[];
  readonly expected: any;
}

/** What a vector expects and what came out instead. */
export interface Failure {
  readonly expected: unknown;
  readonly actual: unknown;
}

/** Runs one vector; undefined: it passed. What it throws counts as a failure too. */
export type RunVector = (vector: Vector) => Failure | undefined | Promise<Failure | undefined>;

const format = "stream-vectors/1";

/** All vectors of a directory's `*.json`, in the order of the files' names. Throws `invalid` for what cannot be read. */
export function readVectors(directory: string): Vector[] {
  let names: string[];
  try {
    names = readdirSync(directory).filter((name) => name.endsWith(".json"));
  } catch (error) {
    throw new MillraceError("invalid", `the directory of vectors cannot be read: ${directory}: ${messageOf(error)}`);
  }
  const vectors = names.sort().flatMap((name) => readVectorFile(join(directory, name)));
  if (vectors.length === 0) throw new MillraceError("invalid", `no vectors (*.json of ${format}) in ${directory}`);
  return vectors;
}

/** The vectors of one file. Throws `invalid` unless it is a whole file of this format. */
export function readVectorFile(path: string): Vector[] {
  const broken = (why: string): MillraceError => new MillraceError("invalid", `not a file of ${format}, ${why}: ${path}`);
  let file: { format?: unknown; vectors?: unknown };
  try {
    file = JSON.parse(readFileSync(path, "utf8")) as typeof file;
  } catch (error) {
    throw broken(messageOf(error));
  }
  if (file === null || file.format !== format) throw broken(`its format is ${String(file?.format)}`);
  if (!Array.isArray(file.vectors)) throw broken("it has no list of vectors");
  return file.vectors.map((vector: Partial<Vector> | null, index) => {
    const name = vector?.id ?? `vector ${index}`;
    if (typeof vector?.id !== "string") throw broken(`${name} has no id`);
    if (!areas.includes(vector.area as Area)) throw broken(`${name} is of an area not known: ${vector.area}`);
    if (typeof vector.config?.driver !== "string" && vector.area !== "sql" && vector.area !== "cep")
      throw broken(`${name} names no driver`);
    if (!Array.isArray(vector.input) || typeof vector.expected !== "object" || vector.expected === null)
      throw broken(`${name} has no input or no expectation`);
    return { features: [], ...vector } as Vector;
  });
}

/** Expectations of what Flink keeps inside: looked at only where the engine shows it. */
export function isInternal(name: string): boolean {
  return /^(buffered|pending|nextWakeUp|eventTimers|processingTimers)/.test(name);
}

/**
 * A time at which something stands, of a vector: a record, a timer. "MIN" and "MAX" are the ends of what the engine knows as such: `end` and
 * its negative.
 */
export function pointOf(time: number | string, end: number): number {
  if (typeof time === "number") return time;
  const [, side, away = "0"] = /^(MIN|MAX)(?:[+-](\d+))?$/.exec(time) ?? [];
  if (side === undefined) throw new MillraceError("invalid", `not a time of a vector: ${time}`);
  return side === "MAX" ? end - Number(away) : Number(away) - end;
}

/** A watermark of a vector: a number, `"MIN"` or `"MAX"`, also `"MIN+n"` and `"MAX-n"`, which are as far off as those. */
export function timeOf(time: number | string): number {
  if (typeof time === "number") return time;
  if (/^MIN(\+\d+)?$/.test(time)) return minWatermark;
  if (/^MAX(-\d+)?$/.test(time)) return maxWatermark;
  throw new MillraceError("invalid", `not a time of a vector: ${time}`);
}
