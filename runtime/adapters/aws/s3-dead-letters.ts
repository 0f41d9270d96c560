/** Dead letters as objects in S3, one per commit that has any: reason, operator, position and the original bytes, a line each. */
import { deadLetterObject } from "../../connectors/dead-letter-object.ts";
import type { DeadLetterWriter } from "../../connectors/sink-targets.ts";
import type { DeadLetterBatch } from "../../ports/sink-driver.ts";
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
    if (batch.letters.length > 0) await this.#bucket.put(this.#prefix + name, bytes);
  }
}
