/** When events are put, how they are packed, what a caller is told. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { VirtualClock } from "../../emulator/virtual-clock.ts";
import { isKind, MillraceError } from "../../runtime/base/errors.ts";
import { accessLog } from "../../runtime/connectors/formats/access-log.ts";
import { csv } from "../../runtime/connectors/formats/csv.ts";
import type { Format } from "../../runtime/connectors/formats/format.ts";
import { parquet } from "../../runtime/connectors/formats/parquet.ts";
import { readAggregate } from "../../runtime/connectors/kinesis/kpl.ts";
import { Producer, type ProducerOptions } from "../../producer/producer.ts";
import { aggregateOf } from "../connectors/aggregate.ts";
import { allGoesWell, md5Of, SimulatedStream } from "./simulated-stream.ts";

function start(options: Partial<ProducerOptions<unknown>> = {}, shards = 1) {
  const clock = new VirtualClock();
  const random = new SeededRandom(1);
  const stream = new SimulatedStream(clock, random, shards);
  const producer = new Producer<unknown>({ stream: "events", ...options }, { stream, clock, random: () => random.next() });
  return { clock, stream, producer };
}

const unavailable = (words: RegExp) => (error: unknown) => isKind(error, "unavailable") && words.test(error.message);
const invalid = (words: RegExp) => (error: unknown) => isKind(error, "invalid") && words.test(error.message);

async function refused(clock: VirtualClock, puts: readonly Promise<unknown>[], words: RegExp): Promise<void> {
  for (const settled of await clock.until(Promise.allSettled(puts)))
    assert.ok(settled.status === "rejected" && invalid(words)(settled.reason));
}

/** The texts of a request's records, each with those that lie in it. */
function textsOf(request: readonly { readonly bytes: Uint8Array }[]): readonly (readonly string[])[] {
  return request.map(({ bytes }) => {
    const read = readAggregate(bytes);
    assert.notEqual(read.kind, "broken");
    return (read.kind === "aggregate" ? read.records : [{ bytes }]).map((record) => Buffer.from(record.bytes).toString());
  });
}

suite("events are put", () => {
  test("when the first of a record has waited its time, all in one record", async () => {
    const { clock, stream, producer } = start({ lingerMs: 200 });
    // The shards are asked for once.
    await clock.until(producer.put({ key: "a", value: 0 }));
    const from = clock.now();
    const puts = [1, 2, 3].map((value) => producer.put({ key: `k${value}`, value }));
    await clock.advance(199);
    assert.equal(stream.requests.length, 1);
    await clock.advance(1);
    assert.equal(stream.requests.length, 2);
    const places = await clock.until(Promise.all(puts));
    assert.ok(clock.now() >= from + 200);
    assert.deepEqual(textsOf(stream.requests[1]!), [["1", "2", "3"]]);
    assert.equal(new Set(places.map(({ sequenceNumber }) => sequenceNumber)).size, 1);
  });
  test("at once when a record is full, however long they may wait", async () => {
    const { clock, stream, producer } = start({ lingerMs: 3_600_000, recordBytes: 2_000 });
    const puts = Array.from({ length: 25 }, (_, n) => producer.put({ key: "a", bytes: Buffer.alloc(200, 65 + n) }));
    await clock.advance(5_000);
    const sizes = stream.requests.flat().map(({ bytes }) => bytes.length);
    assert.deepEqual([sizes.length, sizes.every((size) => size > 1_700 && size < 2_000)], [2, true]);
    await clock.until(producer.flush());
    await Promise.all(puts);
  });
  test("at once by flush, which waits for those before it and for no other", async () => {
    const { clock, producer } = start({ lingerMs: 3_600_000 });
    await clock.until(Promise.all([producer.put({ key: "a", value: 0 }), producer.flush()]));
    let settled = 0;
    void producer.put({ key: "a", value: 1 }).then(() => settled++);
    const flushed = producer.flush();
    await clock.advance(0);
    void producer.put({ key: "b", value: 2 }).then(() => settled++);
    await clock.until(flushed);
    assert.equal(settled, 1);
    await clock.until(producer.flush());
    assert.equal(settled, 2);
    await clock.until(producer.flush());
  });
  test("by close too, after which nothing is taken", async () => {
    const { clock, producer } = start({ lingerMs: 3_600_000 });
    const put = producer.put({ key: "a", value: 1 });
    await clock.until(producer.close());
    await put;
    await assert.rejects(producer.put({ key: "a", value: 1 }), invalid(/closed/));
    await clock.until(producer.close());
  });
  test("each shard's in a record of its own, all in one request", async () => {
    const { clock, stream, producer } = start({}, 4);
    const puts = Array.from({ length: 100 }, (_, n) => producer.put({ key: `k${n}`, value: n }));
    await clock.until(Promise.all(puts));
    assert.deepEqual([stream.requests.length, stream.requests[0]!.length], [1, 4]);
    for (const { bytes, explicitHashKey } of stream.requests[0]!) {
      const read = readAggregate(bytes);
      assert.ok(read.kind === "aggregate" && read.records.length > 10);
      const quarter = BigInt(explicitHashKey!) >> 126n;
      assert.ok(read.records.every(({ partitionKey }) => md5Of(partitionKey) >> 126n === quarter));
    }
  });
  test("alone as they are, unless that would be read as a pack", async () => {
    const { clock, stream, producer } = start();
    await clock.until(producer.put({ key: "a", bytes: Buffer.from("as it is") }));
    const pack = aggregateOf([{ partitionKey: "b", data: Buffer.from("within") }]);
    await clock.until(producer.put({ key: "a", bytes: pack }));
    assert.equal(Buffer.from(stream.requests[0]![0]!.bytes).toString(), "as it is");
    const read = await stream.read();
    assert.deepEqual([...read.keys()], ["a"]);
    assert.deepEqual(read.get("a")![1]!.text, pack.toString());
  });
  test("as they were when they were put: bytes may be used again", async () => {
    const { clock, stream, producer } = start();
    const bytes = Buffer.from("before");
    const put = producer.put({ key: "a", bytes });
    bytes.write("after!");
    await clock.until(put);
    assert.equal((await stream.read()).get("a")![0]!.text, "before");
  });
});

