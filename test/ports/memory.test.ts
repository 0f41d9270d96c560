/** The contract suites on the adapters in memory, and that the suites notice adapters with their checks switched off. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MemoryBlobs } from "../../runtime/adapters/memory/memory-blobs.ts";
import { MemoryJournal } from "../../runtime/adapters/memory/memory-journal.ts";
import { MemoryLog } from "../../runtime/adapters/memory/memory-log.ts";
import { MemoryPages } from "../../runtime/adapters/memory/memory-pages.ts";
import { id, type AttemptId, type OperatorUid, type TaskId } from "../../runtime/base/ids.ts";
import { blobsContract } from "./blobs-contract.ts";
import { contractRingSize, journalContract } from "./journal-contract.ts";
import { embeddedLogContract } from "./embedded-log-contract.ts";
import { contractMaxRecordBytes, logContract } from "./log-contract.ts";
import { pagesContract } from "./pages-contract.ts";

journalContract("memory", () => new MemoryJournal({ ringSize: contractRingSize }));
pagesContract("memory", () => new MemoryPages());
blobsContract("memory", () => new MemoryBlobs());
logContract("memory", () => new MemoryLog({ maxRecordBytes: contractMaxRecordBytes }));
embeddedLogContract("memory", () => new MemoryLog());

describe("memory: checks switched off", () => {
  it("lets a zombie overwrite an entry without the slot condition", async () => {
    const journal = new MemoryJournal({ ringSize: contractRingSize, unsafeSkipSlotCondition: true });
    const task = id<TaskId>("count/0");
    for (const by of ["a", "zombie"]) {
      const written = await journal.write(task, { seq: 1, attempt: id<AttemptId>(by), bytes: new TextEncoder().encode(by) });
      assert.deepEqual(written, { outcome: "written" });
    }
    assert.equal(new TextDecoder().decode((await journal.tail(task, 0)).entries[0]!.bytes), "zombie");
  });

  it("lets a zombie overwrite a page without the version check", async () => {
    const pages = new MemoryPages({ unsafeSkipVersionCheck: true });
    const page = { writer: id<TaskId>("count/0"), operator: id<OperatorUid>("count"), keyGroup: 1, bytes: new Uint8Array(1) };
    await pages.put({ ...page, version: 2 });
    assert.equal(await pages.put({ ...page, version: 1 }), "put");
    assert.equal((await pages.get([page]))[0]!.version, 1);
  });
});
