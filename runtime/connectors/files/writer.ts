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
import { basename, dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import { MillraceError } from "../../base/errors.ts";
import type { Restored, SinkEffect } from "../../ports/sink-driver.ts";
import { isBeyond } from "../restored.ts";
import type { Format } from "../formats/format.ts";
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
import {
  fenceName,
  finishedName,
  openPartName,
  parsePartFileName,
  type PartNaming,
  quarantineFolder,
  taskInNames,
} from "./part-name.ts";
import { decodePartOperation, type PublishOperation, stampOf, type WriteOperation } from "./part-operation.ts";
import { isPartitionFolder } from "./partition.ts";

const nothing = new Uint8Array(0);

export interface FileWriterOptions {
  readonly directory: string;
  readonly naming: PartNaming;
  /** Of a format whose files are made of all their rows at once: makes one (`Format.assemble`). */
  readonly assemble?: Format<any>["assemble"];
  /** Whether writes wait for the disk; without, a power failure (not a crash of the process) can lose rows. Default true. */
  readonly durable?: boolean;
}

export class FileWriter implements SinkTarget {
  readonly #directory: string;
  readonly #naming: PartNaming;
  readonly #assemble: Format<any>["assemble"];
  readonly #durable: boolean;

  constructor({ directory, naming, assemble, durable = true }: FileWriterOptions) {
    this.#assemble = assemble;
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
      throw fileError(error, this.#pathOf(operation, operation.file), "write");
    }
  }

  async quarantine(restored: Restored): Promise<void> {
    try {
      // First, so that no zombie publishes between the listing and the end.
      await this.#raiseFence(restored.generation);
      for (const folder of await foldersIn(this.#directory)) {
        for (const name of await readdir(join(this.#directory, folder))) await this.#takeBack(folder, name, restored);
        await syncDirectory(join(this.#directory, folder));
      }
    } catch (error) {
      throw fileError(error, this.#directory, "write");
    }
  }

  async #write(operation: WriteOperation): Promise<void> {
    const [file, part] = this.#pathsOf(operation);
    if (await exists(file)) return;
    await makeDirectory(dirname(file));
    await writeAt(part, operation.offset, operation.bytes, { durable: this.#durable });
    // Published meanwhile by another: then this was a new part that nobody needs.
    if (await exists(file)) await remove(part);
  }

  async #publish(operation: PublishOperation): Promise<void> {
    const [file, part] = this.#pathsOf(operation);
    if (await exists(file)) await this.#checkPublished(file, operation);
    else {
      if (operation.bytes.length > 0) await this.#write({ ...operation, op: "write" });
      await this.#finish(part, file, operation);
    }
    await remove(part);
    if (this.#durable) await syncDirectory(dirname(file));
  }

  /** Cuts off what does not belong to the part, and gives it its name when it is whole and on the disk. */
  async #finish(part: string, file: string, operation: PublishOperation): Promise<void> {
    const { length, crc32: checksum } = operation;
    const written = await sizeOf(part);
    if (written === undefined && (await exists(file))) return; // Published by another since we looked.
    if (written === undefined || written < length) throw incomplete(`of ${length} bytes there are ${written ?? 0}`, part);
    await writeAt(part, 0, nothing, { length, durable: this.#durable });
    if ((await checksumOf(part)) === checksum) await this.#giveName(part, file, operation);
    else if (!(await exists(file))) throw incomplete("its checksum is another", part);
  }

  async #giveName(part: string, file: string, operation: PublishOperation): Promise<void> {
    if (this.#assemble === undefined) return giveName(part, file);
    const rows = await readIfThere(part);
    // Another has published it and taken its part away.
    if (rows === undefined) return;
    const whole = join(dirname(file), openPartName(`${basename(file)}.whole`));
    const bytes = this.#assemble(rows, stampOf(operation));
    await writeAt(whole, 0, bytes, { length: bytes.length, durable: this.#durable });
    await giveName(whole, file);
    await remove(whole);
  }

  /** A file that was there already must be the same: another would mean that two jobs write to one directory. */
  async #checkPublished(path: string, operation: PublishOperation): Promise<void> {
    const isSame =
      this.#assemble === undefined
        ? (await sizeOf(path)) === operation.length && (await checksumOf(path)) === operation.crc32
        : (await readIfThere(path))?.includes(stampOf(operation), 0, "latin1") === true;
    if (isSame) return;
    const message =
      "a file of this name is there with other contents, from another job or an earlier run: move it away, or name another directory";
    throw new MillraceError("invalid", `${message}: ${path}`);
  }

  async #takeBack(folder: string, name: string, restored: Restored): Promise<void> {
    const part = finishedName(name);
    const id = parsePartFileName(this.#naming, part?.replace(/\.whole$/, "") ?? name);
    if (id === undefined || id.generation >= restored.generation) return;
    const path = join(this.#directory, folder, name);
    if (part !== undefined) await remove(path);
    else if (isBeyond(id, restored, taskInNames)) {
      const quarantine = join(this.#directory, quarantineFolder, folder);
      await makeDirectory(quarantine);
      await rename(path, join(quarantine, name));
    }
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

  #pathsOf(operation: WriteOperation | PublishOperation): readonly [file: string, part: string] {
    return [this.#pathOf(operation, operation.file), this.#pathOf(operation, operation.part)];
  }

  /** Whatever the operation says, it lies in the directory. */
  #pathOf({ folder = "" }: WriteOperation | PublishOperation, name: string): string {
    return join(this.#directory, ...folder.split("/").filter(isPartitionFolder), basename(name));
  }
}

/** Below a directory, those of partitions, and itself: "". */
export async function foldersIn(directory: string, folder = ""): Promise<readonly string[]> {
  const entries = await readdir(join(directory, folder), { withFileTypes: true });
  const below = entries.filter((entry) => entry.isDirectory() && isPartitionFolder(entry.name));
  return [folder, ...(await Promise.all(below.map(({ name }) => foldersIn(directory, join(folder, name))))).flat()];
}

function incomplete(what: string, part: string): MillraceError {
  return new MillraceError("corrupt", `rows of a committed file are missing or damaged: ${what}: ${part}`);
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