suite("a caller is told", () => {
  test("of what can never be put, at once and for that event alone", async () => {
    const { clock, producer } = start();
    const good = producer.put({ key: "a", value: 1 });
    for (const format of [csv(undefined, { columns: ["a"] }), parquet({ columns: { a: "string" } }), csv()] as Format<any>[])
      assert.throws(() => start({ format }), invalid(/a producer cannot write this format/));
    await assert.rejects(producer.put({ key: "", value: 1 }), invalid(/1 to 256 characters/));
    await assert.rejects(producer.put({ key: "k".repeat(257), value: 1 }), invalid(/256/));
    await assert.rejects(producer.put({ key: "a", value: 1n }), invalid(/JSON/));
    await assert.rejects(producer.put({ key: "a", bytes: new Uint8Array(1 << 20) }), invalid(/limit of 1048576 bytes/));
    await clock.until(good);
    assert.equal(producer.heldBytes, 0);
  });
  test("when too much waits, and when there is room again", async () => {
    const { clock, stream, producer } = start({ bufferBytes: 1 << 20 });
    stream.chances = { ...allGoesWell, refused: 1 };
    const puts: Promise<unknown>[] = [];
    while (producer.heldBytes < 1 << 20) puts.push(producer.put({ key: `k${puts.length}`, bytes: new Uint8Array(1_000) }));
    await assert.rejects(producer.put({ key: "more", value: 1 }), unavailable(/ready\(\)/));
    let isReady = false;
    const ready = producer.ready().then(() => (isReady = true));
    await clock.advance(60_000);
    assert.equal(isReady, false);
    stream.chances = allGoesWell;
    await clock.until(ready);
    await clock.until(producer.put({ key: "more", value: 1 }));
    await clock.until(Promise.all(puts));
  });
  test("of none of many callers who each wait until there is room, which they are given one after the other", async () => {
    const bufferBytes = 1 << 20;
    const [callers, eventBytes] = [200, 60_000];
    const { clock, producer } = start({ bufferBytes });
    let [heldMax, put] = [0, 0];
    const order: number[] = [];
    const call = async (n: number) => {
      await producer.ready();
      // Some think better of it.
      if (n % 3 === 0) return;
      order.push(n);
      const settled = producer.put({ key: `k${n}`, bytes: new Uint8Array(eventBytes) });
      heldMax = Math.max(heldMax, producer.heldBytes);
      await settled;
      put++;
    };
    await clock.until(Promise.all(Array.from({ length: callers }, (_, n) => call(n))));
    assert.deepEqual([put, order], [order.length, order.toSorted((a, b) => a - b)]);
    assert.ok(heldMax > bufferBytes / 2 && heldMax < bufferBytes + 2 * eventBytes, `${heldMax}`);
  });
  test("of events that are given up, with the reason, when their time is over", async () => {
    const { clock, stream, producer } = start({ giveUpAfterMs: 10_000 });
    stream.chances = { ...allGoesWell, refused: 1 };
    const from = clock.now();
    await assert.rejects(clock.until(producer.put({ key: "a", value: 1 })), unavailable(/given up.*events, a: Rate exceeded/));
    assert.ok(clock.now() - from <= 16_000, `${clock.now() - from}`);
    assert.deepEqual([producer.counts.failed, producer.heldBytes], [1, 0]);
    stream.chances = { ...allGoesWell, lostAfter: 1 };
    await assert.rejects(clock.until(producer.put({ key: "a", value: 1 })), unavailable(/may be there all the same/));
    stream.chances = allGoesWell;
    await clock.until(producer.put({ key: "a", value: 2 }));
  });
  test("of a stream that is not there, and is tried anew by the next event", async () => {
    const { clock, stream, producer } = start();
    const shards = stream.shards.bind(stream);
    stream.shards = () => Promise.reject(new MillraceError("invalid", "no such stream"));
    const puts = [producer.put({ key: "a", value: 1 }), producer.put({ key: "b", value: 1 })];
    await refused(clock, puts, /no such stream/);
    stream.shards = shards;
    await clock.until(producer.put({ key: "a", value: 2 }));
  });
  test("of a request that is refused for good, for all that were in it", async () => {
    const { clock, stream, producer } = start();
    const put = stream.put.bind(stream);
    stream.put = () => Promise.reject(new MillraceError("invalid", "no permission"));
    const puts = [producer.put({ key: "a", value: 1 }), producer.put({ key: "b", value: 1 })];
    await refused(clock, puts, /no permission/);
    stream.put = put;
    await clock.until(producer.put({ key: "a", value: 2 }));
  });
  test("of a stream that does not keep to keys", async () => {
    const { clock, stream, producer } = start({}, 2);
    const put = stream.put.bind(stream);
    const top = (1n << 128n) - 1n;
    stream.put = (records) => put(records.map((record) => ({ ...record, explicitHashKey: String(top) })));
    const puts = Array.from({ length: 50 }, (_, n) => producer.put({ key: `k${n}`, value: n }));
    const settled = await clock.until(Promise.allSettled(puts));
    const failed = settled.filter((result) => result.status === "rejected");
    assert.ok(failed.length > 10 && failed.length < 40);
    assert.ok(failed.every(({ reason }) => invalid(/must not be AUTO/)(reason)));
  });
  test("of options that cannot be", () => {
    const refuses = (options: Partial<ProducerOptions<any>>, words: RegExp) =>
      assert.throws(() => start(options), invalid(words));
    refuses({ stream: "" }, /name of a stream/);
    refuses({ lingerMs: -1 }, /lingerMs/);
    refuses({ recordBytes: 2 << 20 }, /recordBytes/);
    refuses({ bufferBytes: 1 }, /bufferBytes/);
    refuses({ giveUpAfterMs: Number.NaN }, /giveUpAfterMs/);
    refuses({ format: accessLog() }, /only read/);
  });
});

suite("a shard that was split", () => {
  test("makes the producer put again what the child does not take, and ask for the shards once", async () => {
    const { clock, stream, producer } = start();
    let listings = 0;
    const shards = stream.shards.bind(stream);
    stream.shards = () => (listings++, shards());
    await clock.until(producer.put({ key: "a", value: 0 }));
    await stream.reshard();
    const keys = Array.from({ length: 40 }, (_, n) => `k${n}`);
    await clock.until(Promise.all(keys.map((key) => producer.put({ key, value: key }))));
    assert.equal(listings, 2);
    const read = await stream.read();
    assert.deepEqual(
      keys.map((key) => read.get(key)?.map(({ text }) => text)),
      keys.map((key) => [JSON.stringify(key)]),
    );
    assert.ok(producer.counts.foreign > 5 && producer.counts.foreign < 35, `${producer.counts.foreign}`);
  });
});
