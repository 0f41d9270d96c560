/** Journal entries in their three forms: plain, compressed, and as an object; damaged ones are corrupt, never anything else. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { MemoryBlobs } from "../../runtime/adapters/memory/memory-blobs.ts";
import { loadCommit, payloadOf, storeCommit } from "../../runtime/driver/journal-entry.ts";
import type { Commit } from "../../runtime/state/commit.ts";
import { samples } from "../formats/samples.ts";

const commit = samples.find(({ name }) => name === "commit")!.value as Commit;
const forms = {
  plain: { inlineBytesMax: Infinity, compressFromBytes: Infinity },
  compressed: { inlineBytesMax: Infinity, compressFromBytes: 0 },
  object: { inlineBytesMax: 0, compressFromBytes: Infinity },
};

describe("an entry", () => {
  for (const [form, options] of Object.entries(forms)) {
    test(`${form}: is read as it was written`, async () => {
      const blobs = new MemoryBlobs();
      const bytes = await storeCommit(commit, blobs, options);
      assert.equal(payloadOf(bytes) !== undefined, form === "object");
      assert.deepEqual(await loadCommit(commit.task, { seq: commit.seq, bytes }, blobs), commit);
    });

    test(`${form}: of another task or seq is corrupt`, async () => {
      const blobs = new MemoryBlobs();
      const bytes = await storeCommit(commit, blobs, options);
      const message = /entry 13 of g2.stage~0 holds commit 12/;
      await assert.rejects(loadCommit(commit.task, { seq: 13, bytes }, blobs), { kind: "corrupt", message });
      await assert.rejects(loadCommit("g2.stage~1" as never, { seq: commit.seq, bytes }, blobs), { kind: "corrupt" });
    });

    test(`${form}: damaged is corrupt, wherever the damage is`, async () => {
      const blobs = new MemoryBlobs();
      const bytes = await storeCommit(commit, blobs, options);
      for (let at = 0; at < bytes.length * 8; at++) {
        const turned = Uint8Array.from(bytes);
        turned[at >> 3] = turned[at >> 3]! ^ (1 << (at & 7));
        await assert.rejects(
          loadCommit(commit.task, { seq: commit.seq, bytes: turned }, blobs),
          { kind: "corrupt" },
          `bit ${at}`,
        );
      }
      for (const length of [0, 1, 4, 5, bytes.length - 1])
        await assert.rejects(loadCommit(commit.task, { seq: commit.seq, bytes: bytes.slice(0, length) }, blobs), {
          kind: "corrupt",
        });
    });
  }

  test("whose object is damaged is corrupt", async () => {
    const blobs = new MemoryBlobs();
    const bytes = await storeCommit(commit, blobs, forms.object);
    const name = payloadOf(bytes)!;
    const object = (await blobs.get(name))!;
    object[object.length >> 1]! ^= 1;
    await blobs.put(name, object);
    await assert.rejects(loadCommit(commit.task, { seq: commit.seq, bytes }, blobs), { kind: "corrupt", message: /checksum/ });
  });

  test("whose object is gone asks for a new look at the ring, and is never empty state", async () => {
    const bytes = await storeCommit(commit, new MemoryBlobs(), forms.object);
    await assert.rejects(loadCommit(commit.task, { seq: commit.seq, bytes }, new MemoryBlobs()), { kind: "unavailable" });
  });
});
