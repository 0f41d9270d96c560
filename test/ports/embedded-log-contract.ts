/** What a log kept by us can say beside `ProvisionedLog`: P3 of runtime/adapters/log-provisioning.ts, last positions, deletion. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EmbeddedLog } from "../../runtime/adapters/log-provisioning.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { id, type Position, type ShardId } from "../../runtime/base/ids.ts";
import { type AdapterMaker, bytesOf } from "./adapter-maker.ts";

const everything = { records: 10_000, bytes: 10_000_000 };
const invalid = (error: unknown) => isKind(error, "invalid");
const low = { hashKey: 0n, bytes: bytesOf("low") };
const high = { hashKey: 1n << 127n, bytes: bytesOf("high") };

async function withStream(make: AdapterMaker<EmbeddedLog>, shards: number): Promise<readonly [EmbeddedLog, readonly ShardId[]]> {
  const log = await make();
  await log.createStream("views", shards);
  return [log, (await log.shards("views")).map((shard) => shard.id)];
}

async function positionsIn(log: EmbeddedLog, shard: ShardId): Promise<readonly string[]> {
  return (await log.read("views", shard, "horizon", everything)).records.map(({ position }) => position);
}

export function embeddedLogContract(name: string, make: AdapterMaker<EmbeddedLog>): void {
  describe(`${name}: embedded log contract`, () => {
    it("says where each record lies, without gaps in a shard (P3)", async () => {
      const [log, [a, b]] = await withStream(make, 2);
      const results = [...(await log.append("views", [low, high, low])), ...(await log.append("views", [low]))];
      const positions = (shard: ShardId) => results.filter((result) => result.shard === shard).map(({ position }) => position);
      assert.deepEqual(positions(a!), ["1", "2", "3"]);
      assert.deepEqual(positions(b!), ["1"]);
      for (const shard of [a!, b!]) assert.deepEqual(await positionsIn(log, shard), positions(shard));
    });

    it("knows the last position of a shard, trimmed or not, and of one that had no record its parents'", async () => {
      const [log, [shard]] = await withStream(make, 1);
      assert.equal(await log.lastPosition("views", shard!), "0");
      await log.append("views", [low, low, high]);
      assert.equal(await log.lastPosition("views", shard!), "3");
      await log.trim("views", shard!, id<Position>("3"));
      assert.equal(await log.lastPosition("views", shard!), "3");
      const [left, right] = await log.splitShard("views", shard!);
      assert.equal(await log.lastPosition("views", left), "3");
      const [appended] = await log.append("views", [high]);
      assert.deepEqual(appended, { outcome: "appended", shard: right, position: "4" });
      assert.equal(await log.lastPosition("views", await log.mergeShards("views", left, right)), "4");
      await assert.rejects(log.lastPosition("views", id<ShardId>("none")), invalid);
      await assert.rejects(log.lastPosition("clicks", shard!), invalid);
    });

    it("deletes a stream with its records, and no other", async () => {
      const [log, [shard]] = await withStream(make, 1);
      await log.createStream("clicks", 1);
      await log.append("views", [low]);
      await log.append("clicks", [low]);
      assert.equal(await log.deleteStream("views"), "deleted");
      assert.equal(await log.deleteStream("views"), "absent");
      await assert.rejects(log.shards("views"), invalid);
      await assert.rejects(log.append("views", [low]), invalid);
      assert.equal((await log.read("clicks", shard!, "horizon", everything)).records.length, 1);
      assert.equal(await log.createStream("views", 1), "created");
      assert.deepEqual(await positionsIn(log, shard!), []);
      assert.equal(await log.lastPosition("views", shard!), "0");
    });
  });
}
