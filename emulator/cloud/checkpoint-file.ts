/** Where the mappings of a cloud that outlives its process have got: one small file, replaced whole. */
import { readFile, rename, writeFile } from "node:fs/promises";
import { messageOf, MillraceError } from "../../runtime/base/errors.ts";
import type { Checkpoints } from "../event-source-mapping/event-source-mapping.ts";

/** How long a checkpoint waits for others: what is lost with a process comes again. */
const saveAfterMs = 300;

export class CheckpointFile {
  readonly #path: string;
  readonly #stored: Record<string, Record<string, string>>;
  readonly #mappings = new Map<string, Checkpoints>();
  #saving: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  private constructor(path: string, stored: Record<string, Record<string, string>>) {
    this.#path = path;
    this.#stored = stored;
  }

  /** Throws `corrupt` for a file that is no JSON. */
  static async open(path: string): Promise<CheckpointFile> {
    const text = await readFile(path, "utf8").catch(() => "{}");
    try {
      return new CheckpointFile(path, JSON.parse(text) as Record<string, Record<string, string>>);
    } catch (error) {
      throw new MillraceError("corrupt", `the mappings' checkpoints cannot be read: ${path}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** The checkpoints of a mapping: its own to change, followed by `touch`. */
  of(mapping: string): Checkpoints {
    const checkpoints: Checkpoints = new Map(Object.entries(this.#stored[mapping] ?? {}));
    this.#mappings.set(mapping, checkpoints);
    return checkpoints;
  }

  /** They have changed. */
  touch(): void {
    this.#timer ??= setTimeout(() => void this.save(), saveAfterMs).unref();
  }

  save(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#saving = this.#saving.then(() => this.#write());
    return this.#saving;
  }

  async #write(): Promise<void> {
    const current = Object.fromEntries([...this.#mappings].map(([name, shards]) => [name, Object.fromEntries(shards)]));
    await writeFile(`${this.#path}.new`, JSON.stringify({ ...this.#stored, ...current }, null, 2));
    await rename(`${this.#path}.new`, this.#path);
  }
}
