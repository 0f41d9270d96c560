/**
 * Reads files as a partitioned log: a shard is a file, a position the offset in its decompressed data just after a record's
 * line.
 *
 * Owns: open files, and for each where it stands. Does not own: cutting (record-cutter.ts), the bytes (byte-source.ts).
 *
 * D1 What is read after a position depends on the file alone: not on earlier reads, limits, or whether the file was kept open.
 * D2 Reading on from where the last read stopped costs what it reads; from an older position it opens the file again (and
 *    decompresses it again from its beginning), unless that position is still in memory.
 * D3 Reads of one shard are carried out one after the other.
 * D4 A shard read to its end is closed. An open one holds a file and up to one chunk in memory.
 */
import { open, stat } from "node:fs/promises";
import { type Position, type ShardId, id } from "../../base/ids.ts";
import { MillraceError } from "../../base/errors.ts";
import type { SourceRecord } from "../../api/connector.ts";
import type { ReadLimit, ReadResult, Shard } from "../../ports/log.ts";
import type { Framing } from "../formats/format.ts";
import type { SourceReader } from "../source-reader.ts";
import type { ByteSource } from "./byte-source.ts";
import { isGzip } from "./compression.ts";
import { fileError } from "./file-errors.ts";
import { GunzipBytes } from "./gunzip-bytes.ts";
import { type Extent, PlainBytes } from "./plain-bytes.ts";
import { RecordCutter } from "./record-cutter.ts";
import type { StdinSpool } from "./stdin-spool.ts";

export interface FilesReaderOptions {
  /** The source's logical name. */
  readonly name: string;
  /** "-" stands for all shards of `stdin`. */
  readonly paths: readonly string[];
  readonly framing: Framing;
  /** Each file begins with a line that names the fields. */
  readonly header: boolean;
  readonly compression: "auto" | "none";
  readonly maxRecordBytes: number;
  readonly stdin: StdinSpool | undefined;
}

/** A file as the shard it is. */
interface ShardFile {
  readonly id: ShardId;
  readonly gzip: boolean;
  readonly path: string;
  readonly extent: () => Extent;
}

interface Cursor {
  readonly bytes: ByteSource;
  readonly cutter: RecordCutter;
  /** Where the records begin, after the header. */
  readonly start: number;
}

/** The header line of a file, and where its records begin. */
interface Header {
  readonly text: string | undefined;
  readonly end: number;
}

const wholeRange = { from: 0n, to: (1n << 128n) - 1n };

export class FilesReader implements SourceReader {
  readonly #options: FilesReaderOptions;
  #files: Promise<ReadonlyMap<ShardId, ShardFile>> | undefined;
  readonly #cursors = new Map<ShardId, Cursor>();
  readonly #lastReads = new Map<ShardId, Promise<unknown>>();

  constructor(options: FilesReaderOptions) {
    this.#options = options;
  }

  /** Throws `invalid` when a file is missing, is no regular file or may not be read. */
  async shards(stream: string): Promise<readonly Shard[]> {
    const files = await this.#openedFiles(stream);
    return [...files.values()].map((file) => ({ id: file.id, range: wholeRange, parents: [], closed: !file.extent().growing }));
  }

