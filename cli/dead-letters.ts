/** The dead letters of a job, read from where they were put, in the order in which they were. */
import { type DeadLetterLine, deadLetterNaming } from "../runtime/connectors/dead-letter-object.ts";
import { parsePartFileName } from "../runtime/connectors/files/part-name.ts";
import { MillraceError, messageOf } from "../runtime/base/errors.ts";
import * as is from "../runtime/base/shape.ts";
import { backLineShape } from "../runtime/api/given-back.ts";
import type { LetterStore } from "./target/target.ts";

export interface Letter extends DeadLetterLine {
  /** The object and the line in it: stays the same. */
  readonly id: string;
  readonly generation: number;
  /** Of the commit that put it aside. */
  readonly task: string;
  readonly seq: number;
}

/** Which of them. */
export interface LetterFilter {
  readonly operator?: string | undefined;
  /** A part of the reason. */
  readonly reason?: string | undefined;
}

/** By generation, task and commit. */
export async function* readLetters(store: LetterStore, filter: LetterFilter = {}): AsyncGenerator<Letter> {
  const names = (await store.list()).flatMap((name) => {
    const part = parsePartFileName(deadLetterNaming, name);
    return part === undefined ? [] : [{ name, ...part }];
  });
  names.sort((a, b) => a.generation - b.generation || (a.task < b.task ? -1 : a.task > b.task ? 1 : a.seq - b.seq));
  for (const { name, generation, task, seq } of names) {
    let line = 0;
    for (const text of (await store.read(name)).split("\n")) {
      line++;
      if (text === "") continue;
      const letter = { id: `${name}:${line}`, generation, task, seq, ...parseLetter(text, name, line) };
      if (isWanted(letter, filter)) yield letter;
    }
  }
}

const letterShape = is.object({
  ...{ reason: is.text, operator: is.text, shard: is.text, position: is.text, bytes: is.text },
  ...{ text: is.optional(is.text), source: is.optional(is.text), header: is.optional(is.text) },
  back: is.optional((value: unknown) => backLineShape(value) ?? is.object({ task: is.text })(value)),
});

/** Throws `corrupt`. */
export function parseLetter(text: string, name: string, line: number): DeadLetterLine {
  let letter: unknown;
  try {
    letter = JSON.parse(text);
  } catch (error) {
    throw new MillraceError("corrupt", `a dead letter is not JSON: ${messageOf(error)}: ${name}, line ${line}`);
  }
  is.checkShape(`the dead letter in line ${line} of ${name}`, letter, letterShape);
  return letter as DeadLetterLine;
}

function isWanted({ operator, reason }: Letter, filter: LetterFilter): boolean {
  if (filter.operator !== undefined && operator !== filter.operator) return false;
  return filter.reason === undefined || reason.includes(filter.reason);
}
