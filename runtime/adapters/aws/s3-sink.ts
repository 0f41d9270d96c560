/**
 * Carries out what an S3 sink's commits ask for, in one bucket under one prefix.
 *
 * | key                                  | what                                                              |
 * |--------------------------------------|-------------------------------------------------------------------|
 * | `<prefix><name>`                     | a finished object (files/part-name.ts); never changed; empty: a restore took it back |
 * | `<prefix>.parts/<name>/<offset>`     | a piece of an object that is not finished; deleted when it is      |
 * | `<prefix>.quarantine/<name>`         | a finished object that a restore took back                        |
 *
 * O1 A finished object is created once, whole (`If-None-Match: *`), with its checksum beside it: who comes later finds its own.
 * O2 A name that was taken back stays in use, by an empty object: a zombie, however late, cannot publish it again.
 * O3 Pieces left by a crash or a zombie hinder nobody; a restore deletes those of older generations, a lifecycle rule may delete the rest.
 */
import { crc32 } from "node:zlib";
import { MillraceError } from "../../base/errors.ts";
import { parsePartFileName, type PartNaming, quarantineFolder, taskInNames } from "../../connectors/files/part-name.ts";
import { decodePartOperation, type PublishOperation, type WriteOperation } from "../../connectors/files/part-operation.ts";
import { isBeyond } from "../../connectors/restored.ts";
import type { SinkTarget } from "../../connectors/sink-target.ts";
import type { Restored, SinkEffect } from "../../ports/sink-driver.ts";
import { eachOf } from "./each-of.ts";
import type { ObjectInfo, S3Bucket } from "./s3-bucket.ts";

const checksumName = "millrace-crc32";
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
}

export class S3Sink implements SinkTarget {
  readonly #bucket: S3Bucket;
  readonly #prefix: string;
  readonly #naming: PartNaming;

  constructor({ bucket, prefix, extension }: S3SinkOptions) {
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
    for (let generation = restored.from; generation < restored.generation; generation++)
      await eachOf(await this.#bucket.listAll(`${this.#prefix}g${generation}-`), objectsAtOnce, (object) =>
        this.#takeBack(object, restored),
      );
    const pieces = await this.#bucket.listAll(this.#key(partsFolder, ""));
    const old = pieces.filter(({ key }) => (this.#parse(key.split("/").at(-2)!)?.generation ?? Infinity) < restored.generation);
    await this.#bucket.delete(old.map(({ key }) => key));
  }

  async check(): Promise<void> {
    await this.#bucket.check();
    await this.#bucket.checkWrite(this.#key(partsFolder, "check"));
  }

  async #write({ file, offset, bytes }: WriteOperation): Promise<void> {
    await this.#bucket.put(this.#key(partsFolder, file, String(offset).padStart(offsetDigits, "0")), bytes);
  }

  async #publish(operation: PublishOperation): Promise<void> {
    const { file, offset, length, crc32: checksum } = operation;
    const pieces = offset === 0 ? [] : await this.#bucket.listAll(this.#key(partsFolder, file, ""));
    const key = this.#key(file);
    const bytes = offset === 0 ? operation.bytes : await this.#assemble(pieces, operation);
    if (bytes === undefined || bytes.length !== length || crc32(bytes) !== checksum) {
      // Its pieces go when it is there.
      if (!(await this.#isPublished(operation))) throw incomplete(key);
    } else {
      const metadata = { [checksumName]: String(checksum) };
      const outcome = await this.#bucket.put(key, bytes, { ifAbsent: true, metadata });
      if (outcome === "exists" && !(await this.#isPublished(operation)))
        throw new MillraceError("unavailable", `an object was there and is gone, it is tried again: ${key}`);
    }
    await this.#bucket.delete(pieces.map((piece) => piece.key));
  }

  /** The pieces one behind the other, and what comes with the operation; undefined when one is missing. */
  async #assemble(pieces: readonly ObjectInfo[], { offset, bytes }: PublishOperation): Promise<Uint8Array | undefined> {
    const contents = await Promise.all(pieces.map(({ key }) => this.#bucket.get(key)));
    let at = 0;
    for (const [n, { key }] of pieces.entries()) {
      const content = contents[n];
      if (content === undefined || Number(key.split("/").at(-1)) !== at) return undefined;
      at += content.length;
    }
    return at === offset ? Buffer.concat([...(contents as Uint8Array[]), bytes]) : undefined;
  }

  /** False when there is no such object. Throws `fenced` for one that was taken back, `invalid` for another one of that name. */
  async #isPublished({ file, length, crc32: checksum }: PublishOperation): Promise<boolean> {
    const key = this.#key(file);
    const head = await this.#bucket.head(key);
    if (head === undefined) return false;
    if (head.sizeBytes === length && head.metadata[checksumName] === String(checksum)) return true;
    const by = head.metadata[takenBackName];
    const where = `bucket ${this.#bucket.name}, ${key}`;
    if (by !== undefined)
      throw new MillraceError("fenced", `generation ${by} has taken this object back, another process has taken over: ${where}`);
    const message =
      "an object of this name is there with other contents, from another job or an earlier run: move it away, or give the sink another prefix";
    throw new MillraceError("invalid", `${message}: ${where}`);
  }

  /** May be repeated: what is empty has been taken back. */
  async #takeBack({ key, sizeBytes }: ObjectInfo, restored: Restored): Promise<void> {
    const name = key.slice(this.#prefix.length);
    const id = this.#parse(name);
    if (id === undefined || sizeBytes === 0 || !isBeyond(id, restored, taskInNames)) return;
    await this.#bucket.copy(key, this.#key(quarantineFolder, name));
    await this.#bucket.put(key, new Uint8Array(), { metadata: { [takenBackName]: String(restored.generation) } });
  }

  #parse(name: string) {
    return parsePartFileName(this.#naming, name);
  }

  #key(...parts: readonly string[]): string {
    return this.#prefix + parts.join("/");
  }
}

function incomplete(key: string): MillraceError {
  return new MillraceError("corrupt", `rows of a committed object are missing or damaged, its pieces are not all there: ${key}`);
}
