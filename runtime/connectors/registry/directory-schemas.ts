/** Schemas in files, each named by its id: `17.avsc`, `17.proto`, `<uuid>.json`. For one machine. */
import { readdir, readFile } from "node:fs/promises";
import { join, parse } from "node:path";
import type { WriterSchema } from "../../api/connector.ts";
import { messageOf, MillraceError } from "../../base/errors.ts";
import type { SchemaRegistry } from "../../ports/schema-registry.ts";

export class DirectorySchemas implements SchemaRegistry {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async schema(id: string): Promise<WriterSchema | undefined> {
    try {
      const file = (await readdir(this.#directory)).find((name) => parse(name).name === id);
      if (file === undefined) return undefined;
      return { id, definition: await readFile(join(this.#directory, file), "utf8"), references: [] };
    } catch (error) {
      throw new MillraceError("invalid", `the directory of schemas cannot be read: ${this.#directory}: ${messageOf(error)}`);
    }
  }
}
