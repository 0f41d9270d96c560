/**
 * Segments: one object holding the key groups that changed, then the index of all key groups of the task.
 *
 * Layout: pages | index block | local block | footer. A block is its CRC-32, the format version
 * and its bytes, so it can be read by itself through the
 * range that an entry or a manifest names. The index block opens with the names of the objects it refers to: garbage collection
 * reads no further.
 *
 * I1 A segment is immutable and named by the attempt that wrote it (R6).
 * I2 An index that a checkpoint acknowledges refers to segments only: pages of the state table change.
 */
import { SparseTable } from "../base/sparse-table.ts";
import { keyGroupsMax } from "../plan/resolve-options.ts";
import { ByteReader, corrupt } from "../base/byte-reader.ts";
import { crc32 } from "../base/crc32.ts";
import { ByteWriter, fitsInt } from "../base/byte-writer.ts";
import { type BlobName, id, type TaskId } from "../base/ids.ts";
import { RowWriter } from "../state/row-writer.ts";
import { type BlobRange, emptyIndex, type IndexEntry, type Part, type TaskIndex } from "../state/state-index.ts";

const version = 1;
const footerMagic = 0x4752534d; // "MSRG"

/** What of the base is not part of a checkpoint. */
export interface LocalState {
  readonly held: readonly Uint8Array[];
}

export interface SegmentRanges {
  readonly index: BlobRange;
  readonly local: BlobRange;
}

/** Builds one segment: pages first, then `finish`. */
export class SegmentWriter {
  readonly name: BlobName;
  private readonly writer = new ByteWriter(1 << 12);
  /** Pages are written here, each as a run, followed by a look at its `checksum`. */
  readonly rows = new RowWriter(this.writer);

  constructor(name: BlobName) {
    this.name = name;
    this.writer.u8(version);
  }

  /** Of the page that begins at `offset` and ends here. */
  checksum(offset: number): number {
    return crc32(this.writer.buffer, offset, this.writer.length);
  }

  /** The bytes of pages written so far. */
  get pageBytes(): number {
    return this.writer.length;
  }

  finish(
    index: TaskIndex,
    local: LocalState,
    fingerprint: string,
  ): { readonly bytes: Uint8Array; readonly ranges: SegmentRanges } {
    const ranges = {
      index: this.block((writer) => writeIndex(writer, index)),
      local: this.block((writer) => {
        writer.uint(local.held.length);
        for (const bytes of local.held) writer.bytes(bytes);
      }),
    };
    this.footer(ranges, fingerprint);
    return { bytes: this.writer.take(), ranges };
  }

  private block(body: (writer: ByteWriter) => void): BlobRange {
    const { writer } = this;
    const offset = writer.length;
    writer.u32(0);
    writer.u8(version);
    body(writer);
    writer.buffer.writeUInt32LE(crc32(writer.buffer, offset + 4, writer.length), offset);
    return { blob: this.name, offset, length: writer.length - offset };
  }

  /** For tools that are given a segment and nothing else. */
  private footer(ranges: SegmentRanges, fingerprint: string): void {
    const { writer } = this;
    const offset = writer.length;
    for (const range of [ranges.index, ranges.local]) {
      writer.uint(range.offset);
      writer.uint(range.length);
    }
    writer.string(fingerprint);
    writer.u32(writer.length - offset);
    writer.u32(footerMagic);
  }
}

function readBlock(bytes: Uint8Array, what: string): ByteReader {
  const reader = new ByteReader(bytes);
  const checksum = reader.u32();
  if (crc32(bytes, 4) !== checksum) throw corrupt(`${what} does not match its checksum`);
  const found = reader.u8();
  if (found !== version) throw corrupt(`${what} of format version ${found}, this code knows ${version}`);
  return reader;
}

export function readLocal(bytes: Uint8Array): LocalState {
  const reader = readBlock(bytes, "local state");
  const held: Uint8Array[] = [];
  const count = reader.count();
  for (let i = 0; i < count; i++) held.push(reader.bytes());
  return { held };
}

/** Numbers a table of texts as they come. */
class Names {
  readonly list: string[] = [];
  private readonly numbers = new Map<string, number>();

  number(text: string): number {
    let number = this.numbers.get(text);
    if (number === undefined) {
      number = this.list.length;
      this.numbers.set(text, number);
      this.list.push(text);
    }
    return number;
  }
}

