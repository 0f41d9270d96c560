/**
 * Pages in memory. Bytes handed over are kept as they are, since the caller never changes them afterwards; bytes handed out are
 * copies, since they belong to the caller.
 */
import type { OperatorUid, TaskId } from "../../base/ids.ts";
import type { PageId, Pages, StoredPage } from "../../ports/pages.ts";

export class MemoryPages implements Pages {
  readonly #pages = new Map<string, StoredPage>();
  readonly #unsafeSkipVersionCheck: boolean;

  /**
   * `unsafeSkipVersionCheck` lets an older page overwrite a newer one. Only for tests of the tests: a suite that claims to notice a
   * zombie's put must fail when it is on.
   */
  constructor(options: { readonly unsafeSkipVersionCheck?: boolean } = {}) {
    this.#unsafeSkipVersionCheck = options.unsafeSkipVersionCheck ?? false;
  }

  async get(ids: readonly PageId[]): Promise<readonly (StoredPage | undefined)[]> {
    return ids.map((page) => {
      const stored = this.#pages.get(nameOf(page));
      return stored && { version: stored.version, bytes: stored.bytes.slice() };
    });
  }

  async put(page: PageId & StoredPage): Promise<"put" | "superseded"> {
    const name = nameOf(page);
    const stored = this.#pages.get(name);
    if (stored !== undefined && stored.version >= page.version && !this.#unsafeSkipVersionCheck) return "superseded";
    this.#pages.set(name, { version: page.version, bytes: page.bytes });
    return "put";
  }

  async list(writer: TaskId): Promise<readonly PageId[]> {
    const ids: PageId[] = [];
    for (const name of this.#pages.keys()) {
      const [of, operator, keyGroup] = JSON.parse(name) as [TaskId, OperatorUid, number];
      if (of === writer && ids.length < 1_000) ids.push({ writer, operator, keyGroup });
    }
    return ids;
  }

  async delete(ids: readonly PageId[]): Promise<void> {
    for (const page of ids) this.#pages.delete(nameOf(page));
  }
}

function nameOf(page: PageId): string {
  return JSON.stringify([page.writer, page.operator, page.keyGroup]);
}
