/**
 * Carries out what an S3 sink's commits ask for, in one bucket under one prefix.
 *
 * | key                                  | what                                                              |
 * |--------------------------------------|-------------------------------------------------------------------|
 * | `<prefix><name>`                     | a finished object (files/part-name.ts); never changed; without rows: a restore took it back |
 * | `<prefix>.parts/<name>/<offset>`     | a piece of an object that is not finished; deleted when it is      |
 * | `<prefix>.quarantine/<name>`         | a finished object that a restore took back                        |
 *
 * Of a partitioned sink the folders of the partition (files/partition.ts) stand before the name, after `.parts` and `.quarantine` too.
 *
 * O1 A finished object is created once, whole (`If-None-Match: *`), with its checksum beside it: who comes later finds its own.
 * O2 A name that was taken back stays in use, by an object without rows: a zombie, however late, cannot publish it again. It is empty, or
 *    what its format makes of no rows, so that readers of whole folders take it.
 * O3 Pieces left by a crash or a zombie hinder nobody; a restore deletes those of older generations, a lifecycle rule may delete the rest.
 */
import { crc32 } from "node:zlib";
import { MillraceError } from "../../base/errors.ts";
import { parsePartFileName, type PartNaming, quarantineFolder, taskInNames } from "../../connectors/files/part-name.ts";
import {
  decodePartOperation,
  type PublishOperation,
  stampOf,
  type WriteOperation,
} from "../../connectors/files/part-operation.ts";
import { isPartitionFolder } from "../../connectors/files/partition.ts";
import type { Format } from "../../connectors/formats/format.ts";
import { isBeyond } from "../../connectors/restored.ts";
import type { SinkTarget } from "../../connectors/sink-target.ts";
import type { Restored, SinkEffect } from "../../ports/sink-driver.ts";
import { together } from "../../ports/together.ts";
import { eachOf } from "../../connectors/each-of.ts";
import type { Metadata, ObjectInfo, S3Bucket } from "./s3-bucket.ts";

const checksumName = "millrace-crc32";
/** Of objects that are made of all their rows at once: how many bytes those had. */
const rowsBytesName = "millrace-rows-bytes";
const takenBackName = "millrace-taken-back-by";
const partsFolder = ".parts";
/** Taken back side by side. */
const objectsAtOnce = 16;
/** Enough for pieces to be listed in the order of their offsets. */
const offsetDigits = 12;

export interface S3SinkOptions {
  readonly bucket: S3Bucket;
  /** Empty, or ending with "/". */
  readonly prefix: string;
  readonly extension: string;
  /** Objects lie in folders of partitions. Default false. */
  readonly partitioned?: boolean;
  /** Of a format whose objects are made of all their rows at once: makes one. */
  readonly assemble?: Format<any>["assemble"];
}

export class S3Sink implements SinkTarget {
  readonly #bucket: S3Bucket;
  readonly #prefix: string;
  readonly #naming: PartNaming;
  readonly #partitioned: boolean;
  readonly #assemble: Format<any>["assemble"];
  /** What is left of an object that was taken back: smaller than any that has rows. */
  readonly #withoutRows: Uint8Array;

  constructor({ bucket, prefix, extension, partitioned = false, assemble }: S3SinkOptions) {
    this.#partitioned = partitioned;
    this.#assemble = assemble;
    this.#withoutRows = assemble?.(new Uint8Array(), "") ?? new Uint8Array();
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.#naming = { prefix: "", extension };
  }

  async carryOut({ payload }: SinkEffect): Promise<void> {
    const operation = decodePartOperation(payload);
    if (operation.op === "write") await this.#write(operation);
    else await this.#publish(operation);
  }

