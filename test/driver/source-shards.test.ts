/** The shards that an environment knows of a source: asked for anew when one is not known, whatever the source remembers itself. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openMemory } from "../../runtime/adapters/memory/open-memory.ts";
import { id, type ShardId } from "../../runtime/base/ids.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { encodeRedrive, RedrivenSource, redriveName } from "../../runtime/connectors/redriven-source.ts";
import type { SourceReader } from "../../runtime/connectors/source-reader.ts";
import { SourceShards } from "../../runtime/driver/source-shards.ts";
import { planJob } from "../../runtime/plan/plan-job.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import { pipeline } from "../operators/pipeline.ts";

const given = id<ShardId>("redrive-000001");

/** An environment's view of a source that remembers for an hour what was given back to it. */
function shardsOf() {
  const memory = openMemory();
  const inner = { shards: async () => [] } as unknown as SourceReader;
  const source = new RedrivenSource("in", inner, memory.blobs, { clock: memory.clock, ms: 3_600_000 });
  const ports = { ...memory, source: () => source } as unknown as Ports;
  const shards = new SourceShards(planJob(pipeline((events) => events)), ports);
  return { shards, give: () => memory.blobs.put(redriveName("in", 1), encodeRedrive([])) };
}

describe("the shards of a source", () => {
  test("are asked for anew for one that is not known, though the source remembers others", async () => {
    const { shards, give } = shardsOf();
    assert.deepEqual(await shards.list("in"), []);
    await give();
    assert.deepEqual(await shards.list("in"), [], "remembered by the source");
    assert.equal((await shards.find("in", given)).id, given);
    await assert.rejects(shards.find("in", id<ShardId>("redrive-000002")), (error) => isKind(error, "invalid"));
  });

  test("are asked for anew once they are forgotten, as where another generation begins", async () => {
    const { shards, give } = shardsOf();
    await shards.list("in");
    await give();
    shards.forget();
    assert.deepEqual(
      (await shards.list("in")).map((shard) => shard.id),
      [given],
    );
  });
});
