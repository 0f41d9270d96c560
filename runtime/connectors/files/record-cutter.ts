/**
 * Cuts the bytes of one shard into records.
 *
 * Owns: where records begin and end, and what becomes of those that are too long or broken off. Does not own: where bytes come
 * from (byte-source.ts). It neither reads nor waits: bytes are put in, records are taken out.
 *
 * K1 A record's position is the offset just after its line, so cutting from any position gives the records after it.
 * K2 Memory is bounded by the longest record allowed: of a longer line only the beginning is kept.
 * K3 Every byte of a shard is in a record, in a line end or in a line passed over as empty (K2 apart); what is broken becomes a
 *    record that says so.
 */
import type { SourceRecord } from "../../api/connector.ts";
import { endOfCsvRecord } from "../formats/csv-fields.ts";
import type { Framing } from "../formats/format.ts";
import { Chunk, ChunkRecord } from "./chunk.ts";

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const quote = 0x22;
const byteOrderMark = [0xef, 0xbb, 0xbf] as const;
const none = Buffer.alloc(0);

/** How many records, and bytes of records, may still be taken. */
export interface Room {
  records: number;
  bytes: number;
}

/** Why the data stops where it does. `even`: also where no line is cut by it, since complete data would not end like this. */
export interface Break {
  readonly reason: string;
  readonly even: boolean;
}

/** A line too long to be a record: its beginning, and the offset where it begins. */
interface LongLine {
  readonly head: Buffer;
  readonly start: number;
}

export class RecordCutter {
  readonly #framing: Framing;
  readonly #maxRecordBytes: number;
  readonly #header: string | undefined;
  #chunk: Chunk;
  /** Where in the chunk the next record begins. */
  #at = 0;
  /** The first quote at or after `#at`, or the chunk's length; behind `#at`: not known. CSV only. */
  #quoteAt = -1;
  /** The line whose rest is being passed over. */
  #longLine: LongLine | undefined;
  #ended = false;
  #break: Break | undefined;
  #breakTaken = false;

  /** Begins at offset `from`, which is the start of a record; `header` goes along with every record. */
  constructor(framing: Framing, maxRecordBytes: number, header: string | undefined, from: number) {
    this.#framing = framing;
    this.#maxRecordBytes = maxRecordBytes;
    this.#header = header;
    this.#chunk = new Chunk(none, from, 0, header);
  }