  async quarantine(restored: Restored): Promise<void> {
    for (const prefix of this.#prefixesOf(restored))
      for (let after: string | undefined; ;) {
        const { objects, more } = await this.#bucket.list(prefix, after);
        await eachOf(objects, objectsAtOnce, (object) => this.#takeBack(object, restored));
        after = objects.at(-1)?.key;
        if (!more || after === undefined) break;
      }
    const pieces = await this.#bucket.listAll(this.#key(partsFolder, ""));
    const old = pieces.filter(({ key }) => (this.#parse(key.split("/").at(-2)!)?.generation ?? Infinity) < restored.generation);
    await this.#bucket.delete(old.map(({ key }) => key));
  }

  async check(): Promise<void> {
    await this.#bucket.check();
    await this.#bucket.checkWrite(this.#key(partsFolder, "check"));
  }

  async #write({ folder = "", file, offset, bytes }: WriteOperation): Promise<void> {
    const name = `${folder}${file}`;
    await this.#bucket.put(this.#key(partsFolder, name, String(offset).padStart(offsetDigits, "0")), bytes);
  }

  async #publish(operation: PublishOperation): Promise<void> {
    const { offset, length, crc32: checksum } = operation;
    const name = nameOf(operation);
    const pieces = offset === 0 ? [] : await this.#bucket.listAll(this.#key(partsFolder, name, ""));
    const key = this.#key(name);
    const rows = offset === 0 ? operation.bytes : await this.#together(pieces, operation);
    if (rows === undefined || rows.length !== length || crc32(rows) !== checksum) {
      // Its pieces go when it is there.
      if (!(await this.#isPublished(operation))) throw incomplete(key);
    } else {
      const bytes = this.#assemble?.(rows, stampOf(operation)) ?? rows;
      const outcome = await this.#bucket.put(key, bytes, { ifAbsent: true, metadata: this.#metadataOf(operation) });
      if (outcome === "exists" && !(await this.#isPublished(operation)))
        throw new MillraceError("unavailable", `an object was there and is gone, it is tried again: ${key}`);
    }
    await this.#bucket.delete(pieces.map((piece) => piece.key));
  }

  #metadataOf({ length, crc32: checksum }: PublishOperation): Metadata {
    const metadata = { [checksumName]: String(checksum) };
    return this.#assemble === undefined ? metadata : { ...metadata, [rowsBytesName]: String(length) };
  }

  /** The pieces one behind the other, and what comes with the operation; undefined when one is missing. */
  async #together(pieces: readonly ObjectInfo[], { offset, bytes }: PublishOperation): Promise<Uint8Array | undefined> {
    const contents = await together(pieces.map(({ key }) => this.#bucket.get(key)));
    let at = 0;
    for (const [n, { key }] of pieces.entries()) {
      const content = contents[n];
      if (content === undefined || Number(key.split("/").at(-1)) !== at) return undefined;
      at += content.length;
    }
    return at === offset ? Buffer.concat([...(contents as Uint8Array[]), bytes]) : undefined;
  }

  /** False when there is no such object. Throws `fenced` for one that was taken back, `invalid` for another one of that name. */
  async #isPublished(operation: PublishOperation): Promise<boolean> {
    const key = this.#key(nameOf(operation));
    const head = await this.#bucket.head(key);
    if (head === undefined) return false;
    const rowsBytes = this.#assemble === undefined ? head.sizeBytes : Number(head.metadata[rowsBytesName]);
    if (rowsBytes === operation.length && head.metadata[checksumName] === String(operation.crc32)) return true;
    const by = head.metadata[takenBackName];
    const where = `bucket ${this.#bucket.name}, ${key}`;
    if (by !== undefined)
      throw new MillraceError("fenced", `generation ${by} has taken this object back, another process has taken over: ${where}`);
    const message =
      "an object of this name is there with other contents, from another job or an earlier run: move it away, or give the sink another prefix";
    throw new MillraceError("invalid", `${message}: ${where}`);
  }

  /** May be repeated: what has no rows has been taken back. */
  async #takeBack({ key, sizeBytes }: ObjectInfo, restored: Restored): Promise<void> {
    const path = key.slice(this.#prefix.length);
    const folders = path.split("/").slice(0, -1);
    const id = folders.every(isPartitionFolder) ? this.#parse(path.split("/").at(-1)!) : undefined;
    if (id === undefined || id.generation < restored.from || id.generation >= restored.generation) return;
    if (sizeBytes === this.#withoutRows.length || !isBeyond(id, restored, taskInNames)) return;
    await this.#bucket.copy(key, this.#key(quarantineFolder, path));
    await this.#bucket.put(key, this.#withoutRows, { metadata: { [takenBackName]: String(restored.generation) } });
  }

  /** What the keys of objects begin with that a restore must judge. Folders come before generations: then it looks at all. */
  #prefixesOf({ from, generation }: Restored): readonly string[] {
    if (this.#partitioned) return [this.#prefix];
    return Array.from({ length: generation - from }, (_, n) => `${this.#prefix}g${from + n}-`);
  }

  #parse(name: string) {
    return parsePartFileName(this.#naming, name);
  }

  #key(...parts: readonly string[]): string {
    return this.#prefix + parts.join("/");
  }
}

function nameOf({ folder = "", file }: PublishOperation): string {
  return `${folder}${file}`;
}

function incomplete(key: string): MillraceError {
  return new MillraceError("corrupt", `rows of a committed object are missing or damaged, its pieces are not all there: ${key}`);
}
