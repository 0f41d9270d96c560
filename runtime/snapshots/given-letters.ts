/**
 * Dead letters that were given back to operators: each giving is an object of the job's, `given/<n>`, which lists records as they were
 * sent over an exchange, timers that failed, and rows and messages of sinks. A generation that begins has their tasks hold them, as if they
 * had come in before anything else, so they pass once through the operators that they were for; what a checkpoint contains of them follows
 * from the generation that took it.
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
import type { ChangeKind } from "../api/connector.ts";
import { type BackLine, backLineShape, changeShape, type WrittenAs, writtenAsShape } from "../api/given-back.ts";
import type { Side } from "../api/graph.ts";
import type { Key } from "../api/key.ts";
import type { DirectWay } from "../plan/direct-edge.ts";
import { globalNamespace, sameNamespace, voidNamespace } from "../state/namespace.ts";
import { Timer, type TimerDomain } from "../state/timer.ts";
import { writeRecord } from "../streaming/element.ts";
import type { HashRange } from "../streaming/hash-range.ts";
import { takeFrame, writeFrameHeader } from "../streaming/frame.ts";
import { channelId, lastingName } from "../streaming/channel.ts";
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

/** What was put aside, and how it is given back. */
export interface GivenLetter {
  /** Its name among the dead letters: what was given back once is not again. */
  readonly id: string;
  /** The commit that put it aside. */
  readonly generation: Generation;
  readonly task: TaskId;
  readonly seq: Seq;
  readonly back: BackLine;
  /** Of a record or a copy: itself, encoded, base64. */
  readonly bytes: string;
}

const letterShape = is.object({
  ...{ id: is.text, generation: is.count, task: is.text, seq: is.count, back: backLineShape, bytes: is.text },
});

export function encodeGiven(letters: readonly GivenLetter[]): Uint8Array {
  return encodeJsonLines(letters);
}

/** Throws `corrupt`. */
export function decodeGiven(bytes: Uint8Array): readonly GivenLetter[] {
  return decodeJsonLines(bytes, "a record that was given back", letterShape);
}

/** Its key; undefined: it has none. */
export function keyOf({ back }: GivenLetter): Key | undefined {
  return "key" in back && back.key !== undefined ? (decode(back.key) as Key) : undefined;
}

/** Under which of its operator's inputs it comes in (plan/direct-edge.ts). */
export function wayOf({ what }: BackLine): DirectWay {
  return what === "record" || what === "copy" ? what : "again";
}

export function inputOf(back: BackLine): Side {
  return "input" in back ? back.input : 0;
}

function decode(text: string): unknown {
  return decodeValue(Buffer.from(text, "base64"));
}

/** A part of the hash space, in words that tell it from others. */
export function rangeText({ from, to }: HashRange): string {
  return `${from.toString(16)}-${to.toString(16)}`;
}

/** V3: whether the letter was put aside by a commit that the checkpoint contains, or one before it. */
export function isBefore(manifest: Pick<Manifest, "generation" | "tasks">, { generation, task, seq }: GivenLetter): boolean {
  if (generation !== manifest.generation) return generation < manifest.generation;
  const lastSeq = manifest.tasks.find((ack) => ack.task === task)?.lastSeq;
  return lastSeq !== undefined && seq <= lastSeq;
}

/** Of a copy that one task could not take in: whether the checkpoint still has a part of that task's, so that what it lacks can be told. */
export function hasCopy(manifest: Pick<Manifest, "tasks">, { task, back }: GivenLetter): boolean {
  if (back.what !== "copy") return true;
  return manifest.tasks.some((ack) => lastingName(ack.task) === lastingName(task) && rangeText(ack.range) === back.range);
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
      const { back } = letter;
      const timestamp = "timestamp" in back ? (back.timestamp ?? NaN) : NaN;
      writeRecord(writer, edgeOf(letter), keyOf(letter), timestamp, valueOf(letter));
    }
    frames.push(takeFrame(writer));
  }
  return frames;
}

// ---- what comes in again ----

/** A row that is given back to its sink, as what it would have been written. */
export interface RowAgain {
  readonly what: "row";
  readonly value: unknown;
  readonly change: ChangeKind;
  readonly as: WrittenAs;
}

/** A message of a sink that is to be sent again, as the sink's writer has it. */
export interface MessageAgain {
  readonly what: "message";
  readonly message: Uint8Array;
}

/** What comes over the edge of the letter's way: a record, a timer (`timerOf`), a row or a message (`sinkAgain`). */
function valueOf({ back, bytes }: GivenLetter): unknown {
  switch (back.what) {
    case "record":
    case "copy":
      return decode(bytes);
    case "timer":
      return decode(back.value);
    case "row":
      return { what: "row", value: decode(back.value), change: back.change, as: back.as } satisfies RowAgain;
    case "message":
      return { what: "message", message: Buffer.from(back.value, "base64") } satisfies MessageAgain;
  }
}

export function timerValue({ domain, at, namespace: { start, end } }: Pick<Timer, "domain" | "at" | "namespace">): unknown {
  return [domain, at, start, end];
}

const timerShape = is.tuple(is.oneOf("eventTime", "processingTime"), is.time, is.time, is.time);

/** The timer of a `timerValue`. Throws `corrupt`. */
export function timerOf(value: unknown): Timer {
  is.checkShape("a timer that was given back", value, timerShape);
  const [domain, at, start, end] = value as readonly [TimerDomain, number, number, number];
  const known = [voidNamespace, globalNamespace].find((namespace) => sameNamespace(namespace, { start, end }));
  return new Timer(domain, at, known ?? { start, end });
}

const sinkAgainShape = is.tagged("what", {
  row: is.object({ value: is.anything, change: changeShape, as: writtenAsShape }),
  message: is.object({ message: is.bytes }),
});

/** Throws `corrupt`. */
export function sinkAgain(value: unknown): RowAgain | MessageAgain {
  is.checkShape("what was given back to a sink", value, sinkAgainShape);
  return value as RowAgain | MessageAgain;
}
