/**
 * What every store of pages must hold.
 *
 * G1 A put is refused unless its version is higher than the stored one.
 * G2 A get answers in the order asked, with undefined for what is not there.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { id, type OperatorUid, type TaskId } from "../../runtime/base/ids.ts";
import type { PageId, Pages } from "../../runtime/ports/pages.ts";
import { type AdapterMaker, bytesOf, textOf } from "./adapter-maker.ts";

function pageId(keyGroup: number, operator = "count", writer = "count/0"): PageId {
  return { writer: id<TaskId>(writer), operator: id<OperatorUid>(operator), keyGroup };
}

const page = (at: PageId, version: number) => ({ ...at, version, bytes: bytesOf(`version ${version}`) });

async function versions(pages: Pages, ids: readonly PageId[]): Promise<readonly (number | undefined)[]> {
  return (await pages.get(ids)).map((stored) => stored?.version);
}

export function pagesContract(name: string, make: AdapterMaker<Pages>): void {
  describe(`${name}: pages contract`, () => {
    it("gives back what was put, in the order asked (G2)", async () => {
      const pages = await make();
      await pages.put(page(pageId(1), 10));
      await pages.put(page(pageId(2), 20));
      assert.deepEqual(await versions(pages, [pageId(2), pageId(7), pageId(1), pageId(2)]), [20, undefined, 10, 20]);
      assert.equal(textOf((await pages.get([pageId(1)]))[0]!.bytes), "version 10");
      assert.deepEqual(await pages.get([]), []);
    });

    it("refuses a version that is not higher (G1)", async () => {
      const pages = await make();
      assert.equal(await pages.put(page(pageId(1), 9)), "put");
      assert.equal(await pages.put({ ...page(pageId(1), 9), bytes: bytesOf("same version") }), "superseded");
      assert.equal(await pages.put(page(pageId(1), 8)), "superseded");
      assert.equal(textOf((await pages.get([pageId(1)]))[0]!.bytes), "version 9");
      assert.equal(await pages.put(page(pageId(1), 10)), "put");
      assert.equal(textOf((await pages.get([pageId(1)]))[0]!.bytes), "version 10");
    });

    it("keeps the highest of puts made at once, whatever their order (G1)", async () => {
      const pages = await make();
      await Promise.all([3, 7, 5, 1].map((version) => pages.put(page(pageId(1), version))));
      assert.deepEqual(await versions(pages, [pageId(1)]), [7]);
    });

    it("keeps writers, operators and key groups apart", async () => {
      const pages = await make();
      const ids = [pageId(1), pageId(1, "sum"), pageId(1, "count", "count/1"), pageId(11), pageId(1, "count/0", "count")];
      for (const [n, at] of ids.entries()) await pages.put(page(at, n + 1));
      assert.deepEqual(await versions(pages, ids), [1, 2, 3, 4, 5]);
    });

    it("deletes, passing over what is not there; any version may follow", async () => {
      const pages = await make();
      await pages.put(page(pageId(1), 5));
      await pages.put(page(pageId(2), 5));
      await pages.delete([pageId(1), pageId(3)]);
      assert.deepEqual(await versions(pages, [pageId(1), pageId(2)]), [undefined, 5]);
      assert.equal(await pages.put(page(pageId(1), 1)), "put");
    });

    it("gets a thousand pages at once", async () => {
      const pages = await make();
      const ids = Array.from({ length: 1000 }, (_, n) => pageId(n));
      await Promise.all(ids.filter((_, n) => n % 3 !== 0).map((at) => pages.put(page(at, at.keyGroup))));
      const expected = ids.map((at, n) => (n % 3 === 0 ? undefined : at.keyGroup));
      assert.deepEqual(await versions(pages, ids), expected);
    });

    it("hands out bytes that belong to the caller", async () => {
      const pages = await make();
      await pages.put(page(pageId(1), 1));
      (await pages.get([pageId(1)]))[0]!.bytes.fill(0);
      assert.equal(textOf((await pages.get([pageId(1)]))[0]!.bytes), "version 1");
    });

    it("lists the pages of a writer, until they are deleted", async () => {
      const pages = await make();
      const own = [pageId(1), pageId(2), pageId(1, "other")];
      for (const at of [...own, pageId(3, "count", "count/1")]) await pages.put(page(at, 1));
      const listed = async (writer: string) => (await pages.list(id<TaskId>(writer))).map((at) => JSON.stringify(at)).sort();
      assert.deepEqual(await listed("count/0"), own.map((at) => JSON.stringify(at)).sort());
      await pages.delete(await pages.list(id<TaskId>("count/0")));
      assert.deepEqual(await listed("count/0"), []);
      assert.equal((await listed("count/1")).length, 1);
      assert.deepEqual(await listed("nobody"), []);
    });
  });
}
