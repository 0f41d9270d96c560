/** The S3 source: which objects it reads, in which order, from any position; and what becomes of it when they change. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { CreateBucketCommand, DeleteObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { settleListing } from "../../runtime/adapters/aws/object-listing.ts";
import { S3ObjectsReader } from "../../runtime/adapters/aws/s3-objects-reader.ts";
import type { SourceRecord } from "../../runtime/api/connector.ts";
import { type ErrorKind, isKind } from "../../runtime/base/errors.ts";
import { id, type Position, type ShardId } from "../../runtime/base/ids.ts";
import { s3Objects, type S3ObjectsOptions } from "../../runtime/connectors/s3/s3-objects.ts";
import { csv, ndjson, type } from "../../runtime/index.ts";
import { comparePositions } from "../../runtime/streaming/position.ts";
import { textOf } from "../ports/adapter-maker.ts";
import { withS3 } from "./stand-ins.ts";

const s3 = withS3();
const everything = { records: 10_000, bytes: 100_000_000 };
const failsAs = (kind: ErrorKind, message: RegExp) => (error: unknown) => isKind(error, kind) && message.test(error.message);
let buckets = 0;

type Objects = Readonly<Record<string, string | Uint8Array>>;

async function bucketWith(objects: Objects) {
  const client = await s3.client();
  const Bucket = `objects-${process.pid}-${++buckets}`;
  await client.send(new CreateBucketCommand({ Bucket }));
  const put = (Key: string, Body: string | Uint8Array) => client.send(new PutObjectCommand({ Bucket, Key, Body }));
  for (const [key, body] of Object.entries(objects)) await put(key, body);
  const blobs = await s3.blobs();
  const reader = async (options: Partial<S3ObjectsOptions<unknown>> = {}) => {
    const source = s3Objects({ bucket: Bucket, format: ndjson(type<unknown>()), ...options });
    return new S3ObjectsReader({ uid: "history", source, bucket: await s3.bucket({ bucket: Bucket }), blobs });
  };
  const remove = (Key: string) => client.send(new DeleteObjectCommand({ Bucket, Key }));
  return { put, remove, reader, blobs, bucket: () => s3.bucket({ bucket: Bucket }) };
}

/** All records of a shard, by as many reads as it takes. */
async function readAll(reader: S3ObjectsReader, n = 0, limit = everything, from: Position | "horizon" = "horizon") {
  const shard = (await reader.shards())[n]!.id;
  const records: SourceRecord[] = [];
  for (let after: Position | "horizon" | undefined = from; after !== undefined;) {
    const read = await reader.read("any", shard, after, limit);
    records.push(...read.records);
    assert.ok(read.records.length > 0 || read.next === undefined, "it gets on");
    after = read.next;
  }
  return records.map(({ position, bytes, partitionKey, header, rejected }) => {
    return { position, text: textOf(bytes), partitionKey, header, rejected };
  });
}

const texts = (records: readonly { readonly text: string }[]) => records.map(({ text }) => text);
const lines = (name: string, count: number) => Array.from({ length: count }, (_, n) => `${name} ${n}`);

const history: Objects = {
  "history/b.gz": gzipSync(lines("b", 40).join("\n")),
  "history/a": `${lines("a", 7).join("\n")}\n`,
  "history/day=1/c": lines("c", 3).join("\n"),
  "history/empty": "",
  "history/empty.gz": gzipSync(""),
  "history/_SUCCESS": "done",
  "history/.parts/x": "x",
  "history/z": "é\n",
  "other/a": "no",
};
const all = [...lines("a", 7), ...lines("b", 40), ...lines("c", 3), "é"];

