/**
 * Rows as files that appear whole: the pure half that sinks of files and of objects share. Which rows go into which file, and when a
 * file is finished; what becomes of the operations is the runtime half's.
 *
 * W1 A file's name and bytes follow from commits alone (part-name.ts), so carrying a commit out again changes nothing.
 * W2 No file is open at a barrier or at the end of input, so a checkpoint contains whole files only, and a restore takes back
 *    whole files (DESIGN §11).
 * W3 A file holds at most `rollBytes`, unless one row is longer.
 */
import { crc32 } from "node:zlib";
import type { CommitEnd, SinkWriter, SinkWriterContext } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import { encodeLine, type Format } from "../formats/format.ts";
import { openPartName, partFileName, type PartNaming } from "./part-name.ts";
import { encodePartOperation } from "./part-operation.ts";

export interface PartWriterOptions {
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

export class PartWriter implements SinkWriter<any> {
  readonly #options: PartWriterOptions;
  readonly #context: SinkWriterContext;
  #part: OpenPart | undefined;
  /** What is to be added to the open part. */
  #rows: Uint8Array[] = [];
  #rowsBytes = 0;
  #payloads: Uint8Array[] = [];
  #lastOpened = { seq: -1, n: 0 };

  constructor(options: PartWriterOptions, context: SinkWriterContext) {
    this.#options = options;
    this.#context = context;
  }

  add(value: unknown): void {
    const row = encodeLine(this.#options.format, value);
    const { rollBytes } = this.#options;
    if (this.#part !== undefined && this.#part.length + this.#rowsBytes + row.length > rollBytes) this.#publish(this.#part);
    if (this.#part === undefined) this.#open();
    this.#append(row);
  }

  flush(end: CommitEnd): readonly Uint8Array[] {
    if (this.#part !== undefined) {
      if (end !== "turn" || this.#isOld(this.#part)) this.#publish(this.#part);
      else this.#part = this.#write(this.#part);
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
    const { file, length: offset } = part;
    const { bytes, grown } = this.#take(part);
    this.#payloads.push(encodePartOperation({ op: "write", part: openPartName(file), file, offset, bytes }));
    return grown;
  }

  /** What has not been written yet goes with the publication: a file begun and finished in one commit is one operation. */
  #publish(part: OpenPart): void {
    const { file, length: offset } = part;
    const { bytes, grown } = this.#take(part);
    const { length, crc32: checksum } = grown;
    const operation = { op: "publish", part: openPartName(file), file, length, crc32: checksum, offset, bytes } as const;
    this.#payloads.push(encodePartOperation(operation));
    this.#part = undefined;
  }

  #take(part: OpenPart): { readonly bytes: Uint8Array; readonly grown: OpenPart } {
    const bytes = Buffer.concat(this.#rows, this.#rowsBytes);
    this.#rows = [];
    this.#rowsBytes = 0;
    return { bytes, grown: { ...part, length: part.length + bytes.length, crc32: crc32(bytes, part.crc32) } };
  }
}

/** Throws `invalid` for what such a sink cannot be: `what` is how messages call it. */
export function checkPartOptions({ format, rollBytes }: Pick<PartWriterOptions, "format" | "rollBytes">, what: string): void {
  if (format.readOnly !== undefined) throw new MillraceError("invalid", `${what} cannot write this format: ${format.readOnly}`);
  if (!(rollBytes >= 1)) throw new MillraceError("invalid", `rollBytes is a positive number: ${rollBytes}`);
}
