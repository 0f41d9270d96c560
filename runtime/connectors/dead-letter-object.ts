/**
 * The dead letters of a commit as one object of NDJSON, `g<generation>-<task>-<seq>.ndjson`; those of what a receiver would not take, one
 * for each effect, `g<generation>-<task>-<seq>.<effect + 1>.ndjson`.
 *
 * The same commit always makes the same object, so writing it again changes nothing. An effect that is repeated may find that other
 * messages are refused: the last object stands for the last time, in which every message was taken or is in it.
 */
import type { DeadLetter, DeadLetterBatch } from "../ports/sink-driver.ts";
import { backLine, type BackLine } from "../api/given-back.ts";
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
  /** How it can be given back to its operator, and which task put it aside; not there: it is a source's, or cannot be given back. */
  readonly back?: BackLine & { readonly task: string };
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

function toLine({ reason, operator, shard, position, bytes, source, header, back }: DeadLetter, task: string): DeadLetterLine {
  const text = utf8Text(bytes);
  const line = {
    ...{ reason, operator, shard, position, bytes: Buffer.from(bytes).toString("base64") },
    ...(source !== undefined && { source }),
    ...(header !== undefined && { header }),
    ...(back !== undefined && { back: { ...backLine(back), task } }),
  };
  return text === undefined ? line : { ...line, text };
}
