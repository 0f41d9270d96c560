/**
 * Reads the objects of an S3 source. A shard is every n-th object, in the order of their keys; a position the object's number in the listing,
 * and fifteen digits: the offset in its decompressed data just after a record's line.
 *
 * S1 What is read after a position depends on the listing and the objects alone.
 * S2 An object that changed or went since it was listed is never read as if it were the one: that is `invalid`.
 * S3 Shards are named after the listing: a position of another listing is refused.
 */
import type { Source, SourceRecord } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import { id, type Position, type ShardId } from "../../base/ids.ts";
import type { ByteSource } from "../../connectors/files/byte-source.ts";
import { isGzip } from "../../connectors/files/compression.ts";
import { type Cutting, FileRecords } from "../../connectors/files/file-records.ts";
import { GunzipBytes } from "../../connectors/files/gunzip-bytes.ts";
import { PlainBytes } from "../../connectors/files/plain-bytes.ts";
import type { Framing } from "../../connectors/formats/format.ts";
import type { S3ObjectsSettings } from "../../connectors/s3/s3-objects.ts";
import { ForwardedRecord } from "../../connectors/forwarded-record.ts";
import type { SourceReader } from "../../connectors/source-reader.ts";
import type { Blobs } from "../../ports/blobs.ts";
import type { ReadLimit, ReadResult, Shard } from "../../ports/log.ts";
import { fullRange } from "../../streaming/hash-range.ts";
import { type ObjectListing, settleListing } from "./object-listing.ts";
import type { S3Bucket } from "./s3-bucket.ts";
import { S3ObjectFile } from "./s3-object-file.ts";

export interface S3ObjectsReaderOptions {
  readonly uid: string;
  readonly source: Source<any>;
  readonly bucket: S3Bucket;
  /** Where the listing is kept: with the job's state. */
  readonly blobs: Blobs;
}

/** The object of a shard that is read now. */
interface Open {
  readonly number: number;
  readonly records: FileRecords;
  /** It begins after this position: nothing is left of the objects before it. */
  readonly after: Position | "horizon" | undefined;
}

const offsetDigits = 15;

export class S3ObjectsReader implements SourceReader {
  readonly #options: S3ObjectsReaderOptions;
  readonly #settings: S3ObjectsSettings;
  readonly #cutting: Cutting;
  #listing: Promise<ObjectListing> | undefined;
  readonly #opened = new Map<ShardId, Open>();
  readonly #lastReads = new Map<ShardId, Promise<unknown>>();

  constructor(options: S3ObjectsReaderOptions) {
    const { options: declared } = options.source;
    this.#options = options;
    this.#settings = declared as unknown as S3ObjectsSettings;
    const { framing, header } = declared.format as { readonly framing: Framing; readonly header: boolean };
    this.#cutting = { framing, header, maxRecordBytes: this.#settings.maxRecordBytes };
  }

  async polled(): Promise<boolean> {
    return true;
  }

  /** A job that begins from another's checkpoint anew takes over its listing: so it is read again. */
  async shards(): Promise<readonly Shard[]> {
    this.#listing = undefined;
    const { hash } = await this.#listed();
    return this.#shardsOf(hash).map((shard) => ({ id: shard, range: fullRange, parents: [], closed: true }));
  }