describe("the objects of a bucket", () => {
  test("are read in the order of their keys, decompressed, without those that are empty or hidden", async () => {
    const { reader } = await bucketWith(history);
    const records = await readAll(await reader({ prefix: "history/" }));
    assert.deepEqual(texts(records), all);
    assert.deepEqual(
      [...new Set(records.map(({ partitionKey }) => partitionKey))],
      ["history/a", "history/b.gz", "history/day=1/c", "history/z"],
    );
  });

  test("have positions that grow, from each of which the rest is read, by whatever reads", async () => {
    const { reader } = await bucketWith(history);
    const options = { prefix: "history/" };
    const records = await readAll(await reader(options));
    for (const [n, { position }] of records.entries()) {
      assert.match(position, /^[1-9]\d*$/);
      if (n > 0) assert.ok(comparePositions(id<Position>(position), id<Position>(records[n - 1]!.position)) > 0);
      const rest = await readAll(await reader(options), 0, { records: 1 + (n % 5), bytes: 1 + 3 * n }, id<Position>(position));
      assert.deepEqual(rest, records.slice(n + 1));
    }
    for (const limit of [
      { records: 1, bytes: 1 },
      { records: 4, bytes: 9 },
    ])
      assert.deepEqual(await readAll(await reader(options), 0, limit), records);
  });

  test("are dealt out to shards in turn", async () => {
    const { reader } = await bucketWith({ a: "a\n", b: "b\n", c: "c\n", d: "d\n", e: "e\n" });
    const made = await reader({ shards: 2 });
    assert.deepEqual(texts(await readAll(made, 0)), ["a", "c", "e"]);
    assert.deepEqual(texts(await readAll(made, 1)), ["b", "d"]);
  });

  test("may be none, or fewer than shards: they have ended", async () => {
    const { reader } = await bucketWith({});
    const made = await reader({ shards: 3 });
    for (const n of [0, 1, 2]) assert.deepEqual(await readAll(made, n), []);
  });

  test("hand the header line of each along with its records", async () => {
    const { reader } = await bucketWith({ "a.csv": "x,y\n1,2\n", "b.csv": "y,x\r\n3,4\r\n5,6" });
    const format = csv(type<unknown>());
    const records = await readAll(await reader({ format }));
    assert.deepEqual(
      records.map(({ text, header }) => [header, text]),
      [
        ["x,y", "1,2"],
        ["y,x", "3,4"],
        ["y,x", "5,6"],
      ],
    );
    const rest = await readAll(await reader({ format }), 0, everything, id<Position>(records[1]!.position));
    assert.deepEqual(rest, records.slice(2));
  });

  test("with lines that are too long, or a file that breaks off, say so and go on", async () => {
    const cut = gzipSync("x\n".repeat(5_000)).subarray(0, 40);
    const { reader } = await bucketWith({ a: `1\n${"x".repeat(100)}\n2`, "b.gz": cut, c: "3" });
    const records = await readAll(await reader({ maxRecordBytes: 50 }));
    const rejected = records.filter(({ rejected: reason }) => reason !== undefined).map(({ rejected: reason }) => reason!);
    assert.equal(rejected.length, 2);
    assert.match(rejected[0]!, /over 50 bytes/);
    assert.match(rejected[1]!, /breaks off/);
    assert.equal(records.at(-1)!.text, "3");
  });

  test("larger than a range are read whole", async () => {
    const many = lines("a long line of many characters", 250_000);
    const { reader } = await bucketWith({ a: many.join("\n"), b: gzipSync(many.join("\n")) });
    const records = await readAll(await reader(), 0, { records: 30_000, bytes: 1 << 20 });
    assert.deepEqual(texts(records), [...many, ...many]);
  });
});

describe("objects that are not as they were when the job began", () => {
  const two = { a: "a1\na2\n", c: "c1\nc2\n" };

  test("added later, are not read, and change no position", async () => {
    const { reader, put } = await bucketWith(two);
    const before = await readAll(await reader());
    await put("b", "b1\n");
    assert.deepEqual(await readAll(await reader()), before);
  });

  test("changed, stop the source with their name, also in the midst of them", async () => {
    const { reader, put } = await bucketWith({ ...two, a: "x\n".repeat(3_000_000) });
    const made = await reader();
    const [shard] = await made.shards();
    const first = await made.read("any", shard!.id, "horizon", { records: 1, bytes: 10 });
    await put("a", "x\n".repeat(3_000_001));
    const cold = await reader();
    const next = (from: S3ObjectsReader) => from.read("any", shard!.id, first.next!, { records: Infinity, bytes: Infinity });
    await assert.rejects(next(cold), failsAs("invalid", /has changed since the job began.*objects-.*\/a$/));
    await assert.rejects(next(made), failsAs("invalid", /has changed/));
  });

  test("deleted, stop the source with their name until they are back", async () => {
    const { reader, remove, put } = await bucketWith(two);
    const made = await reader();
    await made.shards();
    await remove("c");
    await assert.rejects(readAll(made), failsAs("invalid", /is gone since the job began.*\/c$/));
    await put("c", two.c);
    assert.deepEqual(texts(await readAll(made)), ["a1", "a2", "c1", "c2"]);
  });

  test("elsewhere: another prefix under the same uid is refused", async () => {
    const { reader } = await bucketWith({ "x/a": "1\n", "y/a": "2\n" });
    await readAll(await reader({ prefix: "x/" }));
    await assert.rejects(readAll(await reader({ prefix: "y/" })), failsAs("invalid", /give it another uid.*x\/, not .*y\/$/));
  });

  test("of another listing: positions are not taken for those of this one", async () => {
    const { reader } = await bucketWith(two);
    const made = await reader();
    const [shard] = await made.shards();
    const foreign = id<ShardId>(shard!.id.replace(/objects-.{8}/, "objects-00000000"));
    await assert.rejects(made.read("any", foreign, "horizon", everything), failsAs("invalid", /others than those it began with/));
  });
});

test("of several who list at once, one settles which objects they are", async () => {
  const { bucket, blobs, put } = await bucketWith({ a: "1\n" });
  const slow = await bucket();
  const listAll = slow.listAll.bind(slow);
  slow.listAll = async (prefix) => {
    const listed = await listAll(prefix);
    await put("b", "2\n");
    await settleListing("history", "", await bucket(), blobs);
    return listed;
  };
  const listings = [await settleListing("history", "", slow, blobs), await settleListing("history", "", await bucket(), blobs)];
  for (const { objects, hash } of listings) {
    assert.deepEqual(
      objects.map(({ key }) => key),
      ["a", "b"],
      "who came first had seen both",
    );
    assert.equal(hash, listings[0]!.hash);
  }
});

test("options that cannot be are refused", () => {
  const format = ndjson(type<unknown>());
  assert.throws(() => s3Objects({ bucket: "", format }), failsAs("invalid", /name of a bucket/));
  for (const shards of [0, 1.5, 257])
    assert.throws(() => s3Objects({ bucket: "b", format, shards }), failsAs("invalid", /1 to 256/));
  assert.throws(() => s3Objects({ bucket: "b", format, maxRecordBytes: 0 }), failsAs("invalid", /positive/));
});