  /** The position of the record taken last. */
  get position(): number {
    return this.#longLine?.start ?? this.#chunk.base + this.#at;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Bytes of a record that is not complete yet: `put` wants them in front of what follows. */
  get rest(): Buffer {
    return this.#chunk.bytes.subarray(this.#at);
  }

  /** Goes on with `bytes`: the `rest` and what follows it, come in at `arrivalTime` (epoch ms). */
  put(bytes: Buffer, arrivalTime: number): void {
    this.#chunk = new Chunk(bytes, this.#chunk.base + this.#at, arrivalTime, this.#header);
    this.#at = 0;
    this.#quoteAt = -1;
  }

  /** No more bytes will come. */
  end(broken: Break | undefined): void {
    this.#ended = true;
    this.#break = broken;
  }

  /** Goes back to the position of an earlier record, when what follows it is still at hand; false: it is not. */
  rewind(position: number): boolean {
    if (position === this.position) return true;
    const at = position - this.#chunk.base;
    if (this.#longLine !== undefined || at < 0 || at > this.#at) return false;
    this.#at = at;
    this.#quoteAt = -1;
    this.#breakTaken = false;
    return true;
  }

  /**
   * Takes records while there is room, which is lessened; the first may be larger than the room. False: more bytes are needed,
   * or at the end of data nothing is left.
   */
  take(into: SourceRecord[], room: Room): boolean {
    while (room.records > 0) {
      const lineEnd = this.#longLine === undefined ? this.#findRecordEnd() : this.#findLineEnd(this.#at);
      if (lineEnd >= 0) {
        if (!this.#takeLine(into, room, lineEnd, lineEnd + 1)) return true;
      } else if (!this.#skipsLongLine()) {
        return this.#ended && this.#takeEnd(into, room);
      }
    }
    return true;
  }

  #findLineEnd(from: number): number {
    const { ascii, bytes } = this.#chunk;
    return ascii === undefined ? bytes.indexOf(lineFeed, from) : ascii.indexOf("\n", from);
  }

  #findRecordEnd(): number {
    const from = this.#firstByte();
    const end = this.#findLineEnd(from);
    const framing = this.#framing;
    if (framing.kind !== "csv" || !this.#hasQuote(from, end)) return end;
    return endOfCsvRecord(this.#chunk.bytes, from, framing.separator.charCodeAt(0));
  }

  #hasQuote(from: number, lineEnd: number): boolean {
    const { bytes } = this.#chunk;
    if (this.#quoteAt < from) {
      const found = bytes.indexOf(quote, from);
      this.#quoteAt = found < 0 ? bytes.length : found;
    }
    return this.#quoteAt < (lineEnd < 0 ? bytes.length : lineEnd);
  }

  /** Takes the line that ends at `lineEnd`; the next begins at `next`. False: there is no room for it. */
  #takeLine(into: SourceRecord[], room: Room, lineEnd: number, next: number): boolean {
    const chunk = this.#chunk;
    if (this.#longLine !== undefined) return this.#takeLongLine(into, room, this.#longLine, lineEnd, next);
    const start = this.#firstByte();
    const end = lineEnd > start && chunk.bytes[lineEnd - 1] === carriageReturn ? lineEnd - 1 : lineEnd;
    const length = end - start;
    if (length > this.#maxRecordBytes) {
      this.#beginLongLine(start);
      return true;
    }
    if (length > room.bytes && into.length > 0) return false;
    this.#at = next;
    if (length === 0) return true;
    const line = new ChunkRecord(chunk, start, end, next);
    into.push(this.#framing.kind === "base64Lines" ? fromBase64(line) : line);
    room.records--;
    room.bytes -= length;
    return true;
  }

  /** Of the next record; a byte order mark at the very beginning belongs to none. */
  #firstByte(): number {
    const marked = this.#at === 0 && this.#chunk.base === 0 && byteOrderMark.every((byte, i) => this.#chunk.bytes[i] === byte);
    return marked ? byteOrderMark.length : this.#at;
  }

  /** Without a line end among the bytes at hand: true when they turn out to be a long line, of which more is to be looked at. */
  #skipsLongLine(): boolean {
    const { length } = this.#chunk.bytes;
    const start = this.#firstByte();
    // One more, since the last byte may yet be part of the line end.
    const begins = this.#longLine === undefined && length - start > this.#maxRecordBytes + 1;
    if (begins) this.#beginLongLine(start);
    else if (this.#longLine !== undefined) this.#at = length;
    return begins;
  }

  /** Goes on behind the bytes that are kept: the next line end, be it in quotes or not, ends the line, however reads fell (file-records.ts F1). */
  #beginLongLine(start: number): void {
    const kept = start + this.#maxRecordBytes;
    this.#longLine = { head: Buffer.from(this.#chunk.bytes.subarray(start, kept)), start: this.#chunk.base + start };
    this.#at = kept;
  }

  /** The line that the data ends in, and the record that says why it ends there. */
  #takeEnd(into: SourceRecord[], room: Room): boolean {
    const { base, bytes } = this.#chunk;
    const { length } = bytes;
    const broken = this.#break;
    const unfinished = this.#longLine !== undefined || (broken === undefined && this.#at < length);
    if (unfinished && (!this.#takeLine(into, room, length, length) || room.records === 0)) return true;
    if (this.#longLine !== undefined) return this.#takeEnd(into, room);
    if (broken === undefined || this.#breakTaken || !(broken.even || this.#at < length)) return false;
    if (!this.#reject(into, room, broken.reason, this.rest, base + length + 1)) return true;
    this.#at = length;
    this.#breakTaken = true;
    return false;
  }

  #takeLongLine(into: SourceRecord[], room: Room, { head, start }: LongLine, lineEnd: number, next: number): boolean {
    const { base } = this.#chunk;
    const reason = `record over ${this.#maxRecordBytes} bytes: its line has ${base + lineEnd - start}`;
    if (!this.#reject(into, room, reason, head, base + next)) return false;
    this.#longLine = undefined;
    this.#at = next;
    return true;
  }

  #reject(into: SourceRecord[], room: Room, reason: string, bytes: Buffer, position: number): boolean {
    if (bytes.length > room.bytes && into.length > 0) return false;
    const { arrivalTime } = this.#chunk;
    into.push({ position: String(position), partitionKey: "", arrivalTime, bytes, header: this.#header, rejected: reason });
    room.records--;
    room.bytes -= bytes.length;
    return true;
  }
}

const base64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** The record that a line holds. */
function fromBase64({ position, partitionKey, arrivalTime, bytes, text, header }: SourceRecord): SourceRecord {
  if (text === undefined || !base64.test(text) || text.length % 4 !== 0)
    return { position, partitionKey, arrivalTime, bytes, header, rejected: "the line is not a record in base64" };
  return { position, partitionKey, arrivalTime, bytes: Buffer.from(text, "base64"), header };
}
