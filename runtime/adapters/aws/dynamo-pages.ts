/** Pages in DynamoDB: an item each, in a partition of its own. A put is conditional on a lower version: a zombie cannot overwrite. */
import { MillraceError } from "../../base/errors.ts";
import type { PageId, Pages, StoredPage } from "../../ports/pages.ts";
import { DynamoTable } from "./dynamo-table.ts";
import type { Item } from "./item-size.ts";
import { attribute, pagePartition, pageSort } from "./names.ts";

/** Longer pages stay in segments (DESIGN §8). */
export const pageBytesMax = 256 * 1024;

export class DynamoPages implements Pages {
  readonly #table: DynamoTable;
  readonly #job: string;

  constructor(table: DynamoTable, job: string) {
    this.#table = table;
    this.#job = job;
  }

  async get(ids: readonly PageId[]): Promise<readonly (StoredPage | undefined)[]> {
    const partitions = ids.map((page) => pagePartition(this.#job, page));
    const items = await this.#table.getAll([...new Set(partitions)].map(keyOf));
    const found = new Map(items.map((item) => [item[attribute.partition]!.S, item]));
    return partitions.map((partition) => {
      const item = found.get(partition);
      // An id may be asked for twice, and the bytes belong to the caller.
      return item && { version: Number(item[attribute.number]!.N), bytes: item[attribute.bytes]!.B!.slice() };
    });
  }

  /** Throws `invalid` for a page above 256 KB. */
  async put(page: PageId & StoredPage): Promise<"put" | "superseded"> {
    if (page.bytes.length > pageBytesMax) {
      const name = `${page.writer}, ${page.operator}, key group ${page.keyGroup}`;
      throw new MillraceError("invalid", `a page may have ${pageBytesMax} bytes: ${name}, ${page.bytes.length} bytes`);
    }
    const version = { N: String(page.version) };
    const { outcome } = await this.#table.put(
      { ...keyOf(pagePartition(this.#job, page)), [attribute.number]: version, [attribute.bytes]: { B: page.bytes } },
      {
        expression: `attribute_not_exists(${attribute.partition}) OR ${attribute.number} < :version`,
        values: { ":version": version },
      },
    );
    return outcome === "put" ? "put" : "superseded";
  }

  async delete(ids: readonly PageId[]): Promise<void> {
    const partitions = new Set(ids.map((page) => pagePartition(this.#job, page)));
    await this.#table.deleteAll([...partitions].map(keyOf));
  }
}

function keyOf(partition: string): Item {
  return { [attribute.partition]: { S: partition }, [attribute.sort]: { S: pageSort } };
}
