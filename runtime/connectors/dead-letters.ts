/** Dead letters as files, each there whole or not at all. What a restore takes back lies in `.quarantine/`. */
import { readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import type { DeadLetterBatch, Restored } from "../ports/sink-driver.ts";
import { deadLetterNaming, deadLetterObject } from "./dead-letter-object.ts";
import { exists, makeDirectory, writeWhole } from "./files/durable-file.ts";
import { parsePartFileName, quarantineFolder, taskInNames } from "./files/part-name.ts";
import { isBeyond } from "./restored.ts";
import type { DeadLetterWriter } from "./sink-targets.ts";

export class DeadLetterFiles implements DeadLetterWriter {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async write(batch: DeadLetterBatch): Promise<void> {
    const { name, bytes } = deadLetterObject(batch);
    // Of a commit that was taken back, whose effects are repeated late.
    if (batch.letters.length === 0 || (await exists(join(this.#directory, quarantineFolder, name)))) return;
    await writeWhole(join(this.#directory, name), bytes);
  }

  async quarantine(restored: Restored): Promise<void> {
    const names = await readdir(this.#directory).catch(() => []);
    const beyond = names.filter((name) => {
      const part = parsePartFileName(deadLetterNaming, name);
      return part !== undefined && part.generation < restored.generation && isBeyond(part, restored, taskInNames);
    });
    if (beyond.length === 0) return;
    await makeDirectory(join(this.#directory, quarantineFolder));
    for (const name of beyond) await rename(join(this.#directory, name), join(this.#directory, quarantineFolder, name));
  }
}
