import assert from "node:assert/strict";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { setImmediate as tick, setTimeout as sleep } from "node:timers/promises";
import { suite, test } from "node:test";
import { gzipSync } from "node:zlib";
import { isKind } from "../../runtime/base/errors.ts";
import { type Position, type ShardId, id } from "../../runtime/base/ids.ts";
import { files } from "../../runtime/connectors/files/files.ts";
import { json } from "../../runtime/connectors/formats/json.ts";
import { csv } from "../../runtime/connectors/formats/csv.ts";
import { openSources } from "../../runtime/connectors/open-sources.ts";
import type { LogReader, ReadResult } from "../../runtime/ports/log.ts";
import { type After, open, readAll, withDirectory } from "./support.ts";

const source = files({ paths: "-", format: json() });
const limit = { records: 100, bytes: 1 << 20 };
const read = (reader: LogReader, shard: string, after: string) =>
  reader.read("-", id<ShardId>(shard), id<Position>(after) as After, limit);
const texts = (result: ReadResult) => result.records.map((record) => record.text);

/** Reads on until something new is there or the shard ends. */
async function readNext(reader: LogReader, shard: string, after: string): Promise<ReadResult> {
  const patience = AbortSignal.timeout(600_000);
  for (;;) {
    const result = await read(reader, shard, after);
    if (result.records.length > 0 || result.next === undefined) return result;
    patience.throwIfAborted();
    await sleep(1);
  }
}

suite("standard input", () => {
  test("is read as it comes in, whole lines only, and ends when it ends", () =>
    withDirectory(async (spoolDirectory) => {
      const stdin = new PassThrough();
      let now = 1000;
      const reader = open(source, { stdin, spoolDirectory, clock: { now: () => now } });
      assert.equal(source.bounded, false);
      assert.deepEqual(
        (await reader.shards("-")).map(({ id: name, closed }) => [name, closed]),
        [["stdin-0", false]],
      );
      assert.deepEqual(await read(reader, "stdin-0", "horizon"), { records: [], next: "horizon", behindMs: 0, gap: false });
      stdin.write('1\n"h');
      const first = await readNext(reader, "stdin-0", "horizon");
      assert.deepEqual([texts(first), first.next, first.records[0]!.arrivalTime], [["1"], "2", 1000]);
      now = 2000;
      stdin.end('é"\n3');
      const rest: (string | undefined)[] = [];
      let after: After | undefined = "2" as Position;
      while (after !== undefined) {
        const result: ReadResult = await read(reader, "stdin-0", after);
        rest.push(...texts(result));
        after = result.next;
        await tick();
      }
      assert.deepEqual(rest, ['"hé"', "3"]);
      assert.deepEqual((await readdir(spoolDirectory)).sort(), ["stdin-0", "stdin-0.complete"]);
      await reader.close();
    }));
  test("a later run reads what earlier ones took in, from any position, and its own input beside it", () =>
    withDirectory(async (spoolDirectory) => {
      const first = open(source, { stdin: new PassThrough().end("1\n2\n3\n"), spoolDirectory });
      await first.shards("-");
      await readNext(first, "stdin-0", "horizon");
      await first.close();
      const second = open(source, { stdin: new PassThrough().end("4\n"), spoolDirectory });
      assert.deepEqual(
        (await second.shards("-")).map((shard) => shard.id),
        ["stdin-0", "stdin-1"],
      );
      assert.deepEqual(
        (await readAll(second, "-", "stdin-0", "2")).map((record) => record.text),
        ["2", "3"],
      );
      assert.deepEqual(texts(await readNext(second, "stdin-1", "horizon")), ["4"]);
      await second.close();
    }));
  test("a line that a killed run took in by half is a rejection in the next, where it may be whole by chance", () =>
    withDirectory(async (spoolDirectory) => {
      const stdin = new PassThrough();
      const first = open(source, { stdin, spoolDirectory });
      await first.shards("-");
      stdin.write("1\n23");
      assert.deepEqual(texts(await readNext(first, "stdin-0", "horizon")), ["1"]);
      await first.close();
      const second = open(source, { stdin: new PassThrough().end(), spoolDirectory });
      await second.shards("-");
      const [one, half] = await readAll(second, "-", "stdin-0");
      assert.equal(one!.text, "1");
      assert.deepEqual([half!.bytes, half!.position], ["23", "5"]);
      assert.match(half!.rejected!, /broke off/);
      assert.deepEqual(await readAll(second, "-", "stdin-0", "5"), []);
      await second.close();
    }));
  test("a header that is still on its way is waited for", () =>
    withDirectory(async (spoolDirectory) => {
      const stdin = new PassThrough();
      const reader = open(files({ paths: "-", format: csv() }), { stdin, spoolDirectory });
      await reader.shards("-");
      stdin.write("a,");
      await tick();
      assert.deepEqual((await read(reader, "stdin-0", "horizon")).next, "horizon");
      stdin.end("b\n1,2\n");
      const result = await readNext(reader, "stdin-0", "horizon");
      assert.deepEqual([texts(result), result.records[0]!.header], [["1,2"], "a,b"]);
      await reader.close();
    }));
  test("gzip is refused with the way out; a spool that cannot be written says where", () =>
    withDirectory(async (spoolDirectory) => {
      const zipped = open(source, { stdin: new PassThrough().end(gzipSync("1\n")), spoolDirectory });
      await zipped.shards("-");
      await assert.rejects(
        readNext(zipped, "stdin-0", "horizon"),
        (error) => isKind(error, "invalid") && /gunzip -c/.test(error.message),
      );
      await zipped.close();
      const file = open(source, { stdin: new PassThrough().end("1\n"), spoolDirectory: "/dev/null/x" });
      await assert.rejects(file.shards("-"), (error) => isKind(error, "invalid") && error.message.includes("/dev/null/x"));
      await rm(join(spoolDirectory, "stdin-0"));
    }));
  test("serves one source only, and must be there", () => {
    const context = { clock: { now: () => 0 }, spoolDirectory: "", stdin: undefined };
    const twice = ["a", "b"].map((uid) => ({ uid, source }));
    assert.throws(
      () => openSources(twice, new Map(), context),
      (error) => isKind(error, "invalid") && /a, b/.test(error.message),
    );
    return assert.rejects(open(source).shards("-"), (error) => isKind(error, "invalid"));
  });
});
