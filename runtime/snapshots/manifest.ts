/**
 * The manifest: the object that makes a checkpoint complete, as readable JSON. Its name is written once, as a manifest or as a
 * tombstone (L10): completing and giving up are the same conditional write.
 */
import { corrupt } from "../base/byte-reader.ts";
import type { Checkpoint, Generation, Seq, TaskId } from "../base/ids.ts";
import * as is from "../base/shape.ts";
import type { Progress, Totals } from "../state/commit.ts";
import { blobRangeShape, sourcesShape, successorsShape, totalsShape } from "../state/commit-shape.ts";
import type { OperatorSchema } from "../state/schema.ts";
import type { BlobRange } from "../state/state-index.ts";
import type { HashRange } from "../streaming/hash-range.ts";

/** What a task says of its part of a checkpoint. */
export interface Acknowledgement {
  readonly task: TaskId;
  readonly stage: string;
  readonly checkpoint: Checkpoint;
  readonly declined: boolean;
  readonly range: HashRange;
  readonly lastSeq: Seq;
  /** Undefined when the task keeps no keyed state. */
  readonly index: BlobRange | undefined;
  readonly sources: Progress["sources"];
  readonly valves: Progress["valves"];
  /** The task had ended: who goes on with its range. */
  readonly ended: boolean;
  readonly successors: Progress["successors"];
  readonly now: number;
  /** Counted in this generation. */
  readonly totals: Totals;
}

export interface Manifest {
  readonly version: 1;
  readonly job: string;
  readonly generation: Generation;
  readonly checkpoint: Checkpoint;
  readonly kind: "checkpoint" | "savepoint";
  readonly fingerprint: string;
  readonly deployment: number;
  readonly keyGroups: number;
  /** Epoch ms. */
  readonly takenAt: number;
  readonly operators: readonly { readonly uid: string; readonly states: OperatorSchema }[];
  readonly tasks: readonly Acknowledgement[];
  /** Counted since the job began, up to this checkpoint: what a restore takes back is not counted twice. */
  readonly totals: Totals;
  /** What it contains of dead letters that were given back (given-letters.ts): up to this number; not there: none. */
  readonly given?: number;
}

export interface Tombstone {
  readonly version: 1;
  readonly checkpoint: Checkpoint;
  readonly abandoned: string;
}

export const rangeShape = is.object({ from: is.big, to: is.big });

export const acknowledgementShape = is.object({
  task: is.text,
  stage: is.text,
  checkpoint: is.count,
  declined: is.flag,
  range: rangeShape,
  lastSeq: is.count,
  index: is.optional(blobRangeShape),
  sources: sourcesShape,
  valves: is.mapOf(is.anything),
  ended: is.flag,
  successors: successorsShape,
  now: is.time,
  totals: totalsShape,
});

/** What operators stored. */
export const operatorsShape = is.listOf(
  is.object({ uid: is.text, states: is.listOf(is.object({ name: is.text, kind: is.text, version: is.count })) }),
);

const manifestShape = is.object({
  job: is.text,
  generation: is.count,
  checkpoint: is.count,
  kind: is.oneOf("checkpoint", "savepoint"),
  fingerprint: is.text,
  deployment: is.count,
  keyGroups: is.count,
  takenAt: is.time,
  operators: operatorsShape,
  tasks: is.listOf(acknowledgementShape),
  totals: totalsShape,
  given: is.optional(is.count),
});

const tombstoneShape = is.object({ checkpoint: is.count, abandoned: is.text });

/** JSON with what JSON lacks, each as an object with one `$` key. Members that are undefined are left out. */
export function encodeManifest(manifest: Manifest | Tombstone): Uint8Array {
  return Buffer.from(JSON.stringify(toJson(manifest), undefined, 1));
}

export function decodeManifest(bytes: Uint8Array): Manifest | Tombstone {
  let parsed: unknown;
  try {
    parsed = fromJson(JSON.parse(Buffer.from(bytes).toString("utf8")));
  } catch (error) {
    throw corrupt("manifest is not JSON", error);
  }
  const version = (parsed as Manifest | null)?.version;
  if (version !== 1) throw corrupt(`manifest of format version ${String(version)}, this code knows 1`);
  const isAbandoned = Object.hasOwn(parsed as object, "abandoned");
  is.checkShape("a manifest", parsed, isAbandoned ? tombstoneShape : manifestShape);
  return parsed as Manifest | Tombstone;
}

export function isTombstone(manifest: Manifest | Tombstone): manifest is Tombstone {
  return "abandoned" in manifest;
}

/** A watermark generator's state is the author's own: any plain data may stand in a manifest. */
function toJson(value: unknown): unknown {
  if (value === undefined) return { $undefined: true };
  if (typeof value === "bigint") return { $bigint: String(value) };
  if (typeof value === "number") return Number.isFinite(value) && !Object.is(value, -0) ? value : { $number: numberText(value) };
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(toJson);
  if (value instanceof Map) return { $map: [...value].map(([key, item]) => [toJson(key), toJson(item)]) };
  if (value instanceof Set) return { $set: [...value].map(toJson) };
  if (value instanceof Date) return { $date: toJson(value.getTime()) };
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("base64") };
  const members = Object.entries(value).filter(([, item]) => item !== undefined);
  const json = Object.fromEntries(members.map(([key, item]) => [key, toJson(item)]));
  return members.some(([key]) => key.startsWith("$")) ? { $object: Object.entries(json) } : json;
}

function numberText(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

/** What is made of anything else would be as large as it says, or something else than was written. */
function textOf(value: unknown): string {
  if (typeof value !== "string") throw new TypeError("it is not text");
  return value;
}

/** What `JSON.parse` has made becomes the value itself, but for what has a `$` key. */
function fromJson(value: any): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    for (let n = 0; n < value.length; n++) value[n] = fromJson(value[n]);
    return value;
  }
  const names = Object.keys(value);
  if (names.some((name) => name.startsWith("$"))) return fromMarked(value);
  for (const name of names) value[name] = fromJson(value[name]);
  return value;
}

function fromMarked(value: any): unknown {
  if ("$undefined" in value) return undefined;
  if ("$bigint" in value) return BigInt(textOf(value.$bigint));
  if ("$number" in value) return Number(textOf(value.$number));
  if ("$map" in value) return new Map(value.$map.map(([key, item]: [unknown, unknown]) => [fromJson(key), fromJson(item)]));
  if ("$set" in value) return new Set(value.$set.map(fromJson));
  if ("$date" in value) return new Date(fromJson(value.$date) as number);
  if ("$bytes" in value) return new Uint8Array(Buffer.from(textOf(value.$bytes), "base64"));
  const members: [string, unknown][] = "$object" in value ? value.$object : Object.entries(value);
  return Object.fromEntries(members.map(([key, item]) => [key, fromJson(item)]));
}
