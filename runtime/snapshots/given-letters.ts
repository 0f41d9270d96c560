/**
 * Dead letters that were given back behind an exchange: each giving is an object of the job's, `given/<n>`, which lists records as they were
 * sent. A generation that begins has their tasks hold them, as if they had come in before anything else, so they pass once through the
 * operators that they were sent to; what a checkpoint contains of them follows from the generation that took it.
 *
 * V1 An object is written once, and never changed. Numbers have no gaps: who writes n has seen n − 1.
 * V2 The generation takes in those above what the checkpoint contains that it begins from, up to the number in its job record: that does not
 *    change any more.
 * V3 What was put aside after that checkpoint is left out: its record comes again.
 */
import { ByteWriter } from "../base/byte-writer.ts";
import { type BlobName, type ChannelId, type Generation, id, type Seq, type TaskId } from "../base/ids.ts";
import { decodeValue } from "../base/message-pack.ts";
import { decodeJsonLines, encodeJsonLines } from "../base/json-lines.ts";
import * as is from "../base/shape.ts";
import type { Side } from "../api/graph.ts";
import type { Key } from "../api/key.ts";
import { writeRecord } from "../streaming/element.ts";
import { takeFrame, writeFrameHeader } from "../streaming/frame.ts";
import { channelId } from "../streaming/channel.ts";
import type { Manifest } from "./manifest.ts";

export const givenPrefix = "given/";
const digits = 6;

export function givenName(n: number): BlobName {
  return id<BlobName>(givenPrefix + String(n).padStart(digits, "0"));
}

/** The number in an object's name. */
export function parseGiven(name: string): number | undefined {
  const match = /^given\/(\d+)$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** A record as it was sent to an operator, and what became of it. */
export interface GivenLetter {
  /** Its name among the dead letters: what was given back once is not again. */
  readonly id: string;
  /** The commit that put it aside. */
  readonly generation: Generation;
  readonly task: TaskId;
  readonly seq: Seq;
  /** The operator that it was sent to, and which of its inputs. */
  readonly to: string;
  readonly input: Side;
  /** Encoded, base64; not there: it was sent without a key. */
  readonly key?: string;
  /** Event time; null: none. */
  readonly timestamp: number | null;
  /** The record, encoded, base64. */
  readonly bytes: string;
}

const letterShape = is.object({
  ...{ id: is.text, generation: is.count, task: is.text, seq: is.count, to: is.text, input: is.oneOf(0, 1), bytes: is.text },
  key: is.optional(is.text),
  timestamp: (value: unknown) => (value === null ? undefined : is.time(value)),
});

export function encodeGiven(letters: readonly GivenLetter[]): Uint8Array {
  return encodeJsonLines(letters);
}

/** Throws `corrupt`. */
export function decodeGiven(bytes: Uint8Array): readonly GivenLetter[] {
  return decodeJsonLines(bytes, "a record that was given back", letterShape);
}

/** Its key; undefined: it was sent without one. */
export function keyOf({ key }: GivenLetter): Key | undefined {
  return key === undefined ? undefined : (decodeValue(Buffer.from(key, "base64")) as Key);
}

/** V3: whether the letter was put aside by a commit that the checkpoint contains, or one before it. */
export function isBefore(manifest: Pick<Manifest, "generation" | "tasks">, { generation, task, seq }: GivenLetter): boolean {
  if (generation !== manifest.generation) return generation < manifest.generation;
  const lastSeq = manifest.tasks.find((ack) => ack.task === task)?.lastSeq;
  return lastSeq !== undefined && seq <= lastSeq;
}

/** The channel on which a task holds what was given back. No task sends on it. */
export function givenChannel(task: TaskId): ChannelId {
  return channelId(id<TaskId>("given"), task);
}

/** So long a frame of given records gets: each ends in a commit of its own. */
const frameBytesMax = 256 * 1024;

/** The records as frames that the task holds, in their order. `edgeOf`: what leads to the operator's input (plan/direct-edge.ts). */
export function framesOfGiven(
  letters: readonly GivenLetter[],
  to: { readonly job: string; readonly generation: Generation; readonly task: TaskId },
  edgeOf: (letter: GivenLetter) => number,
): readonly Uint8Array[] {
  const frames: Uint8Array[] = [];
  const writer = new ByteWriter(1024);
  const header = { job: to.job, generation: to.generation, deployment: 0, channel: givenChannel(to.task) };
  for (let n = 0; n < letters.length;) {
    writer.clear();
    writeFrameHeader(writer, { ...header, seq: frames.length });
    for (; n < letters.length && writer.length < frameBytesMax; n++) {
      const letter = letters[n]!;
      const value = decodeValue(Buffer.from(letter.bytes, "base64"));
      writeRecord(writer, edgeOf(letter), keyOf(letter), letter.timestamp ?? NaN, value);
    }
    frames.push(takeFrame(writer));
  }
  return frames;
}
