/**
 * Dead letters as files: one NDJSON object per commit that has any, `g<generation>-<task>-<seq>.ndjson`.
 *
 * The file is there whole or not at all, and the same commit always makes the same file, so writing it again changes nothing.
 */
import { join } from "node:path";
import type { DeadLetter, DeadLetterBatch } from "../ports/sink-driver.ts";
import { writeWhole } from "./files/durable-file.ts";
import { partFileName } from "./files/part-name.ts";
import { utf8Text } from "./formats/utf8.ts";

/** One line of a dead letter file. */
export interface DeadLetterLine {
  readonly reason: string;
  readonly operator: string;
  readonly shard: string;
  readonly position: string;
  /** The original bytes, base64. */
  readonly bytes: string;
  /** The same, where they are valid UTF-8. */
  readonly text?: string;
}

export class DeadLetterFiles {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async write({ generation, task, seq, letters }: DeadLetterBatch): Promise<void> {
    const name = partFileName({ prefix: "", extension: "ndjson" }, { generation, task, seq, n: 0 });
    const lines = letters.map((letter) => `${JSON.stringify(toLine(letter))}\n`);
    if (lines.length > 0) await writeWhole(join(this.#directory, name), Buffer.from(lines.join("")));
  }
}

function toLine({ reason, operator, shard, position, bytes }: DeadLetter): DeadLetterLine {
  const text = utf8Text(bytes);
  const line = { reason, operator, shard, position, bytes: Buffer.from(bytes).toString("base64") };
  return text === undefined ? line : { ...line, text };
}
