/**
 * The dead letters of a commit as one object of NDJSON, `g<generation>-<task>-<seq>.ndjson`; those of what a receiver would not take, one
 * for each effect, `g<generation>-<task>-<seq>.<effect + 1>.ndjson`.
 *
 * The same commit always makes the same object, so writing it again changes nothing. An effect that is repeated may find that other
 * messages are refused: the last object stands for the last time, in which every message was taken or is in it.
 */
import type { DeadLetter, DeadLetterBatch } from "../ports/sink-driver.ts";
import { partFileName } from "./files/part-name.ts";
import { utf8Text } from "./formats/utf8.ts";

/** One line. */
export interface DeadLetterLine {
  readonly reason: string;
  readonly operator: string;
  readonly shard: string;
  readonly position: string;
  /** The original bytes, base64. */
  readonly bytes: string;
  /** The same, where they are valid UTF-8. */
  readonly text?: string;
  /** Of a record as it was read: the source, to which it can be given back. */
  readonly source?: string;
  /** Of a record of a file: the line that names its fields. */
  readonly header?: string;
  /** Of a record that came over an exchange: how, and to which task. With it the record can be given back. */
  readonly sent?: SentLine;
}

export interface SentLine {
  readonly task: string;
  readonly to: string;
  readonly input: 0 | 1;
  /** Encoded, base64. */
  readonly key?: string;
  /** Event time, epoch ms; null: none. */
  readonly timestamp: number | null;
}

/** How the objects are named. */
export const deadLetterNaming = { prefix: "", extension: "ndjson" } as const;

export interface NamedBytes {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export function deadLetterObject({ generation, task, seq, effect = -1, letters }: DeadLetterBatch): NamedBytes {
  const name = partFileName(deadLetterNaming, { generation, task, seq, n: effect + 1 });
  return { name, bytes: Buffer.from(letters.map((letter) => `${JSON.stringify(toLine(letter, task))}\n`).join("")) };
}

function toLine({ reason, operator, shard, position, bytes, source, header, sent }: DeadLetter, task: string): DeadLetterLine {
  const text = utf8Text(bytes);
  const line = {
    ...{ reason, operator, shard, position, bytes: Buffer.from(bytes).toString("base64") },
    ...(source !== undefined && { source }),
    ...(header !== undefined && { header }),
    ...(sent !== undefined && { sent: sentLine(sent, task) }),
  };
  return text === undefined ? line : { ...line, text };
}

function sentLine({ to, input, key, timestamp }: NonNullable<DeadLetter["sent"]>, task: string): SentLine {
  const encoded = key === undefined ? {} : { key: Buffer.from(key).toString("base64") };
  return { task, to, input, ...encoded, timestamp: timestamp ?? null };
}
