/**
 * Hive-style partitions: rows lie in folders that say what they have in common, `year=2026/month=11/day=21/`, as Athena, Spark and
 * Glue read them.
 *
 * P1 A row's folder is a function of the row and its timestamp alone, so it is the same whenever the row is written again.
 * P2 A folder is one or more segments `name=value`; neither holds what a path or Hive would take for something else.
 */
import { MillraceError } from "../../base/errors.ts";

/** How finely rows are parted by event time, in UTC: "day" makes `year=…/month=…/day=…/`. */
export type TimePartition = "year" | "month" | "day" | "hour" | "minute";

export type PartitionValue = string | number | bigint | boolean | null | undefined;

/** By event time, or by what a function makes of a row: folders in the order of its fields. It must be pure. */
export type PartitionBy<T> =
  TimePartition | ((value: T, timestamp: number | undefined) => Readonly<Record<string, PartitionValue>>);

/** The folders of rows: empty, or ending with "/". Throws `invalid` for a row that has none. */
export type FolderOf = (value: unknown, timestamp: number | undefined) => string;

/** What Hive calls the partition of rows whose value is null or empty. */
const absentValue = "__HIVE_DEFAULT_PARTITION__";

/** Keys of S3 have at most 1,024 bytes; a file's name takes some 160 of them. */
const folderBytesMax = 600;
/** File systems take names of 255 bytes. */
const segmentBytesMax = 255;

const names = ["year", "month", "day", "hour", "minute"] as const;
/** Where each stands in an ISO date, whatever the number of the year's digits: counted from the "T". */
const parsers: readonly ((iso: string, t: number) => string)[] = [
  (iso, t) => iso.slice(0, t - 6),
  (iso, t) => iso.slice(t - 5, t - 3),
  (iso, t) => iso.slice(t - 2, t),
  (iso, t) => iso.slice(t + 1, t + 3),
  (iso, t) => iso.slice(t + 4, t + 6),
];

const minuteMs = 60_000;

/** No `partitionBy`: no folders. Throws `invalid` for what is none of its forms. */
export function folderOf(partitionBy: PartitionBy<any> | undefined): FolderOf {
  if (partitionBy === undefined) return () => "";
  if (typeof partitionBy === "function") return (value, timestamp) => folderOfFields(partitionBy(value, timestamp));
  const depth = names.indexOf(partitionBy) + 1;
  if (depth === 0)
    throw new MillraceError("invalid", `partitionBy is a function, or one of ${names.join(", ")}: ${String(partitionBy)}`);
  return timeFolders(depth);
}

/** Whether a folder of this name is one of a partition. */
export function isPartitionFolder(name: string): boolean {
  return !name.startsWith("=") && !name.startsWith(".") && name.includes("=");
}

/** What explain() shows of it. */
export function describePartitionBy(partitionBy: PartitionBy<any> | undefined): string | undefined {
  return typeof partitionBy === "function" ? "by the row" : partitionBy;
}

function timeFolders(depth: number): FolderOf {
  let lastMinute = NaN;
  let lastFolder = "";
  return (_value, timestamp) => {
    if (timestamp === undefined)
      throw new MillraceError("invalid", "the row has no timestamp to be partitioned by: give the source timestamps");
    const minute = Math.floor(timestamp / minuteMs);
    if (minute !== lastMinute) {
      lastFolder = timeFolder(timestamp, depth);
      lastMinute = minute;
    }
    return lastFolder;
  };
}

function timeFolder(timestamp: number, depth: number): string {
  const date = new Date(timestamp);
  if (Number.isNaN(date.getTime()))
    throw new MillraceError("invalid", `a timestamp beyond what dates can be has no partition: ${timestamp}`);
  const iso = date.toISOString();
  const t = iso.indexOf("T");
  return names
    .slice(0, depth)
    .map((name, n) => `${name}=${parsers[n]!(iso, t)}/`)
    .join("");
}

function folderOfFields(fields: Readonly<Record<string, PartitionValue>>): string {
  const entries = Object.entries(fields ?? {});
  if (entries.length === 0) throw new MillraceError("invalid", "partitionBy gives no fields for a row: give at least one");
  let folder = "";
  for (const [name, value] of entries) {
    if (name === "" || name.startsWith("."))
      throw new MillraceError("invalid", `partitionBy gives a field without a name, or with one that begins with ".": ${name}`);
    const segment = `${escape(name)}=${textOf(name, value)}`;
    if (Buffer.byteLength(segment) > segmentBytesMax)
      throw new MillraceError("invalid", `a partition's value is too long for a folder: ${name}, ${segment.length} characters`);
    folder += `${segment}/`;
  }
  if (Buffer.byteLength(folder) <= folderBytesMax) return folder;
  throw new MillraceError("invalid", `a partition's folder has more than ${folderBytesMax} bytes: ${folder.length} characters`);
}

function textOf(name: string, value: PartitionValue): string {
  if (value === null || value === undefined || value === "") return absentValue;
  if (typeof value === "object" || typeof value === "function" || typeof value === "symbol")
    throw new MillraceError("invalid", `a partition's value is text, a number or a boolean: ${name}, ${typeof value}`);
  return escape(String(value));
}

/** As Hive escapes: what has a meaning in paths or for Hive stands as "%" and two digits. */
function escape(text: string): string {
  const escaped = text.replace(/[\u0000-\u001f"#%'*/:=?\\\u007f{}[\]^]/g, (character) => `%${hex(character.charCodeAt(0))}`);
  // Half of a pair of surrogates has no bytes of its own.
  return Buffer.from(escaped).toString();
}

function hex(code: number): string {
  return code.toString(16).toUpperCase().padStart(2, "0");
}
