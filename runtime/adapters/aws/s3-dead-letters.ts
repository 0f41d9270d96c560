/**
 * Dead letters as objects in S3, one per commit that has any: reason, operator, position and the original bytes, a line each. What a restore
 * takes back is moved to `.quarantine/` under the prefix, and left empty under its name: effects that are repeated late change nothing.
 */
import { deadLetterNaming, deadLetterObject } from "../../connectors/dead-letter-object.ts";
import type { DeadLetterWriter } from "../../connectors/sink-targets.ts";
import { parsePartFileName, quarantineFolder, taskInNames } from "../../connectors/files/part-name.ts";
import { isBeyond } from "../../connectors/restored.ts";
import type { DeadLetterBatch, Restored } from "../../ports/sink-driver.ts";
import type { S3Bucket } from "./s3-bucket.ts";

export class S3DeadLetters implements DeadLetterWriter {
  readonly #bucket: S3Bucket;
  readonly #prefix: string;

  /** `prefix`: what the keys begin with, such as "job/dead-letters/". */
  constructor(bucket: S3Bucket, prefix: string) {
    this.#bucket = bucket;
    this.#prefix = prefix;
  }

  async check(): Promise<void> {
    await this.#bucket.check();
    await this.#bucket.checkWrite(`${this.#prefix}check`);
  }

  async write(batch: DeadLetterBatch): Promise<void> {
    const { name, bytes } = deadLetterObject(batch);
    if (batch.letters.length > 0) await this.#bucket.put(this.#prefix + name, bytes, { ifAbsent: true });
  }

  async quarantine(restored: Restored): Promise<void> {
    for (const { key, sizeBytes } of await this.#bucket.listAll(`${this.#prefix}g`)) {
      const name = key.slice(this.#prefix.length);
      const part = parsePartFileName(deadLetterNaming, name);
      if (part === undefined || sizeBytes === 0 || part.generation >= restored.generation) continue;
      if (!isBeyond(part, restored, taskInNames)) continue;
      await this.#bucket.copy(key, `${this.#prefix}${quarantineFolder}/${name}`);
      await this.#bucket.put(key, new Uint8Array(0));
    }
  }
}
