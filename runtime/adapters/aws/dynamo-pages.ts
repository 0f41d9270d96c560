/** Pages in DynamoDB: an item each, in the partition of their writer. A put is conditional on a lower version: a zombie cannot overwrite. */
import { MillraceError } from "../../base/errors.ts";
import type { TaskId } from "../../base/ids.ts";
import type { PageId, Pages, StoredPage } from "../../ports/pages.ts";
import { DynamoTable } from "./dynamo-table.ts";
import type { Item } from "./item-size.ts";
import { attribute, pageOfSort, pagePartition, pageSort } from "./names.ts";

/** Longer pages stay in segments (DESIGN §8). */
export const pageBytesMax = 256 * 1024;

const listedMax = 1000;

export class DynamoPages implements Pages {
  readonly #table: DynamoTable;
  readonly #job: string;

  constructor(table: DynamoTable, job: string) {
    this.#table = table;
    this.#job = job;
  }

  async get(ids: readonly PageId[]): Promise<readonly (StoredPage | undefined)[]> {
    const keys = new Map(ids.map((page) => [nameOf(this.#keyOf(page)), this.#keyOf(page)]));
    const items = await this.#table.getAll([...keys.values()]);
    const found = new Map(items.map((item) => [nameOf(item), item]));
    return ids.map((page) => {
      const item = found.get(nameOf(this.#keyOf(page)));
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
      { ...this.#keyOf(page), [attribute.number]: version, [attribute.bytes]: { B: page.bytes } },
      {
        expression: `attribute_not_exists(${attribute.partition}) OR ${attribute.number} < :version`,
        values: { ":version": version },
      },
    );
    return outcome === "put" ? "put" : "superseded";
  }

  /** What one query of at most 1 MB shows: some, when there are any. */
  async list(writer: TaskId): Promise<readonly PageId[]> {
    const partition = pagePartition(this.#job, writer);
    const { items } = await this.#table.query({ partition, from: "\u0000", to: "\u{10ffff}" }, listedMax);
    return items.map((item) => pageOfSort(writer, item[attribute.sort]!.S!));
  }

  async delete(ids: readonly PageId[]): Promise<void> {
    const keys = new Map(ids.map((page) => [nameOf(this.#keyOf(page)), this.#keyOf(page)]));
    await this.#table.deleteAll([...keys.values()]);
  }

  #keyOf(page: PageId): Item {
    return { [attribute.partition]: { S: pagePartition(this.#job, page.writer) }, [attribute.sort]: { S: pageSort(page) } };
  }
}

/** What tells an item from others of the table. */
function nameOf(item: Item): string {
  return `${item[attribute.partition]?.S} ${item[attribute.sort]?.S}`;
}