  read(_stream: string, shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    const before = this.#lastReads.get(shard);
    const reading = Promise.resolve(before?.catch(() => undefined)).then(() => this.#read(shard, after, limit));
    this.#lastReads.set(shard, reading);
    return reading;
  }

  /** Throws `invalid` when the bucket is not there or may not be used, or where records are to be taken as keyed. */
  async check({ assumesKeys }: { readonly assumesKeys: boolean }): Promise<void> {
    if (assumesKeys)
      throw new MillraceError("invalid", `objects have no partition keys: use keyBy(), not assumeKeyed(): ${this.#options.uid}`);
    await this.#options.bucket.check();
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#lastReads.values());
    for (const { records } of this.#opened.values()) await records.close();
    this.#opened.clear();
  }

  #listed(): Promise<ObjectListing> {
    const { uid, bucket, blobs } = this.#options;
    this.#listing ??= settleListing(uid, this.#settings.prefix, bucket, blobs).catch((error: unknown) => {
      this.#listing = undefined;
      throw error;
    });
    return this.#listing;
  }

  async #listingOf(shard: ShardId): Promise<ObjectListing> {
    const { hash, ...known } = await this.#listed();
    if (this.#shardsOf(hash).includes(shard)) return { hash, ...known };
    this.#listing = undefined;
    return this.#listed();
  }

  #shardsOf(hash: string): readonly ShardId[] {
    return Array.from({ length: this.#settings.shards }, (_, n) => shardId(hash, n));
  }

  async #read(shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    const { objects } = await this.#listingOf(shard);
    const room = { ...limit };
    const records: SourceRecord[] = [];
    let next = after;
    let { number, offset } = await this.#placeOf(shard, after);
    for (; number < objects.length; number += this.#settings.shards, offset = 0) {
      const { key } = objects[number]!;
      const from = records.length;
      const state = await this.#open(shard, number, offset === 0 ? next : undefined).take(offset, records, room);
      for (let n = from; n < records.length; n++) {
        const record = records[n]!;
        records[n] = new ObjectRecord(record, number, key);
        room.bytes -= record.bytes.length;
      }
      room.records = limit.records - records.length;
      next = records.length === 0 ? after : id<Position>(records.at(-1)!.position);
      if (state !== "end") return { records, next, behindMs: 1, gap: false };
    }
    return { records, next: undefined, behindMs: 0, gap: false };
  }

  async #placeOf(shard: ShardId, after: Position | "horizon"): Promise<{ readonly number: number; readonly offset: number }> {
    const { hash } = await this.#listed();
    const kept = this.#opened.get(shard);
    if (kept?.after === after) return { number: kept.number, offset: 0 };
    const first = this.#shardsOf(hash).indexOf(shard);
    if (first < 0) throw this.#unknown(shard);
    return after === "horizon" ? { number: first, offset: 0 } : placeOf(after);
  }

  /** The object's records. `after`: the position after which it begins; undefined: it is read from within. */
  #open(shard: ShardId, number: number, after: Position | "horizon" | undefined): FileRecords {
    const kept = this.#opened.get(shard);
    if (kept?.number === number) return kept.records;
    void kept?.records.close();
    const records = new FileRecords(this.#cutting, (from) => this.#openBytes(number, from));
    this.#opened.set(shard, { number, records, after });
    return records;
  }

  async #openBytes(number: number, from: number): Promise<ByteSource> {
    const object = (await this.#listed()).objects[number]!;
    const file = new S3ObjectFile(this.#options.bucket, object);
    const { sizeBytes: length, writtenAt: arrivalTime } = object;
    if (this.#settings.compression === "auto" && (await startsAsGzip(file))) return new GunzipBytes(file, arrivalTime, from);
    return PlainBytes.open(
      file.name,
      async () => file,
      () => ({ length, growing: false, arrivalTime }),
      from,
    );
  }

  #unknown(shard: ShardId): MillraceError {
    const { uid, bucket } = this.#options;
    const advice =
      "the objects of an S3 source are others than those it began with: bring back the job's listing, or give it another uid";
    return new MillraceError("invalid", `${advice}: ${uid}, ${bucket.name}, ${shard}`);
  }
}

/** A record of an object: its place is the object's number and the place within. */
class ObjectRecord extends ForwardedRecord {
  readonly #number: number;
  readonly #key: string;

  constructor(record: SourceRecord, number: number, key: string) {
    super(record);
    this.#number = number;
    this.#key = key;
  }
  override get position(): string {
    return `${this.#number + 1}${this.inner.position.padStart(offsetDigits, "0")}`;
  }
  override get partitionKey(): string {
    return this.#key;
  }
}

function shardId(hash: string, n: number): ShardId {
  return id<ShardId>(`objects-${hash}-${n}`);
}

function placeOf(position: Position): { readonly number: number; readonly offset: number } {
  return { number: Number(position.slice(0, -offsetDigits)) - 1, offset: Number(position.slice(-offsetDigits)) };
}

async function startsAsGzip(file: S3ObjectFile): Promise<boolean> {
  const start = Buffer.alloc(3);
  const length = await file.readInto(start, 0, 0);
  return isGzip(start.subarray(0, length));
}
