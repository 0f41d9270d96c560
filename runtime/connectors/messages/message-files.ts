/**
 * Files of lines that stand for a queue, a stream or a table on one machine: `<operator>.g<generation>-<task>.ndjson`, to which lines are
 * added as they would have been sent.
 *
 * F1 A line is there once, whatever is repeated: each has a version, and what is not above the last one's is there already. A line that a crash
 *    left unfinished is cut off.
 * F2 A restore takes nothing back, as from what the file stands for.
 */
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { OperatorUid } from "../../base/ids.ts";
import type { SinkEffect } from "../../ports/sink-driver.ts";
import { makeDirectory, sizeOf, syncDirectory, writeAt } from "../files/durable-file.ts";
import { fileError } from "../files/file-errors.ts";
import { taskInNames } from "../files/part-name.ts";
import type { SinkTarget } from "../sink-target.ts";
import type { ToLines } from "./message-lines.ts";

export interface MessageFilesOptions {
  readonly directory: string;
  readonly operator: OperatorUid;
  readonly toLines: ToLines;
  readonly durable?: boolean;
}

interface End {
  readonly sizeBytes: number;
  readonly version: bigint;
}

const lineFeed = 0x0a;
const tailBytes = 64 << 10;

export class MessageFiles implements SinkTarget {
  readonly #options: Required<MessageFilesOptions>;
  readonly #ends = new Map<string, End>();

  constructor(options: MessageFilesOptions) {
    this.#options = { durable: true, ...options };
  }

  async carryOut(effect: SinkEffect): Promise<void> {
    const { directory, operator, toLines, durable } = this.#options;
    const path = join(directory, messageFileName(operator, effect));
    try {
      const end = this.#ends.get(path) ?? (await this.#open(path));
      const lines = toLines(effect).filter(({ version }) => version > end.version);
      if (lines.length === 0) return;
      const bytes = Buffer.from(lines.map(({ text }) => text).join(""));
      this.#ends.delete(path);
      await writeAt(path, end.sizeBytes, bytes, { length: end.sizeBytes + bytes.length, durable });
      this.#ends.set(path, { sizeBytes: end.sizeBytes + bytes.length, version: lines.at(-1)!.version });
    } catch (error) {
      throw fileError(error, path, "write");
    }
  }

  async quarantine(): Promise<void> {}

  async #open(path: string): Promise<End> {
    const { directory, durable } = this.#options;
    const sizeBytes = await sizeOf(path);
    if (sizeBytes !== undefined) {
      const end = await endOf(path, sizeBytes);
      if (end.sizeBytes < sizeBytes) await writeAt(path, 0, new Uint8Array(), { length: end.sizeBytes, durable });
      return end;
    }
    await makeDirectory(directory);
    if (durable) await syncDirectory(directory);
    return { sizeBytes: 0, version: -1n };
  }
}

export function messageFileName(operator: string, { generation, task }: Pick<SinkEffect, "generation" | "task">): string {
  return `${encodeURIComponent(operator)}.g${generation}-${encodeURIComponent(taskInNames(task))}.ndjson`;
}

/** Whether it is one of an operator's files. */
export function isMessageFile(operator: string, name: string): boolean {
  const prefix = `${encodeURIComponent(operator)}.g`;
  return name.startsWith(prefix) && /^\d+-.*\.ndjson$/.test(name.slice(prefix.length));
}

/** Up to the last whole line, and that line's version: looked for from the end, in ever larger pieces. */
async function endOf(path: string, sizeBytes: number): Promise<End> {
  const file = await open(path, "r");
  try {
    for (let length = tailBytes; ; length *= 4) {
      const from = Math.max(0, sizeBytes - length);
      const tail = Buffer.alloc(sizeBytes - from);
      await file.read(tail, 0, tail.length, from);
      const last = tail.lastIndexOf(lineFeed);
      const before = last < 1 ? -1 : tail.lastIndexOf(lineFeed, last - 1);
      if (from > 0 && before < 0) continue;
      if (last < 0) return { sizeBytes: 0, version: -1n };
      const { version } = JSON.parse(tail.subarray(before + 1, last).toString()) as { version: string };
      return { sizeBytes: from + last + 1, version: BigInt(version) };
    }
  } finally {
    await file.close();
  }
}
