/** Dead letters as files, each there whole or not at all. */
import { join } from "node:path";
import type { DeadLetterBatch } from "../ports/sink-driver.ts";
import { deadLetterObject } from "./dead-letter-object.ts";
import { writeWhole } from "./files/durable-file.ts";
import type { DeadLetterWriter } from "./sink-targets.ts";

export class DeadLetterFiles implements DeadLetterWriter {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async write(batch: DeadLetterBatch): Promise<void> {
    const { name, bytes } = deadLetterObject(batch);
    if (batch.letters.length > 0) await writeWhole(join(this.#directory, name), bytes);
  }
}
