/**
 * Files as a sink, exactly once. The pure half: which rows go into which file, and when a file is finished.
 *
 * W1 A file's name and bytes follow from commits alone (part-name.ts), so carrying a commit out again changes nothing.
 * W2 No file is open at a barrier or at the end of input, so a checkpoint contains whole files only, and a restore takes back
 *    whole files (DESIGN §11).
 * W3 A file holds at most `rollBytes`, unless one row is longer.
 */
import { crc32 } from "node:zlib";
import type { CommitEnd, Sink, SinkWriter, SinkWriterContext } from "../../api/connector.ts";
import type { Duration } from "../../api/duration.ts";
import { MillraceError } from "../../base/errors.ts";
import { type Format, formatOptions } from "../formats/format.ts";
import { openPartName, partFileName, type PartNaming } from "./part-name.ts";
import { encodePartOperation } from "./part-operation.ts";

export interface FileSinkOptions<T> {
  /** The directory of the files; its own, or shared with sinks of other prefixes. */
  readonly path: string;
  readonly format: Format<T>;
  /** What the files' names begin with; default nothing. */
  readonly prefix?: string;
  /** A file is finished before it grows beyond this; default 128 MiB. */
  readonly rollBytes?: number;
  /** A file is finished by the first commit this long after it was begun, in processing time; default 1 minute. */
  readonly rollAfter?: Duration;
}

/** What a file writer must know of a file sink: its `options`. */
export interface FileSinkSettings extends PartNaming {
  readonly path: string;
}

const defaultRollBytes = 128 << 20;
const defaultRollAfterMs = 60_000;

/**
 * Files that appear whole, by size, by age and at every checkpoint, and never change. Exactly once, also across a restore: files
 * published beyond the restored checkpoint are moved to `.quarantine/`. Throws `invalid` for a format that cannot be written.
 */
export function fileSink<T>(options: FileSinkOptions<T>): Sink<T> {
  const { path, format, prefix = "", rollBytes = defaultRollBytes, rollAfter = defaultRollAfterMs } = options;
  if (format.readOnly !== undefined)
    throw new MillraceError("invalid", `a file sink cannot write this format: ${format.readOnly}`);
  if (!(rollBytes >= 1)) throw new MillraceError("invalid", `rollBytes is a positive number: ${rollBytes}`);
  // "g1" in a prefix could be taken for the generation.
  if (!/^[\w-]*$/.test(prefix) || /g\d/.test(prefix)) {
    const message = `a file sink's prefix is of letters, digits, "_" and "-", with no digit after a "g"`;
    throw new MillraceError("invalid", `${message}: ${JSON.stringify(prefix)}`);
  }
  const naming = { prefix, extension: format.extension };
  return {
    kind: "files",
    name: path,
    guarantee: "exactlyOnce",
    options: { path, ...naming, rollBytes, rollAfterMs: rollAfter, format: formatOptions(format) },
    createWriter: (context) => new FileSinkWriter({ format, naming, rollBytes, rollAfterMs: rollAfter }, context),
  };
}

interface WriterOptions {
  readonly format: Format<any>;
  readonly naming: PartNaming;
  readonly rollBytes: number;
  readonly rollAfterMs: number;
}

/** The file being written, as of the last commit: all that survives between commits. */
interface OpenPart {
  readonly file: string;
  /** Epoch ms, processing time. */
  readonly openedAt: number;
  readonly length: number;
  readonly crc32: number;
}

class FileSinkWriter implements SinkWriter<any> {
  readonly #options: WriterOptions;
  readonly #context: SinkWriterContext;
  #part: OpenPart | undefined;
  /** What is to be added to the open part. */
  #rows: Uint8Array[] = [];
  #rowsBytes = 0;
  #payloads: Uint8Array[] = [];
  #lastOpened = { seq: -1, n: 0 };

  constructor(options: WriterOptions, context: SinkWriterContext) {
    this.#options = options;
    this.#context = context;
  }

  add(value: unknown): void {
    const row = this.#options.format.encode(value);
    const { rollBytes } = this.#options;
    if (this.#part !== undefined && this.#part.length + this.#rowsBytes + row.length > rollBytes) this.#publish(this.#part);
    if (this.#part === undefined) this.#open();
    this.#append(row);
  }

  flush(end: CommitEnd): readonly Uint8Array[] {
    if (this.#part !== undefined) {
      this.#part = this.#write(this.#part);
      if (end !== "turn" || this.#isOld(this.#part)) this.#publish(this.#part);
    }
    const payloads = this.#payloads;
    this.#payloads = [];
    return payloads;
  }

  state(): unknown {
    return this.#part;
  }

  restore(state: unknown): void {
    this.#part = state as OpenPart | undefined;
    this.#rows = [];
    this.#rowsBytes = 0;
    this.#payloads = [];
    this.#lastOpened = { seq: -1, n: 0 };
  }

  #open(): void {
    const { naming, format } = this.#options;
    const { generation, task } = this.#context;
    const seq = this.#context.seq();
    const n = this.#lastOpened.seq === seq ? this.#lastOpened.n + 1 : 0;
    this.#lastOpened = { seq, n };
    const file = partFileName(naming, { generation, task, seq, n });
    this.#part = { file, openedAt: this.#context.now(), length: 0, crc32: 0 };
    if (format.fileHeader !== undefined) this.#append(format.fileHeader);
  }

  #append(row: Uint8Array): void {
    this.#rows.push(row);
    this.#rowsBytes += row.length;
  }

  #isOld({ openedAt }: OpenPart): boolean {
    return this.#context.now() - openedAt >= this.#options.rollAfterMs;
  }

  /** The part with the rows at hand behind it. */
  #write(part: OpenPart): OpenPart {
    if (this.#rowsBytes === 0) return part;
    const bytes = Buffer.concat(this.#rows, this.#rowsBytes);
    this.#rows = [];
    this.#rowsBytes = 0;
    const { file, length: offset } = part;
    this.#payloads.push(encodePartOperation({ op: "write", part: openPartName(file), file, offset, bytes }));
    return { ...part, length: offset + bytes.length, crc32: crc32(bytes, part.crc32) };
  }

  #publish(part: OpenPart): void {
    const { file, length, crc32: checksum } = this.#write(part);
    this.#payloads.push(encodePartOperation({ op: "publish", part: openPartName(file), file, length, crc32: checksum }));
    this.#part = undefined;
  }
}