  async read(stream: string, shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    const file = (await this.#openedFiles(stream)).get(shard);
    if (file === undefined) throw new MillraceError("invalid", `no such shard of ${stream}: ${shard}`);
    const before = this.#lastReads.get(shard);
    const reading = Promise.resolve(before?.catch(() => undefined)).then(() => this.#read(file, after, limit));
    this.#lastReads.set(shard, reading);
    return reading;
  }

  /** Closes all files, and standard input. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#lastReads.values());
    for (const shard of [...this.#cursors.keys()]) await this.#closeCursor(shard);
    await this.#options.stdin?.close();
  }

  async #read(file: ShardFile, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    const cursor = await this.#cursorAt(file, after === "horizon" ? 0 : Number(after));
    if (cursor === undefined) return { records: [], next: after, behindMs: 0, gap: false };
    const records: SourceRecord[] = [];
    const state = await fill(cursor, records, limit);
    const next = records.length === 0 ? after : id<Position>(records.at(-1)!.position);
    if (state === "end") await this.#closeCursor(file.id);
    return { records, next: state === "end" ? undefined : next, behindMs: state === "full" ? 1 : 0, gap: false };
  }

  /** Undefined: the header has not come in yet. */
  async #cursorAt(file: ShardFile, after: number): Promise<Cursor | undefined> {
    const kept = this.#cursors.get(file.id);
    if (kept?.cutter.rewind(Math.max(after, kept.start))) return kept;
    await this.#closeCursor(file.id);
    const header = await this.#readHeader(file);
    if (header === undefined) return undefined;
    const from = Math.max(after, header.end);
    const cursor = { bytes: await openBytes(file, from), cutter: this.#cutter(header.text, from), start: header.end };
    this.#cursors.set(file.id, cursor);
    return cursor;
  }

  async #readHeader(file: ShardFile): Promise<Header | undefined> {
    if (!this.#options.header) return { text: undefined, end: 0 };
    const cursor = { bytes: await openBytes(file, 0), cutter: this.#cutter(undefined, 0), start: 0 };
    const records: SourceRecord[] = [];
    try {
      const state = await fill(cursor, records, { records: 1, bytes: Infinity });
      const [record] = records;
      if (record === undefined && state === "later") return undefined;
      // A header that is too long or cut off stays a record, so that it goes to the dead letters.
      const broken = record === undefined || record.rejected !== undefined;
      return broken ? { text: undefined, end: 0 } : { text: copyOf(record), end: Number(record.position) };
    } finally {
      await cursor.bytes.close();
    }
  }

  #cutter(header: string | undefined, from: number): RecordCutter {
    return new RecordCutter(this.#options.framing, this.#options.maxRecordBytes, header, from);
  }

  async #closeCursor(shard: ShardId): Promise<void> {
    const cursor = this.#cursors.get(shard);
    this.#cursors.delete(shard);
    await cursor?.bytes.close();
  }

  async #openedFiles(stream: string): Promise<ReadonlyMap<ShardId, ShardFile>> {
    if (stream !== this.#options.name) {
      throw new MillraceError("invalid", `no such stream: this reader reads ${this.#options.name}, not ${stream}`);
    }
    return (this.#files ??= this.#findFiles());
  }

  async #findFiles(): Promise<ReadonlyMap<ShardId, ShardFile>> {
    const found: ShardFile[] = [];
    for (const path of this.#options.paths)
      found.push(...(path === "-" ? await this.#stdinShards() : [await this.#findFile(path)]));
    return new Map(found.map((file) => [file.id, file]));
  }

  async #stdinShards(): Promise<readonly ShardFile[]> {
    const { stdin } = this.#options;
    if (stdin === undefined) throw new MillraceError("invalid", "standard input is not available here: name a file");
    const shards = await stdin.shards();
    return shards.map(({ name, path, extent }) => ({ id: id<ShardId>(name), gzip: false, path, extent }));
  }

  async #findFile(path: string): Promise<ShardFile> {
    const extent = await measure(path);
    const gzip = this.#options.compression === "auto" && (await startsAsGzip(path));
    return { id: id<ShardId>(path), gzip, path, extent: () => extent };
  }
}

/** Takes records until there is no more room or nothing more is there. */
async function fill(cursor: Cursor, into: SourceRecord[], limit: ReadLimit): Promise<"full" | "later" | "end"> {
  const { bytes, cutter } = cursor;
  const room = { ...limit };
  while (!cutter.take(into, room)) {
    if (cutter.ended) return "end";
    const read = await bytes.read(cutter.rest);
    if (read.kind === "later") return "later";
    if (read.kind === "end") cutter.end(read.broken);
    else cutter.put(read.bytes, read.arrivalTime);
  }
  return "full";
}

async function openBytes(file: ShardFile, from: number): Promise<ByteSource> {
  return file.gzip ? GunzipBytes.open(file.path, file.extent().arrivalTime, from) : PlainBytes.open(file.path, file.extent, from);
}

async function measure(path: string): Promise<Extent> {
  try {
    const stats = await stat(path);
    if (stats.isDirectory()) throw Object.assign(new Error("is a directory"), { code: "EISDIR" });
    if (stats.isFile()) return { length: stats.size, growing: false, arrivalTime: Math.floor(stats.mtimeMs) };
  } catch (error) {
    throw fileError(error, path, "read");
  }
  throw new MillraceError("invalid", `cannot read a file twice that is no regular file: pipe it in and name "-": ${path}`);
}

async function startsAsGzip(path: string): Promise<boolean> {
  try {
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(3), 0, 3, 0);
      return isGzip(buffer.subarray(0, bytesRead));
    } finally {
      await file.close();
    }
  } catch (error) {
    throw fileError(error, path, "read");
  }
}

// A slice would keep the chunk alive for as long as the file is read.
function copyOf(record: SourceRecord): string {
  return Buffer.from(record.bytes).toString("utf8");
}
