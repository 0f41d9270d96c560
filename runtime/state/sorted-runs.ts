/**
 * Sorted runs (sort-buffer.ts), merged into one sorted sequence of records. Pure: it names the ranges it must read, and is given them.
 *
 * M1 Records of one key and timestamp come in the order of their runs, which is that in which they came in.
 * M2 `progress()` tells of each run how far it is merged; a merge that is made from it goes on with the next record.
 */
import type { Key } from "../api/key.ts";
import { assert } from "../base/assert.ts";
import { ByteReader, corrupt } from "../base/byte-reader.ts";
import { readValue } from "../base/message-pack.ts";
import { readCanonicalKey } from "./key.ts";
import { murmur3 } from "./murmur3.ts";
import { recordHeaderBytes } from "./sort-buffer.ts";
import type { BlobRange } from "./state-index.ts";

/** What is left of a run: a plain range, which shrinks as its records are taken. */
export type SortedRun = BlobRange;

export interface SortedRecord {
  readonly key: Key;
  /** The canonical encoding of the key. */
  readonly keyBytes: Uint8Array;
  /** NaN: none. */
  readonly timestamp: number;
  readonly input: number;
  readonly value: unknown;
}

/** What all runs together hold in memory, about. */
const memoryBytes = 32 << 20;
const chunkBytesMin = 64 << 10;
const chunkBytesMax = 4 << 20;

/** One run at its next record. */
class RunHead {
  readonly number: number;
  readonly run: BlobRange;
  /** Where the next record begins, in the object. */
  at: number;
  keyBytes: Uint8Array = new Uint8Array();
  time = 0;
  private bytes: Buffer = Buffer.alloc(0);
  /** Where `bytes` begin, in the object. */
  private from: number;
  /** Where the current record's contents after key and time lie. */
  private body: ByteReader | undefined;
  private next = 0;

  constructor(number: number, run: SortedRun) {
    this.number = number;
    this.run = run;
    this.at = run.offset;
    this.from = run.offset;
  }

  get end(): number {
    return this.run.offset + this.run.length;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  /** How many more bytes there must be to see the next record; 0: it is there, and is looked at. */
  look(): number {
    const start = this.at - this.from;
    const there = this.bytes.length - start;
    if (there < recordHeaderBytes) return recordHeaderBytes - there;
    const length = this.bytes.readUInt32LE(start);
    if (there < recordHeaderBytes + length) return recordHeaderBytes + length - there;
    const from = start + recordHeaderBytes;
    if (murmur3(this.bytes, from, length) !== this.bytes.readUInt32LE(start + 4))
      throw corrupt(`a sorted record does not match its checksum: ${this.run.blob} at ${this.at}`);
    const reader = new ByteReader(this.bytes, from, from + length);
    this.keyBytes = reader.bytes();
    this.time = reader.f64();
    this.body = reader;
    this.next = this.at + recordHeaderBytes + length;
    return 0;
  }

  /** The range to read so that `missing` more bytes are there. */
  wants(missing: number, chunkBytes: number): BlobRange {
    const offset = this.from + this.bytes.length;
    const length = Math.min(this.end - offset, Math.max(missing, chunkBytes));
    if (length < missing) throw corrupt(`a sorted run ends within a record: ${this.run.blob} at ${this.at}`);
    return { blob: this.run.blob, offset, length };
  }

  supply(bytes: Uint8Array): void {
    this.bytes = Buffer.concat([this.bytes.subarray(this.at - this.from), bytes]);
    this.from = this.at;
  }

  take(): { readonly input: number; readonly value: unknown } {
    const { body } = this;
    assert(body !== undefined, "a record is looked at before it is taken");
    this.at = this.next;
    return { input: body.uint(), value: readValue(body) };
  }
}

function isBefore(a: RunHead, b: RunHead): boolean {
  const keys = Buffer.compare(a.keyBytes, b.keyBytes);
  if (keys !== 0) return keys < 0;
  return a.time < b.time || (a.time === b.time && a.number < b.number);
}

/** A range that must be read, and whose. */
export interface WantedRun {
  readonly range: BlobRange;
  supply(bytes: Uint8Array): void;
}

export class SortedRuns {
  private readonly heads: RunHead[];
  private readonly chunkBytes: number;
  /** Heap of those whose next record is there. */
  private readonly heap: RunHead[] = [];
  private hungry: { readonly head: RunHead; readonly missing: number }[] = [];

