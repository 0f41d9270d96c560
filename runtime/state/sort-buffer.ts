/**
 * Records that wait to be sorted by key, then timestamp (Flink's SortingDataInput). What came in is written out as one sorted run.
 *
 * B1 Within a key, records of one timestamp keep the order in which they came. A record without a timestamp comes before all others.
 * B2 Keys stand in the order of their canonical encodings, so that runs written at different times merge.
 * B3 A run is a list of records, each after its length and checksum: it can be read from any record on, and what is damaged is told.
 */
import type { Key } from "../api/key.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { writeValue } from "../base/message-pack.ts";
import { canonicalKey, tupleIdentity } from "./key.ts";
import { murmur3 } from "./murmur3.ts";

/** Length and checksum. */
export const recordHeaderBytes = 8;

/** How far a buffer was filled, for `rollback`. */
export interface SortMark {
  readonly count: number;
  readonly length: number;
}

export class SortBuffer {
  /** Input and value of each record, one after the other. */
  private readonly bodies = new ByteWriter(1 << 12);
  private readonly ends: number[] = [];
  private readonly times: number[] = [];
  /** The number of each record's key. */
  private readonly owners: number[] = [];
  private keys: Uint8Array[] = [];
  private readonly scalars = new Map<unknown, number>();
  private readonly tuples = new Map<string, number>();

  /** Throws `invalid` for a value that cannot be stored; the buffer is then as before. `timestamp` NaN: none. */
  add(key: Key, timestamp: number, input: number, value: unknown): void {
    const { bodies } = this;
    const start = bodies.length;
    try {
      bodies.uint(input);
      writeValue(bodies, value);
    } catch (error) {
      bodies.length = start;
      throw error;
    }
    this.ends.push(bodies.length);
    this.times.push(Number.isNaN(timestamp) ? -Infinity : timestamp);
    this.owners.push(this.numberOf(key));
  }

  private numberOf(key: Key): number {
    const known = typeof key === "object" ? this.tuples.get(tupleIdentity(key)) : this.scalars.get(key);
    if (known !== undefined) return known;
    const number = this.keys.push(canonicalKey(key)) - 1;
    if (typeof key === "object") this.tuples.set(tupleIdentity(key), number);
    else this.scalars.set(key, number);
    return number;
  }

  get count(): number {
    return this.times.length;
  }

  /** About what the buffer takes in memory. */
  get sizeBytes(): number {
    return this.bodies.length + 24 * this.times.length;
  }

  mark(): SortMark {
    return { count: this.count, length: this.bodies.length };
  }

  /** Takes back what was added since the mark. */
  rollback({ count, length }: SortMark): void {
    this.ends.length = count;
    this.times.length = count;
    this.owners.length = count;
    this.bodies.length = length;
  }

  /** Writes all records as a sorted run and is empty afterwards. */
  takeInto(writer: ByteWriter): void {
    const records = this.byOwner();
    const order = this.keys.map((_, number) => number);
    order.sort((a, b) => Buffer.compare(this.keys[a] as Uint8Array, this.keys[b] as Uint8Array));
    for (const owner of order) for (const record of this.inTime(records[owner] as number[])) this.write(writer, record);
    this.rollback({ count: 0, length: 0 });
    this.keys = [];
    this.scalars.clear();
    this.tuples.clear();
  }

  private byOwner(): number[][] {
    const records: number[][] = this.keys.map(() => []);
    this.owners.forEach((owner, record) => (records[owner] as number[]).push(record));
    return records;
  }

  private inTime(records: number[]): number[] {
    const { times } = this;
    return records.sort((a, b) => (times[a] as number) - (times[b] as number) || a - b);
  }

  private write(writer: ByteWriter, record: number): void {
    const key = this.keys[this.owners[record] as number] as Uint8Array;
    const from = record === 0 ? 0 : (this.ends[record - 1] as number);
    const body = this.bodies.buffer.subarray(from, this.ends[record]);
    const start = writer.length;
    writer.u32(0);
    writer.u32(0);
    writer.bytes(key);
    writer.f64(this.times[record] as number);
    writer.raw(body);
    const length = writer.length - start - recordHeaderBytes;
    writer.buffer.writeUInt32LE(length, start);
    writer.buffer.writeUInt32LE(murmur3(writer.buffer, start + recordHeaderBytes, length), start + 4);
  }
}
