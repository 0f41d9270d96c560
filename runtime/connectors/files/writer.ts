/**
 * Carries out what a file sink's commits ask for, in one directory.
 *
 * Owns: the files named by part-name.ts. Keeps nothing in memory, so it does not matter who carries an operation out, or how often.
 *
 * O1 A finished file is never written, cut or replaced.
 * O2 A file gets its name when its bytes, all of them and no more, are on the disk; a write is on the disk when it is done,
 *    because the commit after it will not repeat it (R3).
 * O3 A generation taken back by a restore writes no more.
 */
import { readdir, rename } from "node:fs/promises";
import { createReadStream } from "node:fs";
import { basename, join } from "node:path";
import { crc32 } from "node:zlib";
import { MillraceError } from "../../base/errors.ts";
import type { Restored, SinkEffect } from "../../ports/sink-driver.ts";
import { isBeyond } from "../restored.ts";
import type { SinkTarget } from "../sink-target.ts";
import {
  exists,
  giveName,
  makeDirectory,
  readIfThere,
  remove,
  sizeOf,
  syncDirectory,
  writeAt,
  writeWhole,
} from "./durable-file.ts";
import { errorCode, fileError } from "./file-errors.ts";
import { fenceName, finishedName, parsePartFileName, type PartNaming, quarantineFolder, taskInNames } from "./part-name.ts";
import { decodePartOperation, type PublishOperation, type WriteOperation } from "./part-operation.ts";

const nothing = new Uint8Array(0);

export interface FileWriterOptions {
  readonly directory: string;
  readonly naming: PartNaming;
  /** Whether writes wait for the disk; without, a power failure (not a crash of the process) can lose rows. Default true. */
  readonly durable?: boolean;
}

export class FileWriter implements SinkTarget {
  readonly #directory: string;
  readonly #naming: PartNaming;
  readonly #durable: boolean;

  constructor({ directory, naming, durable = true }: FileWriterOptions) {
    this.#directory = directory;
    this.#naming = naming;
    this.#durable = durable;
  }

  async carryOut({ generation, payload }: SinkEffect): Promise<void> {
    const operation = decodePartOperation(payload);
    try {
      await this.#checkFence(generation);
      await (operation.op === "write" ? this.#write(operation) : this.#publish(operation));
    } catch (error) {
      throw fileError(error, this.#path(operation.file), "write");
    }
  }

  async quarantine(restored: Restored): Promise<void> {
    try {
      // First, so that no zombie publishes between the listing and the end.
      await this.#raiseFence(restored.generation);
      for (const name of await readdir(this.#directory)) await this.#takeBack(name, restored);
      await syncDirectory(this.#directory);
    } catch (error) {
      throw fileError(error, this.#directory, "write");
    }
  }

  async #write({ part, file, offset, bytes }: WriteOperation): Promise<void> {
    if (await exists(this.#path(file))) return;
    await makeDirectory(this.#directory);
    await writeAt(this.#path(part), offset, bytes, { durable: this.#durable });
    // Published meanwhile by another: then this was a new part that nobody needs.
    if (await exists(this.#path(file))) await remove(this.#path(part));
  }

  async #publish(operation: PublishOperation): Promise<void> {
    const file = this.#path(operation.file);
    const part = this.#path(operation.part);
    if (await exists(file)) await checkPublished(file, operation);
    else {
      if (operation.bytes.length > 0) await this.#write({ ...operation, op: "write" });
      await this.#finish(part, file, operation);
    }
    await remove(part);
    if (this.#durable) await syncDirectory(this.#directory);
  }

  /** Cuts off what does not belong to the part, and gives it its name when it is whole and on the disk. */
  async #finish(part: string, file: string, { length, crc32: checksum }: PublishOperation): Promise<void> {
    const written = await sizeOf(part);
    if (written === undefined && (await exists(file))) return; // Published by another since we looked.
    if (written === undefined || written < length) throw incomplete(`of ${length} bytes there are ${written ?? 0}`, part);
    await writeAt(part, 0, nothing, { length, durable: this.#durable });
    if ((await checksumOf(part)) === checksum) await giveName(part, file);
    else if (!(await exists(file))) throw incomplete("its checksum is another", part);
  }

  async #takeBack(name: string, restored: Restored): Promise<void> {
    const part = finishedName(name);
    const id = parsePartFileName(this.#naming, part ?? name);
    if (id === undefined || id.generation >= restored.generation) return;
    if (part !== undefined) await remove(this.#path(name));
    else if (isBeyond(id, restored, taskInNames)) await rename(this.#path(name), this.#path(quarantineFolder, name));
  }

  async #checkFence(generation: number): Promise<void> {
    const fence = await this.#fence();
    if (generation >= fence) return;
    const message = `generation ${fence} has taken over these files; for a new job, name another directory or empty this one`;
    throw new MillraceError("fenced", `${message}: generation ${generation}, ${this.#directory}`);
  }

  async #raiseFence(generation: number): Promise<void> {
    if ((await this.#fence()) < generation) await writeWhole(this.#fencePath(), Buffer.from(`${generation}\n`));
  }

  async #fence(): Promise<number> {
    const text = await readIfThere(this.#fencePath());
    return text === undefined ? 0 : Number(text.toString("latin1"));
  }

  #fencePath(): string {
    return join(this.#directory, quarantineFolder, fenceName(this.#naming));
  }

  #path(...names: readonly string[]): string {
    return join(this.#directory, ...names.map((name) => basename(name)));
  }
}

function incomplete(what: string, part: string): MillraceError {
  return new MillraceError("corrupt", `rows of a committed file are missing or damaged: ${what}: ${part}`);
}

/** A file that was there already must be the same: another would mean that two jobs write to one directory. */
async function checkPublished(path: string, { length, crc32: checksum }: PublishOperation): Promise<void> {
  if ((await sizeOf(path)) === length && (await checksumOf(path)) === checksum) return;
  const message =
    "a file of this name is there with other contents, from another job or an earlier run: move it away, or name another directory";
  throw new MillraceError("invalid", `${message}: ${path}`);
}

/** Undefined when there is no such file. */
async function checksumOf(path: string): Promise<number | undefined> {
  let checksum = 0;
  try {
    for await (const bytes of createReadStream(path, { highWaterMark: 1 << 20 })) checksum = crc32(bytes, checksum);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  return checksum;
}
