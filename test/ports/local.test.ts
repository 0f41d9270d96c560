/** The contract suites on the local adapters, and what opening a directory refuses. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, openSync, readdirSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { DatabaseSync } from "node:sqlite";
import { defaultRingSize } from "../../runtime/adapters/limits.ts";
import { openLocal } from "../../runtime/adapters/local/open-local.ts";
import { isKind, messageOf, type ErrorKind } from "../../runtime/base/errors.ts";
import { id, type AttemptId, type BlobName, type TaskId } from "../../runtime/base/ids.ts";
import { blobsContract } from "./blobs-contract.ts";
import { contractRingSize, journalContract } from "./journal-contract.ts";
import { newDirectory, openForTest } from "./local-directory.ts";
import { embeddedLogContract } from "./embedded-log-contract.ts";
import { contractMaxRecordBytes, logContract } from "./log-contract.ts";
import { pagesContract } from "./pages-contract.ts";

journalContract("local", async () => (await openForTest({ ringSize: contractRingSize })).journal);
pagesContract("local", async () => (await openForTest()).pages);
blobsContract("local", async () => (await openForTest()).blobs);
logContract("local", async () => (await openForTest({ maxRecordBytes: contractMaxRecordBytes })).log);
embeddedLogContract("local", async () => (await openForTest()).log);

const task = id<TaskId>("count/0");
const entry = (seq: number, bytes = new Uint8Array(10)) => ({ seq, attempt: id<AttemptId>("a"), bytes });
const failsAs = (kind: ErrorKind, message: RegExp) => (error: unknown) => isKind(error, kind) && message.test(messageOf(error));
const storeOf = (directory: string) => join(directory, "store.sqlite");

describe("local: a directory", () => {
  it("keeps everything over closing and opening, with either durability", async () => {
    for (const durability of ["process", "power"] as const) {
      const directory = newDirectory();
      const first = await openForTest({ durability }, directory);
      await first.log.createStream("views", 2);
      await first.log.append("views", [{ hashKey: 0n, bytes: new Uint8Array([1]) }]);
      await first.journal.write(task, entry(1));
      await first.blobs.put(id<BlobName>("a"), new Uint8Array(300_000));
      await first.close();
      const second = await openForTest({ durability }, directory);
      const [shard] = await second.log.shards("views");
      assert.equal((await second.log.read("views", shard!.id, "horizon", { records: 9, bytes: 999 })).records.length, 1);
      assert.equal((await second.journal.tail(task, 0)).entries.length, 1);
      assert.equal((await second.blobs.get(id<BlobName>("a")))!.length, 300_000);
    }
  });

  it("is created with its parents", async () => {
    const directory = join(newDirectory(), "a", "b");
    await openForTest({}, directory);
    assert.ok(readdirSync(directory).includes("store.sqlite"));
  });

  it("is seen by all who have it open, at once", async () => {
    const directory = newDirectory();
    const [one, two] = await Promise.all([openForTest({}, directory), openForTest({}, directory)]);
    await one.journal.write(task, entry(1));
    assert.equal((await two.journal.tail(task, 0)).entries.length, 1);
    assert.deepEqual(await two.journal.write(task, entry(1)), { outcome: "lost", seq: 1, by: "a" });
  });

  it("goes on where its creation was cut short", async () => {
    const empty = newDirectory();
    writeFileSync(storeOf(empty), "");
    const withoutTables = newDirectory();
    const database = new DatabaseSync(storeOf(withoutTables));
    database.exec("PRAGMA journal_mode = WAL");
    database.close();
    for (const directory of [empty, withoutTables]) {
      assert.deepEqual(await (await openForTest({}, directory)).journal.write(task, entry(1)), { outcome: "written" });
    }
  });

  it("belongs to one job", async () => {
    const directory = newDirectory();
    await openForTest({ job: "pageviews" }, directory);
    await assert.rejects(
      openLocal(directory, { job: "sessions" }),
      failsAs("invalid", /another job.*of pageviews.*for sessions/),
    );
  });

  it("remembers its ring size", async () => {
    const directory = newDirectory();
    await (await openForTest({ ringSize: 16 }, directory)).close();
    assert.equal((await openForTest({}, directory)).journal.ringSize, 16);
    await assert.rejects(openLocal(directory, { job: "pageviews", ringSize: 32 }), failsAs("invalid", /ring size/));
    assert.equal((await openForTest()).journal.ringSize, defaultRingSize);
  });

  it("of a newer format is refused, and left as it is", async () => {
    const directory = newDirectory();
    await (await openForTest({}, directory)).close();
    const database = new DatabaseSync(storeOf(directory));
    database.exec("PRAGMA user_version = 99");
    database.close();
    await assert.rejects(
      openLocal(directory, { job: "pageviews" }),
      failsAs("invalid", /newer version.*format 99, known up to 1/),
    );
  });

  it("with another program's database is refused, and left as it is", async () => {
    const directory = newDirectory();
    const database = new DatabaseSync(storeOf(directory));
    database.exec("CREATE TABLE theirs (x)");
    database.close();
    await assert.rejects(openLocal(directory, { job: "pageviews" }), failsAs("invalid", /not a store of ours/));
    assert.deepEqual(readdirSync(directory), ["store.sqlite"]);
  });

  it("with a store that is not one is corrupt", async () => {
    const directory = newDirectory();
    writeFileSync(storeOf(directory), "this was a store once ".repeat(1000));
    await assert.rejects(openLocal(directory, { job: "pageviews" }), failsAs("corrupt", /damaged/));
  });

  it("with damage in the middle of the store is corrupt", async () => {
    const directory = newDirectory();
    const ports = await openForTest({}, directory);
    for (let seq = 1; seq <= 50; seq += 1) await ports.journal.write(task, entry(seq, new Uint8Array(20_000)));
    await ports.close();
    const file = openSync(storeOf(directory), "r+");
    const size = statSync(storeOf(directory)).size;
    for (let at = 8192; at < size; at += 8192) writeSync(file, new Uint8Array(64).fill(0xee), 0, 64, at);
    const read = async () => (await openForTest({}, directory)).journal.tail(task, 0);
    await assert.rejects(read(), failsAs("corrupt", /damaged/));
  });

  it("that is a file is refused, and so is one under a file", async () => {
    const file = join(newDirectory(), "file");
    writeFileSync(file, "");
    await assert.rejects(openLocal(file, { job: "pageviews" }), failsAs("invalid", /is a file/));
    await assert.rejects(openLocal(join(file, "below"), { job: "pageviews" }), failsAs("invalid", /through a file/));
  });

  it("without write permission is refused", () => {
    const directory = newDirectory();
    chmodSync(directory, 0o555);
    assert.match(openAsNobody(join(directory, "below")), /^invalid: no permission to write to the directory/);
    assert.match(openAsNobody(directory), /^invalid: the store cannot be opened/);
    const writable = newDirectory();
    chmodSync(writable, 0o777);
    writeFileSync(storeOf(writable), "");
    chmodSync(storeOf(writable), 0o444);
    assert.match(openAsNobody(writable), /^invalid: no permission to write to the store/);
  });

  it("kept locked by another process is unavailable after a while, and then goes on", async () => {
    const directory = newDirectory();
    const ports = await openForTest({ busyTimeoutMs: 50 }, directory);
    const other = new DatabaseSync(storeOf(directory));
    other.exec("BEGIN IMMEDIATE");
    const refused = await Promise.allSettled([
      ports.journal.write(task, entry(1)),
      ports.journal.write(id<TaskId>("count/1"), entry(1)),
    ]);
    for (const result of refused) {
      assert.ok(result.status === "rejected" && failsAs("unavailable", /another process keeps the store locked/)(result.reason));
    }
    assert.equal((await ports.journal.tail(task, 0)).entries.length, 0);
    other.exec("COMMIT");
    other.close();
    assert.deepEqual(await ports.journal.write(task, entry(1)), { outcome: "written" });
  });

  it("closed is not used again", async () => {
    const ports = await openForTest();
    const written = ports.journal.write(task, entry(1));
    await ports.close();
    assert.deepEqual(await written, { outcome: "written" });
    await assert.rejects(ports.journal.write(task, entry(2)), failsAs("invalid", /closed/));
    await assert.rejects(ports.journal.tail(task, 0), failsAs("invalid", /closed/));
  });
});

describe("local: a full disk", () => {
  // SQLite reports the same code for a file at its page limit as for a disk without space.
  it("takes nothing in, loses nothing, and goes on when there is room", async () => {
    const directory = newDirectory();
    const small = await openForTest({ maxBytes: 1_000_000 }, directory);
    let seq = 0;
    const fill = async () => {
      while (seq < 100) {
        await small.journal.write(task, entry(seq + 1, new Uint8Array(50_000).fill(seq + 1)));
        seq += 1;
      }
    };
    await assert.rejects(fill(), failsAs("unavailable", /no space/));
    assert.ok(seq > 5 && seq < 30);
    const { entries } = await small.journal.tail(task, 0);
    assert.deepEqual([entries.length, entries.at(-1)!.bytes[0]], [seq, seq]);
    await small.close();
    const roomy = await openForTest({}, directory);
    assert.deepEqual(await roomy.journal.write(task, entry(seq + 1, new Uint8Array(50_000))), { outcome: "written" });
  });

  it("fails only what does not fit, of writes asked for at once", async () => {
    const { blobs } = await openForTest({ maxBytes: 1_000_000 });
    const put = (name: string, bytes: number) => blobs.put(id<BlobName>(name), new Uint8Array(bytes));
    const [small, large, other] = await Promise.allSettled([put("a", 1000), put("b", 5_000_000), put("c", 1000)]);
    assert.deepEqual([small.status, large.status, other.status], ["fulfilled", "rejected", "fulfilled"]);
    assert.deepEqual(
      (await blobs.list("")).blobs.map(({ name }) => name),
      ["a", "c"],
    );
  });

  it("takes what fits once something was deleted", async () => {
    const { blobs } = await openForTest({ maxBytes: 1_000_000 });
    const half = new Uint8Array(600_000);
    await blobs.put(id<BlobName>("a"), half);
    await assert.rejects(blobs.put(id<BlobName>("b"), half), failsAs("unavailable", /no space/));
    await blobs.delete([id<BlobName>("a")]);
    assert.equal(await blobs.put(id<BlobName>("b"), half), "put");
  });
});

/** Opens a directory in a process that is not root, for which permissions do not count, and says how it failed. */
function openAsNobody(directory: string): string {
  const runtime = join(import.meta.dirname, "../../runtime");
  const program = `
    const { openLocal } = await import(${JSON.stringify(join(runtime, "adapters/local/open-local.ts"))});
    await openLocal(${JSON.stringify(directory)}, { job: "pageviews" }).then(
      () => console.log("opened"), (error) => console.log(error.kind + ": " + error.message));`;
  const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  return spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8", ...nobody }).stdout;
}
