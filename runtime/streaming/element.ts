/**
 * What travels on a channel: records, watermarks, watermark statuses, barriers and end-of-partition, in their order.
 *
 * E1 A barrier and an end-of-partition are each the last element of their frame, so a commit can end there.
 * E2 `edge` is the number of the exchange (plan/job-graph.ts) that the element travels on; barriers and ends are of the whole channel.
 */
import type { Key } from "../api/key.ts";
import { ByteReader, corrupt } from "../base/byte-reader.ts";
import { type ByteWriter, fitsInt } from "../base/byte-writer.ts";
import type { Checkpoint, TaskId } from "../base/ids.ts";
import { readValue, writeValue } from "../base/message-pack.ts";

export interface Barrier {
  readonly checkpoint: Checkpoint;
  readonly savepoint: boolean;
  /** The job rests behind it: whoever has passed it puts nothing out until something comes behind it. */
  readonly stop: boolean;
  /** The sender gave this checkpoint up: receivers stop aligning for it. */
  readonly declined: boolean;
}

/** A task that takes over part of an ended one's range, with all tasks it takes over from. */
export interface Successor {
  readonly task: TaskId;
  readonly parents: readonly TaskId[];
}

export type Element =
  | {
      readonly kind: "record";
      readonly edge: number;
      readonly key: Key | undefined;
      readonly timestamp: number;
      readonly value: unknown;
    }
  | { readonly kind: "watermark"; readonly edge: number; readonly at: number }
  | { readonly kind: "status"; readonly edge: number; readonly active: boolean }
  | { readonly kind: "barrier"; readonly barrier: Barrier }
  | { readonly kind: "end"; readonly successors: readonly Successor[] };

const code = { record: 0, keyedRecord: 1, watermark: 2, idle: 3, active: 4, barrier: 5, end: 6 } as const;

/** Bits of a barrier. */
const flag = { savepoint: 1, declined: 2, stop: 4 } as const;

/** `timestamp` NaN: none. */
export function writeRecord(writer: ByteWriter, edge: number, key: Key | undefined, timestamp: number, value: unknown): void {
  writer.u8(key === undefined ? code.record : code.keyedRecord);
  writer.uint(edge);
  if (key !== undefined) writeValue(writer, key);
  writeTime(writer, timestamp);
  writeValue(writer, value);
}

export function writeWatermark(writer: ByteWriter, edge: number, at: number): void {
  writer.u8(code.watermark);
  writer.uint(edge);
  writeTime(writer, at);
}

export function writeStatus(writer: ByteWriter, edge: number, active: boolean): void {
  writer.u8(active ? code.active : code.idle);
  writer.uint(edge);
}

export function writeBarrier(writer: ByteWriter, barrier: Barrier): void {
  writer.u8(code.barrier);
  writer.uint(barrier.checkpoint);
  writer.u8((barrier.savepoint ? flag.savepoint : 0) | (barrier.declined ? flag.declined : 0) | (barrier.stop ? flag.stop : 0));
}

export function writeEnd(writer: ByteWriter, successors: readonly Successor[]): void {
  writer.u8(code.end);
  writeValue(writer, successors);
}

/** 0: a whole number; 1: any other (NaN, infinite). */
function writeTime(writer: ByteWriter, at: number): void {
  if (fitsInt(at)) {
    writer.u8(0);
    return writer.int(at);
  }
  writer.u8(1);
  writer.f64(at);
}

function readTime(reader: ByteReader): number {
  return reader.u8() === 0 ? reader.int() : reader.f64();
}

export function readElement(reader: ByteReader): Element {
  const kind = reader.u8();
  switch (kind) {
    case code.record:
    case code.keyedRecord: {
      const edge = reader.uint();
      const key = kind === code.keyedRecord ? (readValue(reader) as Key) : undefined;
      return { kind: "record", edge, key, timestamp: readTime(reader), value: readValue(reader) };
    }
    case code.watermark:
      return { kind: "watermark", edge: reader.uint(), at: readTime(reader) };
    case code.idle:
    case code.active:
      return { kind: "status", edge: reader.uint(), active: kind === code.active };
    case code.barrier: {
      const checkpoint = reader.uint();
      const flags = reader.u8();
      const has = (bit: number) => (flags & bit) !== 0;
      const barrier = { checkpoint, savepoint: has(flag.savepoint), stop: has(flag.stop), declined: has(flag.declined) };
      return { kind: "barrier", barrier };
    }
    case code.end:
      return { kind: "end", successors: readValue(reader) as Successor[] };
    default:
      throw corrupt(`unknown element kind ${kind}`);
  }
}
