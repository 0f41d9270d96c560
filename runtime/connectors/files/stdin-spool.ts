/**
 * Standard input, kept as files so that it can be read again after a crash.
 *
 * Everything that comes in is appended to the file of this run before any reader sees it; each run's input is a shard of its
 * own. The directory belongs to the job's state: whoever deletes that deletes the input.
 *
 * | file                 | what                                    | written                      |
 * |----------------------|-----------------------------------------|------------------------------|
 * | `stdin-N`            | what run N read from standard input     | as it comes in               |
 * | `stdin-N.complete`   | nothing: standard input came to its end | once, after the last byte    |
 */
import { open, readdir, stat, writeFile, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { MillraceError, messageOf } from "../../base/errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { fileError } from "./file-errors.ts";
import { makeDirectory } from "./durable-file.ts";
import { isGzip } from "./compression.ts";
import type { Extent } from "./plain-bytes.ts";

export interface StdinShard {
  /** `stdin-N` */
  readonly name: string;
  readonly path: string;
  readonly extent: () => Extent;
}

const shardName = /^stdin-(\d+)$/;
const brokenOff = { reason: "standard input broke off here, in the middle of a line", even: false };

export class StdinSpool {
  readonly #directory: string;
  readonly #stdin: Readable;
  readonly #clock: Pick<Clock, "now">;
  #started: Promise<readonly StdinShard[]> | undefined;
  #extent: Extent = { length: 0, growing: true, arrivalTime: 0 };
  #failure: MillraceError | undefined;
  #closing = false;
  #pumped: Promise<void> = Promise.resolve();

  constructor(directory: string, stdin: Readable, clock: Pick<Clock, "now">) {
    this.#directory = directory;
    this.#stdin = stdin;
    this.#clock = clock;
  }

  /** The input of all runs so far and of this one, which begins with the first call. */
  shards(): Promise<readonly StdinShard[]> {
    return (this.#started ??= this.#start());
  }

  /** Reads no more of standard input; what was read stays. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#started === undefined) return;
    await this.#started.catch(() => undefined);
    this.#stdin.destroy();
    await this.#pumped;
  }

  async #start(): Promise<readonly StdinShard[]> {
    try {
      await makeDirectory(this.#directory);
      const earlier = await this.#earlierShards();
      const last = earlier.at(-1);
      const name = `stdin-${last === undefined ? 0 : numberOf(last.name) + 1}`;
      const path = join(this.#directory, name);
      const file = await open(path, "ax");
      this.#pumped = this.#pump(file, path);
      return [...earlier, { name, path, extent: () => this.#currentExtent() }];
    } catch (error) {
      throw fileError(error, this.#directory, "write");
    }
  }

  async #earlierShards(): Promise<readonly StdinShard[]> {
    const files = await readdir(this.#directory);
    const names = files.filter((file) => shardName.test(file)).sort((a, b) => numberOf(a) - numberOf(b));
    return Promise.all(names.map((name) => this.#earlierShard(name, files.includes(`${name}.complete`))));
  }

  async #earlierShard(name: string, complete: boolean): Promise<StdinShard> {
    const path = join(this.#directory, name);
    const { size, mtimeMs } = await stat(path);
    const broken = complete ? undefined : brokenOff;
    const extent = { length: size, growing: false, arrivalTime: Math.floor(mtimeMs), broken };
    return { name, path, extent: () => extent };
  }

  #currentExtent(): Extent {
    if (this.#failure !== undefined) throw this.#failure;
    return this.#extent;
  }

  async #pump(file: FileHandle, path: string): Promise<void> {
    try {
      for await (const bytes of this.#stdin) await this.#append(file, Buffer.from(bytes));
      await writeFile(`${path}.complete`, "");
      this.#extent = { ...this.#extent, growing: false };
    } catch (error) {
      this.#failure = this.#describe(error, path);
    } finally {
      await file.close();
    }
  }

  async #append(file: FileHandle, bytes: Buffer): Promise<void> {
    if (this.#extent.length === 0 && isGzip(bytes)) {
      throw new MillraceError("invalid", "standard input is compressed with gzip: pipe it through `gunzip -c`");
    }
    await file.appendFile(bytes);
    this.#extent = { length: this.#extent.length + bytes.length, growing: true, arrivalTime: this.#clock.now() };
  }

  #describe(error: unknown, path: string): MillraceError {
    if (error instanceof MillraceError) return error;
    if (this.#closing) return new MillraceError("unavailable", "standard input was closed by the job's end: start the job again");
    if ((error as NodeJS.ErrnoException)?.syscall === "read") {
      return new MillraceError("unavailable", `cannot read standard input: start the job again: ${messageOf(error)}`, {
        cause: error,
      });
    }
    return fileError(error, path, "write");
  }
}

function numberOf(name: string): number {
  return Number(shardName.exec(name)?.[1]);
}
