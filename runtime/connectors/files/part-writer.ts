/**
 * Rows as files that appear whole: the pure half that sinks of files and of objects share. Which rows go into which file, and when a
 * file is finished; what becomes of the operations is the runtime half's.
 *
 * W1 A file's name and bytes follow from commits alone (part-name.ts), so carrying a commit out again changes nothing.
 * W2 No file is open at a barrier or at the end of input, so a checkpoint contains whole files only, and a restore takes back
 *    whole files (DESIGN §11).
 * W3 A file holds at most `rollBytes`, unless one row is longer.
 * W4 Of each folder at most one file is open, and of all folders at most `openPartsMax`: the one that has waited longest for a row is
 *    finished first.
 */
import { crc32 } from "node:zlib";
import type { CommitEnd, SinkWriter, SinkWriterContext } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import { encodeLine, type Format } from "../formats/format.ts";
import { openPartName, partFileName, type PartNaming } from "./part-name.ts";
import { encodePartOperation } from "./part-operation.ts";
import type { FolderOf } from "./partition.ts";

export interface PartWriterOptions {
  readonly format: Format<any>;
  readonly naming: PartNaming;
  readonly rollBytes: number;
  readonly rollAfterMs: number;
  readonly folderOf: FolderOf;
  readonly openPartsMax: number;
}

/** A file being written, as of the last commit: all that survives between commits. */
interface OpenPart {
  readonly folder: string;
  readonly file: string;
  /** Epoch ms, processing time. */
  readonly openedAt: number;
  readonly length: number;
  readonly crc32: number;
}

/** A file being written, with what is to be added to it. */
class GrowingPart {
  readonly folder: string;
  readonly file: string;
  readonly openedAt: number;
  /** Of what earlier commits have written. */
  length: number;
  crc32: number;
  rows: Uint8Array[] = [];
  rowsBytes = 0;

  constructor({ folder, file, openedAt, length, crc32 }: OpenPart) {
    this.folder = folder;
    this.file = file;
    this.openedAt = openedAt;
    this.length = length;
    this.crc32 = crc32;
  }

  append(row: Uint8Array): void {
    this.rows.push(row);
    this.rowsBytes += row.length;
  }

  /** What is to be added, which then counts as written. */
  take(): Uint8Array {
    const bytes = Buffer.concat(this.rows, this.rowsBytes);
    this.rows = [];
    this.rowsBytes = 0;
    this.length += bytes.length;
    this.crc32 = crc32(bytes, this.crc32);
    return bytes;
  }

  state(): OpenPart {
    const { folder, file, openedAt, length, crc32 } = this;
    return { folder, file, openedAt, length, crc32 };
  }
}

export class PartWriter implements SinkWriter<any> {
  readonly #options: PartWriterOptions;
  readonly #context: SinkWriterContext;
  /** By folder; the one that has waited longest for a row comes first. */
  readonly #parts = new Map<string, GrowingPart>();
  #payloads: Uint8Array[] = [];
  #lastOpened = { seq: -1, n: 0 };

  constructor(options: PartWriterOptions, context: SinkWriterContext) {
    this.#options = options;
    this.#context = context;
  }

  add(value: unknown, timestamp: number | undefined): void {
    const { format, folderOf, rollBytes } = this.#options;
    const folder = folderOf(value, timestamp);
    const row = encodeLine(format, value);
    let part = this.#parts.get(folder);
    if (part !== undefined && part.length + part.rowsBytes + row.length > rollBytes) {
      this.#publish(part);
      part = undefined;
    }
    part ??= this.#open(folder);
    if (this.#parts.size > 1) this.#moveLast(part);
    part.append(row);
  }

  flush(end: CommitEnd): readonly Uint8Array[] {
    for (const part of [...this.#parts.values()])
      if (end !== "turn" || this.#isOld(part)) this.#publish(part);
      else this.#write(part);
    const payloads = this.#payloads;
    this.#payloads = [];
    return payloads;
  }

  state(): unknown {
    return this.#parts.size === 0 ? undefined : [...this.#parts.values()].map((part) => part.state());
  }

  restore(state: unknown): void {
    this.#parts.clear();
    for (const part of (state as readonly OpenPart[] | undefined) ?? []) this.#parts.set(part.folder, new GrowingPart(part));
    this.#payloads = [];
    this.#lastOpened = { seq: -1, n: 0 };
  }

  #open(folder: string): GrowingPart {
    const { naming, format, openPartsMax } = this.#options;
    if (this.#parts.size >= openPartsMax) this.#publish(this.#parts.values().next().value!);
    const { generation, task } = this.#context;
    const seq = this.#context.seq();
    const n = this.#lastOpened.seq === seq ? this.#lastOpened.n + 1 : 0;
    this.#lastOpened = { seq, n };
    const file = partFileName(naming, { generation, task, seq, n });
    const part = new GrowingPart({ folder, file, openedAt: this.#context.now(), length: 0, crc32: 0 });
    if (format.fileHeader !== undefined) part.append(format.fileHeader);
    this.#parts.set(folder, part);
    return part;
  }

  #moveLast(part: GrowingPart): void {
    this.#parts.delete(part.folder);
    this.#parts.set(part.folder, part);
  }

  #isOld({ openedAt }: GrowingPart): boolean {
    return this.#context.now() - openedAt >= this.#options.rollAfterMs;
  }

  #write(part: GrowingPart): void {
    if (part.rowsBytes === 0) return;
    const { length: offset } = part;
    this.#payloads.push(encodePartOperation({ op: "write", ...namesOf(part), offset, bytes: part.take() }));
  }

  /** What has not been written yet goes with the publication: a file begun and finished in one commit is one operation. */
  #publish(part: GrowingPart): void {
    const { length: offset } = part;
    const bytes = part.take();
    const { length, crc32: checksum } = part;
    this.#payloads.push(encodePartOperation({ op: "publish", ...namesOf(part), length, crc32: checksum, offset, bytes }));
    this.#parts.delete(part.folder);
  }
}

function namesOf({ folder, file }: GrowingPart) {
  return { ...(folder !== "" && { folder }), part: openPartName(file), file };
}

/** Throws `invalid` for what such a sink cannot be: `what` is how messages call it. */
export function checkPartOptions(
  { format, rollBytes, openPartsMax }: Pick<PartWriterOptions, "format" | "rollBytes" | "openPartsMax">,
  what: string,
): void {
  if (format.readOnly !== undefined) throw new MillraceError("invalid", `${what} cannot write this format: ${format.readOnly}`);
  if (!(rollBytes >= 1)) throw new MillraceError("invalid", `rollBytes is a positive number: ${rollBytes}`);
  if (!(Number.isInteger(openPartsMax) && openPartsMax >= 1 && openPartsMax <= openPartsLimit))
    throw new MillraceError("invalid", `openPartitions is a whole number from 1 to ${openPartsLimit}: ${openPartsMax}`);
}

/** What `rollBytes` is where a sink does not say: of files that are made of all their rows at once, what a turn has the time for. */
export function defaultRollBytesOf({ assemble }: Format<any>, ofOthers: number): number {
  return assemble === undefined ? ofOthers : assembledRollBytes;
}

const assembledRollBytes = 16 << 20;
/** Every commit names the files that are open. */
const openPartsLimit = 256;
/** Of sinks that do not say. */
export const defaultOpenPartsMax = 32;