function writeIndex(writer: ByteWriter, index: TaskIndex): void {
  const blobs = new Names();
  const schemas = new Names();
  const writers = new Names();
  const body = new ByteWriter(1 << 11);
  body.uint(index.operators.size);
  for (const [operator, entries] of index.operators) {
    body.string(operator);
    body.uint(entries.size);
    for (const entry of entries.values()) writeEntry(body, entry, blobs, schemas, writers);
  }
  for (const names of [blobs, schemas, writers]) {
    writer.uint(names.list.length);
    for (const name of names.list) writer.string(name);
  }
  for (const blob of blobs.list) writer.uint(index.segments.get(blob as BlobName) ?? 0);
  writer.raw(body.buffer.subarray(0, body.length));
}

function writeEntry(writer: ByteWriter, entry: IndexEntry, blobs: Names, schemas: Names, writers: Names): void {
  writer.uint(entry.keyGroup);
  writer.uint(entry.version);
  writer.uint(entry.sizeBytes);
  writeTimer(writer, entry.earliestEventTimer);
  writeTimer(writer, entry.earliestProcessingTimer);
  writeTimer(writer, entry.cleanAt);
  writer.uint(entry.parts.length);
  for (const part of entry.parts) {
    writer.uint(schemas.number(part.schema));
    writer.uint(part.rows);
    if (part.kind === "page") {
      writer.u8(1);
      writer.uint(writers.number(part.writer));
    } else {
      writer.u8(0);
      writer.uint(blobs.number(part.blob));
      writer.uint(part.offset);
      writer.uint(part.length);
      writer.u32(part.checksum);
    }
  }
}

/** 0: none; 1: a whole number; 2: any other. */
function writeTimer(writer: ByteWriter, at: number): void {
  if (at === Infinity) return writer.u8(0);
  if (fitsInt(at)) {
    writer.u8(1);
    return writer.int(at);
  }
  writer.u8(2);
  writer.f64(at);
}

function readTimer(reader: ByteReader): number {
  const form = reader.u8();
  return form === 0 ? Infinity : form === 1 ? reader.int() : reader.f64();
}

function readNames(reader: ByteReader): string[] {
  const names: string[] = [];
  const count = reader.count();
  for (let i = 0; i < count; i++) names.push(reader.string());
  return names;
}

/** The objects that an index block refers to, without the rest of it. */
export function readReferences(bytes: Uint8Array): readonly BlobName[] {
  return readNames(readBlock(bytes, "index")) as BlobName[];
}

export function readIndex(bytes: Uint8Array): TaskIndex {
  const reader = readBlock(bytes, "index");
  const blobs = readNames(reader);
  const schemas = readNames(reader);
  const writers = readNames(reader);
  const index = emptyIndex();
  for (const blob of blobs) index.segments.set(id<BlobName>(blob), reader.uint());
  const operators = reader.count();
  for (let i = 0; i < operators; i++) {
    const operator = reader.string();
    const entries = new SparseTable<IndexEntry>();
    const count = reader.count();
    for (let n = 0; n < count; n++) {
      const entry = readEntry(reader, blobs, schemas, writers);
      entries.set(entry.keyGroup, entry);
    }
    index.operators.set(operator, entries);
  }
  return index;
}

function readKeyGroup(reader: ByteReader): number {
  const keyGroup = reader.uint();
  if (keyGroup >= keyGroupsMax) throw corrupt(`an index names key group ${keyGroup}, of ${keyGroupsMax} at most`);
  return keyGroup;
}

function readEntry(
  reader: ByteReader,
  blobs: readonly string[],
  schemas: readonly string[],
  writers: readonly string[],
): IndexEntry {
  const head = {
    keyGroup: readKeyGroup(reader),
    version: reader.uint(),
    sizeBytes: reader.uint(),
    earliestEventTimer: readTimer(reader),
    earliestProcessingTimer: readTimer(reader),
    cleanAt: readTimer(reader),
  };
  const parts: Part[] = [];
  const count = reader.count();
  for (let i = 0; i < count; i++) {
    const schema = named(schemas, reader.uint());
    const rows = reader.uint();
    if (reader.u8() === 1) parts.push({ kind: "page", schema, rows, writer: id<TaskId>(named(writers, reader.uint())) });
    else {
      const blob = id<BlobName>(named(blobs, reader.uint()));
      const [offset, length] = [reader.uint(), reader.uint()];
      parts.push({ kind: "segment", schema, rows, blob, offset, length, checksum: reader.u32() });
    }
  }
  return { ...head, parts };
}

function named(names: readonly string[], number: number): string {
  const name = names[number];
  if (name === undefined) throw corrupt(`index refers to name ${number} of ${names.length}`);
  return name;
}
