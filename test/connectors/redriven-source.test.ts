/** What was given back of dead letters, as shards of their source: listed as seldom as may be, and found when it matters. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { MemoryBlobs } from "../../runtime/adapters/memory/memory-blobs.ts";
import { ManualClock } from "../../runtime/adapters/memory/manual-clock.ts";
import { type Generation, id, type Seq, type ShardId, type TaskId } from "../../runtime/base/ids.ts";
import { encodeRedrive, RedrivenSource, redriveName } from "../../runtime/connectors/redriven-source.ts";
import type { SourceReader } from "../../runtime/connectors/source-reader.ts";
import type { Shard } from "../../runtime/ports/log.ts";
import { lastGiven } from "../../runtime/driver/give-letters.ts";
import { givenName } from "../../runtime/snapshots/given-letters.ts";
import { oneAListing } from "../ports/one-a-listing.ts";

const own: Shard = { id: id<ShardId>("shard-0"), range: { from: 0n, to: (1n << 128n) - 1n }, parents: [], closed: false };
const rememberedMs = 1_000;

/** A source of one shard, with blobs of which each listing is counted. */
function sourceOf({ remembers = true } = {}) {
  const clock = new ManualClock();
  const blobs = new MemoryBlobs({ clock });
  const counts = { lists: 0, forgets: 0 };
  const list = blobs.list.bind(blobs);
  blobs.list = (prefix, ...more) => {
    counts.lists++;
    return list(prefix, ...more);
  };
  const inner = { shards: async () => [own], forgetShards: () => counts.forgets++ } as unknown as SourceReader;
  const source = new RedrivenSource("in", inner, blobs, remembers ? { clock, ms: rememberedMs } : undefined);
  const give = (n: number) => blobs.put(redriveName("in", n), encodeRedrive([{ id: `letter-${n}`, at: 0, bytes: "AA==" }]));
  const shards = async () => (await source.shards("stream")).map((shard) => shard.id as string);
  return { source, clock, counts, give, shards };
}

suite("what was given back, listed by a task", () => {
  test("is remembered for its time, and then listed anew", async () => {
    const { clock, counts, give, shards } = sourceOf();
    assert.deepEqual(await shards(), ["shard-0"]);
    await give(1);
    clock.advance(rememberedMs - 1);
    assert.deepEqual(await shards(), ["shard-0"]);
    assert.equal(counts.lists, 1);
    clock.advance(1);
    assert.deepEqual(await shards(), ["shard-0", "redrive-000001"]);
    assert.equal(counts.lists, 2);
  });

  test("is listed anew at once when its shards are forgotten, and so are the source's own", async () => {
    const { source, counts, give, shards } = sourceOf();
    await shards();
    await give(1);
    source.forgetShards();
    assert.deepEqual(await shards(), ["shard-0", "redrive-000001"]);
    assert.deepEqual(counts, { lists: 2, forgets: 1 });
  });

  test("is not remembered beyond a clock that has gone back", async () => {
    const { source, clock, counts, shards } = sourceOf();
    clock.advance(10_000);
    await shards();
    clock.now = () => 0;
    await shards();
    assert.equal(counts.lists, 2);
    assert.ok(source instanceof RedrivenSource);
  });

  test("is listed each time where nothing is to be remembered, as by a coordinator", async () => {
    const { counts, give, shards } = sourceOf({ remembers: false });
    await shards();
    await give(1);
    assert.deepEqual(await shards(), ["shard-0", "redrive-000001"]);
    assert.equal(counts.lists, 2);
  });
});

test("what was given back is found, all of it, however little a listing says", async () => {
  const blobs = oneAListing(new MemoryBlobs());
  const inner = { shards: async () => [own] } as unknown as SourceReader;
  const source = new RedrivenSource("in", inner, blobs);
  const by = (seq: number) => ({ id: `letter-${seq}`, at: 0, bytes: "AA==", by: { generation: 1, task: "t-0", seq } });
  for (const n of [1, 2, 3]) {
    await blobs.put(redriveName("in", n), encodeRedrive([by(1), by(2), by(3)]));
    await blobs.put(givenName(n), new Uint8Array());
  }
  const shards = (await source.shards("stream")).map((shard) => shard.id);
  assert.deepEqual(shards, ["shard-0", "redrive-000001", "redrive-000002", "redrive-000003"]);
  assert.equal(await lastGiven({ blobs }), 3);

  // Two restores, the second to an earlier checkpoint: each says what it leaves out.
  for (const [generation, last] of [
    [2, 2],
    [3, 1],
  ] as const)
    await source.leaveOut({
      generation: generation as Generation,
      from: 1 as Generation,
      lastSeq: new Map([[id<TaskId>("t-0"), last as Seq]]),
    });
  for (const shard of shards.slice(1)) {
    const { records } = await source.read("stream", shard, "horizon", { records: 10, bytes: 100 });
    assert.deepEqual(
      records.map(({ position }) => position),
      ["1"],
      shard,
    );
  }
});
