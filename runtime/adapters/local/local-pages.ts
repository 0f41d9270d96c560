/** Pages in the embedded store. */
import type { StatementSync } from "node:sqlite";
import type { OperatorUid, TaskId } from "../../base/ids.ts";
import type { PageId, Pages, StoredPage } from "../../ports/pages.ts";
import type { Store } from "./store.ts";

export class LocalPages implements Pages {
  readonly #store: Store;
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  readonly #list: StatementSync;
  readonly #delete: StatementSync;

  constructor(store: Store) {
    this.#store = store;
    this.#get = store.prepare("SELECT version, bytes FROM pages WHERE writer = ? AND operator = ? AND key_group = ?");
    this.#put = store.prepare(
      `INSERT INTO pages (writer, operator, key_group, version, bytes) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET version = excluded.version, bytes = excluded.bytes WHERE excluded.version > version`,
    );
    this.#list = store.prepare("SELECT operator, key_group AS keyGroup FROM pages WHERE writer = ? LIMIT 1000");
    this.#delete = store.prepare("DELETE FROM pages WHERE writer = ? AND operator = ? AND key_group = ?");
  }

  get(ids: readonly PageId[]): Promise<readonly (StoredPage | undefined)[]> {
    return this.#store.read(() =>
      ids.map((page) => {
        const row = this.#get.get(page.writer, page.operator, page.keyGroup) as unknown as StoredPage | undefined;
        return row && { version: row.version, bytes: row.bytes };
      }),
    );
  }

  put(page: PageId & StoredPage): Promise<"put" | "superseded"> {
    return this.#store.write(() => {
      const { changes } = this.#put.run(page.writer, page.operator, page.keyGroup, page.version, page.bytes);
      return changes > 0 ? "put" : "superseded";
    });
  }

  list(writer: TaskId): Promise<readonly PageId[]> {
    return this.#store.read(() =>
      (this.#list.all(writer) as unknown as { operator: OperatorUid; keyGroup: number }[]).map(({ operator, keyGroup }) => ({
        writer,
        operator,
        keyGroup,
      })),
    );
  }

  delete(ids: readonly PageId[]): Promise<void> {
    return this.#store.write(() => {
      for (const page of ids) this.#delete.run(page.writer, page.operator, page.keyGroup);
    });
  }
}
