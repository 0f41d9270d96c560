/**
 * Reads files as a partitioned log: a shard is a file, a position the offset in its decompressed data just after a record's
 * line.
 *
 * Owns: which files there are. Does not own: the records of each (file-records.ts), the bytes (byte-source.ts).
 *
 * D1 Reads of one shard are carried out one after the other.
 * D2 A shard read to its end is closed.
 */
import { open, stat } from "node:fs/promises";
import { type Position, type ShardId, id } from "../../base/ids.ts";
import { MillraceError } from "../../base/errors.ts";
import type { SourceRecord } from "../../api/connector.ts";
import type { ReadLimit, ReadResult, Shard } from "../../ports/log.ts";
import type { SourceReader } from "../source-reader.ts";
import type { ByteSource } from "./byte-source.ts";
import { isGzip } from "./compression.ts";
import { openByteFile } from "./byte-file.ts";
import { fileError } from "./file-errors.ts";
import { type Cutting, FileRecords } from "./file-records.ts";
import { GunzipBytes } from "./gunzip-bytes.ts";
import { type Extent, PlainBytes } from "./plain-bytes.ts";
import type { StdinSpool } from "./stdin-spool.ts";

export interface FilesReaderOptions extends Cutting {
  /** The source's logical name. */
  readonly name: string;
  /** "-" stands for all shards of `stdin`. */
  readonly paths: readonly string[];
  readonly compression: "auto" | "none";
  readonly stdin: StdinSpool | undefined;
}

/** A file as the shard it is. */
interface ShardFile {
  readonly id: ShardId;
  readonly gzip: boolean;
  readonly path: string;
  readonly extent: () => Extent;
}

const wholeRange = { from: 0n, to: (1n << 128n) - 1n };

export class FilesReader implements SourceReader {
  readonly #options: FilesReaderOptions;
  #files: Promise<ReadonlyMap<ShardId, ShardFile>> | undefined;
  readonly #records = new Map<ShardId, FileRecords>();
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

  compressedRead(shard: ShardId): number | undefined {
    return this.#records.get(shard)?.compressedRead;
  }

  /** Closes all files, and standard input. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#lastReads.values());
    for (const records of this.#records.values()) await records.close();
    await this.#options.stdin?.close();
  }

  async #read(file: ShardFile, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    const records: SourceRecord[] = [];
    const state = await this.#recordsOf(file).take(after === "horizon" ? 0 : Number(after), records, limit);
    const next = records.length === 0 ? after : id<Position>(records.at(-1)!.position);
    return { records, next: state === "end" ? undefined : next, behindMs: state === "full" ? 1 : 0, gap: false };
  }

  #recordsOf(file: ShardFile): FileRecords {
    const known = this.#records.get(file.id);
    if (known !== undefined) return known;
    const records = new FileRecords(this.#options, (from) => openBytes(file, from));
    this.#records.set(file.id, records);
    return records;
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

async function openBytes({ path, gzip, extent }: ShardFile, from: number): Promise<ByteSource> {
  const open = () => openByteFile(path);
  return gzip ? new GunzipBytes(await open(), extent().arrivalTime, from) : PlainBytes.open(path, open, extent, from);
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
