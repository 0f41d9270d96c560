/** How much of the input is left, which a terminal shows as lag. */
import assert from "node:assert/strict";
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { suite, test } from "node:test";
import { gzipSync } from "node:zlib";
import { InputExtent } from "../../cli/input-extent.ts";
import { openSources } from "../../runtime/connectors/open-sources.ts";
import { files, generator, ndjson } from "../../runtime/index.ts";
import { SystemClock } from "../../runtime/adapters/local/system-clock.ts";
import { id, type ShardId } from "../../runtime/base/ids.ts";
import { withDirectory } from "../connectors/support.ts";

suite("what is left of the input", () => {
  test("of a plain file: the bytes behind the position", () =>
    withDirectory(async (directory) => {
      const path = join(directory, "in.ndjson");
      await writeFile(path, "1\n22\n");
      const extent = new InputExtent(new Map([["in", files({ paths: path, format: ndjson() })]]));
      const at = (position: string) => extent.measure([{ source: "in", shard: path, position }]);
      assert.deepEqual(
        [at("start"), at("2"), at("end")],
        [0, 2, 5].map((read) => ({ read, total: 5, unit: "bytes" })),
      );
    }));

  test("of a compressed file: what has not been read of it as it is stored", () =>
    withDirectory(async (directory) => {
      const path = join(directory, "in.ndjson.gz");
      const noise = Array.from({ length: 60_000 }, (_, n) => `${Math.imul(n, 2_654_435_761) >>> 0}\n`).join("");
      await writeFile(path, gzipSync(noise));
      const source = files({ paths: path, format: ndjson() });
      const context = { clock: new SystemClock(), spoolDirectory: directory, stdin: undefined };
      const reader = openSources([{ uid: "in", source }], new Map(), context).get("in")!;
      const extent = new InputExtent(new Map([["in", source]]), (_, shard) => reader.compressedRead?.(shard));
      const at = (position: string) => extent.measure([{ source: "in", shard: path, position }]);
      const total = (await stat(path)).size;
      assert.deepEqual(at("start"), { read: 0, total, unit: "bytes" });
      assert.deepEqual(at("10"), { read: 0, total, unit: "bytes" }, "gone on from there, and not read yet");
      const { next } = await reader.read(source.name, id<ShardId>(path), "horizon", { records: 10, bytes: 1_000 });
      const begun = at(String(next))!;
      assert.ok(begun.read > 0 && begun.read < total, `${begun.read} of ${total}`);
      assert.deepEqual(at("end"), { read: total, total, unit: "bytes" });
      await reader.close();
    }));

  test("is unknown of a generator without end", () => {
    const extent = new InputExtent(new Map([["in", generator({ seed: 1, next: (n) => n })]]));
    assert.equal(extent.measure([{ source: "in", shard: "generator-0", position: "5" }]), undefined);
  });
});
