/** Journal entries in their three forms: plain, compressed, and as an object; mutated ones are corrupt or gone, never anything else. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { MemoryBlobs } from "../../runtime/adapters/memory/memory-blobs.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
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

    test(`${form}: mutated is a value, corrupt, or an object that is gone`, async () => {
      const blobs = new MemoryBlobs();
      const bytes = await storeCommit(commit, blobs, options);
      for (let at = 0; at < bytes.length; at++)
        for (const byte of [0, 1, 2, 0x7f, 0xc9, 0xff]) {
          const mutated = Uint8Array.from(bytes);
          mutated[at] = byte;
          await loadCommit(commit.task, { seq: commit.seq, bytes: mutated }, blobs).catch((error: unknown) => {
            assert.ok(error instanceof MillraceError, String((error as Error).stack));
            assert.ok(
              error.kind === "corrupt" || (error.kind === "unavailable" && error.context.missing !== undefined),
              error.message,
            );
          });
        }
    });
  }

  test("whose object is gone asks for a new look at the ring, and is never empty state", async () => {
    const bytes = await storeCommit(commit, new MemoryBlobs(), forms.object);
    await assert.rejects(loadCommit(commit.task, { seq: commit.seq, bytes }, new MemoryBlobs()), { kind: "unavailable" });
  });
});
