/**
 * The records of one file, from any position: its header, decompression and cutting, whatever its bytes come from.
 *
 * F1 What is read after a position depends on the file alone: not on earlier reads, limits, or whether the file was kept open.
 * F2 Reading on from where the last read stopped costs what it reads; from an older position the file is opened again (and decompressed
 *    again from its beginning), unless that position is still in memory.
 * F3 An open one holds a file and up to one chunk in memory.
 */
import type { SourceRecord } from "../../api/connector.ts";
import type { ReadLimit } from "../../ports/log.ts";
import type { Framing } from "../formats/format.ts";
import type { ByteSource } from "./byte-source.ts";
import { RecordCutter } from "./record-cutter.ts";

/** How a file is cut into records. */
export interface Cutting {
  readonly framing: Framing;
  /** Each file begins with a line that names the fields. */
  readonly header: boolean;
  readonly maxRecordBytes: number;
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

export class FileRecords {
  readonly #cutting: Cutting;
  readonly #open: (from: number) => Promise<ByteSource>;
  #cursor: Cursor | undefined;

  /** `open`: the bytes from an offset of the decompressed data on. */
  constructor(cutting: Cutting, open: (from: number) => Promise<ByteSource>) {
    this.#cutting = cutting;
    this.#open = open;
  }

  /**
   * Takes records after an offset until there is no more room ("full") or nothing more is there ("later", or "end": then it is closed).
   * Reads of one file must not overlap.
   */
  async take(after: number, into: SourceRecord[], limit: ReadLimit): Promise<"full" | "later" | "end"> {
    const cursor = await this.#cursorAt(after);
    if (cursor === undefined) return "later";
    const state = await fill(cursor, into, limit);
    if (state === "end") await this.close();
    return state;
  }

  /** As `ByteSource`; undefined too while nothing is open. */
  get compressedRead(): number | undefined {
    return this.#cursor?.bytes.compressedRead;
  }

  async close(): Promise<void> {
    const cursor = this.#cursor;
    this.#cursor = undefined;
    await cursor?.bytes.close();
  }

  /** Undefined: the header has not come in yet. */
  async #cursorAt(after: number): Promise<Cursor | undefined> {
    const kept = this.#cursor;
    if (kept?.cutter.rewind(Math.max(after, kept.start))) return kept;
    await this.close();
    const header = await this.#readHeader();
    if (header === undefined) return undefined;
    const from = Math.max(after, header.end);
    return (this.#cursor = { bytes: await this.#open(from), cutter: this.#cutter(header.text, from), start: header.end });
  }

  async #readHeader(): Promise<Header | undefined> {
    if (!this.#cutting.header) return { text: undefined, end: 0 };
    const cursor = { bytes: await this.#open(0), cutter: this.#cutter(undefined, 0), start: 0 };
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
    return new RecordCutter(this.#cutting.framing, this.#cutting.maxRecordBytes, header, from);
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

// A slice would keep the chunk alive for as long as the file is read.
function copyOf(record: SourceRecord): string {
  return Buffer.from(record.bytes).toString("utf8");
}
