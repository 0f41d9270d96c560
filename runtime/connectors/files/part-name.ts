/**
 * Names of the files of a file sink.
 *
 * | name                                             | what                                              |
 * |--------------------------------------------------|---------------------------------------------------|
 * | `<prefix>g<generation>-<task>-<seq>.<ext>`       | a finished file; never changed                    |
 * | the same with `.<n>` before the extension        | the nth further file begun in the same commit     |
 * | `.<name>.part`                                   | a file being written                              |
 * | `.quarantine/<name>`                             | a finished file that a restore took back          |
 * | `.quarantine/<prefix>generation`                 | the generation below which nobody writes any more |
 *
 * `seq` is the commit in which the file was begun. The same part of the same task in the same generation always has the same
 * name and the same bytes, because commits are decided once.
 */
import { createHash } from "node:crypto";

export interface PartId {
  readonly generation: number;
  /** As parsed from a name: what `taskInNames` makes of it. */
  readonly task: string;
  readonly seq: number;
  /** Which of the files begun in that commit: 0, 1, … */
  readonly n: number;
}

/** How the files of one sink are named. */
export interface PartNaming {
  readonly prefix: string;
  /** Without the dot. */
  readonly extension: string;
}

export const quarantineFolder = ".quarantine";

/** File systems take names of 255 bytes. */
const taskCharactersMax = 120;

/** Digits enough for files to sort in the order they were begun. */
const seqDigits = 8;

export function partFileName({ prefix, extension }: PartNaming, { generation, task, seq, n }: PartId): string {
  const further = n === 0 ? "" : `.${n}`;
  return `${prefix}g${generation}-${encodeURIComponent(taskInNames(task))}-${String(seq).padStart(seqDigits, "0")}${further}.${extension}`;
}

/** How a task is called in names of files: itself, or, where a file system would find that too long, its beginning and a hash. */
export function taskInNames(task: string): string {
  if (encodeURIComponent(task).length <= taskCharactersMax) return task;
  const beginning = encodeURIComponent(task)
    .slice(0, taskCharactersMax - 20)
    .replace(/(%[\dA-F]{2})+%?[\dA-F]?$|%[\dA-F]?$/, "");
  return `${decodeURIComponent(beginning)}~${createHash("sha256").update(task).digest("hex").slice(0, 16)}`;
}

/** Undefined: not a finished file of this sink. */
export function parsePartFileName(naming: PartNaming, name: string): PartId | undefined {
  const { prefix, extension } = naming;
  if (!name.startsWith(prefix) || !name.endsWith(`.${extension}`)) return undefined;
  const match = /^g(\d+)-(.+)-(\d+)(?:\.(\d+))?$/.exec(name.slice(prefix.length, -extension.length - 1));
  if (match === null) return undefined;
  const part = { generation: Number(match[1]), task: decodeTask(match[2]!), seq: Number(match[3]), n: Number(match[4] ?? 0) };
  return partFileName(naming, part) === name ? part : undefined;
}

/** The name under which a file is written until it is finished. */
export function openPartName(file: string): string {
  return `.${file}.part`;
}

/** The finished name of an open part; undefined: not an open part. */
export function finishedName(name: string): string | undefined {
  return /^\.(.+)\.part$/.exec(name)?.[1];
}

/** Where a sink keeps the generation below which nobody writes any more; within the quarantine. */
export function fenceName({ prefix }: PartNaming): string {
  return `${prefix}generation`;
}

function decodeTask(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