  constructor(runs: readonly SortedRun[]) {
    this.heads = runs.map((run, number) => new RunHead(number, run));
    this.chunkBytes = Math.max(chunkBytesMin, Math.min(chunkBytesMax, Math.floor(memoryBytes / Math.max(1, runs.length))));
    for (const head of this.heads) this.place(head);
  }

  /** Every record was taken. */
  get done(): boolean {
    return this.heap.length === 0 && this.hungry.length === 0;
  }

  /** What must be read before the next record is known; nothing when it is, or when there is none. */
  get wanted(): readonly WantedRun[] {
    return this.hungry.map(({ head, missing }) => ({
      range: head.wants(missing, this.chunkBytes),
      supply: (bytes) => this.supply(head, bytes),
    }));
  }

  private supply(head: RunHead, bytes: Uint8Array): void {
    head.supply(bytes);
    this.hungry = this.hungry.filter((hungry) => hungry.head !== head);
    this.place(head);
  }

  /** The canonical key of the next record; undefined while something is wanted, and at the end. */
  get nextKey(): Uint8Array | undefined {
    return this.hungry.length > 0 ? undefined : this.heap[0]?.keyBytes;
  }

  /** Takes the next record, which is there. */
  take(): SortedRecord {
    const head = this.heap[0];
    assert(head !== undefined && this.hungry.length === 0, "a sorted record is taken before it is there");
    const { keyBytes, time } = head;
    const { input, value } = head.take();
    this.settleFirst(head);
    return {
      key: readCanonicalKey(new ByteReader(keyBytes)),
      keyBytes,
      timestamp: time === -Infinity ? NaN : time,
      input,
      value,
    };
  }

  /** What is left of each run that is not merged to its end. */
  progress(): SortedRun[] {
    return this.heads.filter((head) => !head.done).map(({ run: { blob }, at, end }) => ({ blob, offset: at, length: end - at }));
  }

  private place(head: RunHead): void {
    if (head.done) return;
    const missing = head.look();
    if (missing > 0) this.hungry.push({ head, missing });
    else this.siftUp(this.heap.push(head) - 1);
  }

  /** The first of the heap has moved on. */
  private settleFirst(head: RunHead): void {
    const { heap } = this;
    const missing = head.done ? undefined : head.look();
    if (missing === 0) return this.siftDown(0);
    if (missing !== undefined) this.hungry.push({ head, missing });
    const last = heap.pop() as RunHead;
    if (last === head) return;
    heap[0] = last;
    this.siftDown(0);
  }

  private siftUp(from: number): void {
    const { heap } = this;
    for (let index = from; index > 0;) {
      const above = (index - 1) >> 1;
      if (!isBefore(heap[index] as RunHead, heap[above] as RunHead)) return;
      this.swap(index, above);
      index = above;
    }
  }

  private siftDown(from: number): void {
    const { heap } = this;
    for (let index = from; ;) {
      let below = 2 * index + 1;
      if (below >= heap.length) return;
      if (below + 1 < heap.length && isBefore(heap[below + 1] as RunHead, heap[below] as RunHead)) below++;
      if (!isBefore(heap[below] as RunHead, heap[index] as RunHead)) return;
      this.swap(index, below);
      index = below;
    }
  }

  private swap(a: number, b: number): void {
    const { heap } = this;
    [heap[a], heap[b]] = [heap[b] as RunHead, heap[a] as RunHead];
  }
}
