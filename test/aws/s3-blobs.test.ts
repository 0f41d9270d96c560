/** Objects on S3: in parts, with answers lost, and where the service refuses. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { type BlobName, id } from "../../runtime/base/ids.ts";
import { bytesOf, textOf } from "../ports/adapter-maker.ts";
import { FaultyHandler, type Fate, lose, pass } from "./faulty-handler.ts";
import { newJob, withS3 } from "./stand-ins.ts";

const s3 = withS3();
const name = id<BlobName>("segments/g1.count~0/000000000001-a");
const mib = 1024 * 1024;

async function behindHandler(maxAttempts = 1) {
  const handler = new FaultyHandler();
  const telemetry = new MemoryTelemetry();
  const job = newJob();
  const blobs = await s3.blobs({ job, handler, maxAttempts, telemetry });
  return { handler, telemetry, blobs, undisturbed: await s3.blobs({ job }) };
}

function refusal(code: string, status: number): Fate {
  return { kind: "refuse", status, body: `<Error><Code>${code}</Code><Message>${code}</Message></Error>` };
}

function large(size: number): Uint8Array {
  return new Uint8Array(size).map((_, n) => (n * 31 + (n >> 16)) % 256);
}

describe("aws: objects in parts", () => {
  it("are there whole, and ranges across parts too", async () => {
    const { telemetry, blobs } = await behindHandler();
    const bytes = large(20 * mib);
    assert.equal(await blobs.put(name, bytes), "put");
    assert.equal(Buffer.compare((await blobs.get(name))!, bytes), 0);
    const range = { offset: 8 * mib - 5, length: 10 };
    assert.deepEqual(await blobs.get(name, range), bytes.slice(range.offset, range.offset + range.length));
    assert.equal(telemetry.total("s3.put"), 2 + 3);
  });

  it("are put whole up to 16 MiB", async () => {
    const { telemetry, blobs } = await behindHandler();
    await blobs.put(name, large(16 * mib));
    assert.equal(telemetry.total("s3.put"), 1);
  });

  it("have one winner with ifAbsent, and leave nothing of the others behind", async () => {
    const { handler, blobs, undisturbed } = await behindHandler();
    const [first, second] = [large(17 * mib), large(18 * mib)];
    const results = await Promise.all(
      [blobs, undisturbed].map((each, n) => each.put(name, n === 0 ? first : second, { ifAbsent: true })),
    );
    assert.deepEqual([...results].sort(), ["exists", "put"]);
    assert.equal((await blobs.get(name))!.length, results[0] === "put" ? first.length : second.length);
    assert.equal(await blobs.put(name, large(19 * mib), { ifAbsent: true }), "exists");
    assert.ok(
      handler.sent.some((request) => request.startsWith("DELETE")),
      "the upload that lost is aborted",
    );
  });

  it("are there when the answer to their end was lost, and S3 knows the upload no more", async () => {
    const { handler, blobs } = await behindHandler(3);
    const bytes = large(20 * mib);
    let posts = 0;
    // The first begins the upload, the second ends it.
    handler.decide = (request) => {
      if (!request.startsWith("POST") || ++posts === 1) return pass;
      return posts === 2 ? lose : refusal("NoSuchUpload", 404);
    };
    assert.equal(await blobs.put(name, bytes), "put");
    assert.equal(posts, 3);
    assert.equal(Buffer.compare((await blobs.get(name))!, bytes), 0);
  });

  it("are tried again when the upload is gone and they are not there", async () => {
    const { handler, blobs } = await behindHandler(3);
    handler.decide = (request) => (request.startsWith("POST") && handler.sent.length > 1 ? refusal("NoSuchUpload", 404) : pass);
    await assert.rejects(blobs.put(name, large(20 * mib)), (error) => isKind(error, "unavailable"));
    assert.equal(await blobs.get(name), undefined);
  });

  it("are not there at all when a part fails, and the upload is aborted", async () => {
    const { handler, blobs } = await behindHandler();
    let parts = 0;
    handler.decide = (request) => (request.startsWith("PUT") && ++parts === 2 ? refusal("InternalError", 500) : pass);
    await assert.rejects(blobs.put(name, large(20 * mib)), (error) => isKind(error, "unavailable"));
    assert.ok(handler.sent.at(-1)!.startsWith("DELETE"));
    assert.equal(await blobs.get(name), undefined);
  });
});

describe("aws: an object with ifAbsent", () => {
  it("knows its own when the SDK repeats a write whose answer was lost", async () => {
    const { handler, blobs } = await behindHandler(3);
    let losses = 1;
    handler.decide = (request) => (request.startsWith("PUT") && losses-- > 0 ? lose : pass);
    assert.equal(await blobs.put(name, bytesOf("mine"), { ifAbsent: true }), "put");
    assert.equal(await blobs.put(name, bytesOf("mine"), { ifAbsent: true }), "exists");
  });

  it("does not take another's for its own", async () => {
    const { handler, blobs, undisturbed } = await behindHandler(3);
    let losses = 1;
    handler.decide = async (request) => {
      if (!request.startsWith("PUT") || losses-- <= 0) return pass;
      await undisturbed.put(name, bytesOf("other"));
      return refusal("InternalError", 500);
    };
    assert.equal(await blobs.put(name, bytesOf("mine"), { ifAbsent: true }), "exists");
    assert.equal(textOf((await blobs.get(name))!), "other");
  });

  it("is tried again while another conditional write of the name is under way", async () => {
    const { handler, blobs } = await behindHandler();
    let conflicts = 2;
    handler.decide = () => (conflicts-- > 0 ? refusal("ConditionalRequestConflict", 409) : pass);
    assert.equal(await blobs.put(name, bytesOf("mine"), { ifAbsent: true }), "put");
  });
});

describe("aws: a check for the permission to write", () => {
  it("leaves nothing behind, and passes when the answer to its end was lost", async () => {
    for (const loses of [false, true]) {
      const handler = new FaultyHandler();
      const bucket = await s3.bucket({ handler, maxAttempts: 3 });
      let losses = loses ? 1 : 0;
      handler.decide = (request) => (request.startsWith("DELETE") && losses-- > 0 ? lose : pass);
      await bucket.checkWrite("checked/object");
      assert.equal(handler.sent.filter((request) => request.startsWith("DELETE")).length, loses ? 2 : 1);
      assert.deepEqual(await bucket.listAll("checked/"), []);
    }
  });

  it("says which permission is missing", async () => {
    const handler = new FaultyHandler();
    const bucket = await s3.bucket({ handler, maxAttempts: 1 });
    handler.decide = () => refusal("AccessDenied", 403);
    await assert.rejects(
      bucket.checkWrite("checked/object"),
      (error) => isKind(error, "invalid") && /no permission.*write of checked\/object/.test(error.message),
    );
  });
});

describe("aws: objects where S3 refuses", () => {
  it("says which kind of failure it is, with the object and the bucket", async () => {
    const { handler, blobs } = await behindHandler();
    const cases = [
      ["SlowDown", 503, "unavailable"],
      ["InternalError", 500, "unavailable"],
      ["AccessDenied", 403, "invalid"],
      ["RequestTimeTooSkewed", 403, "unavailable"],
      ["PermanentRedirect", 301, "invalid"],
    ] as const;
    for (const [code, status, kind] of cases) {
      handler.decide = () => refusal(code, status);
      for (const call of [blobs.put(name, bytesOf("a")), blobs.get(name), blobs.delete([name])]) {
        await assert.rejects(call, (error) => isKind(error, kind) && error.message.includes(`${name} in bucket state`), code);
      }
      await assert.rejects(blobs.list("segments/"), (error) => isKind(error, kind), code);
    }
  });

  it("says that there is no such bucket, and never that there is no such object", async () => {
    const blobs = await s3.blobs({ bucket: "elsewhere" });
    const noBucket = (error: unknown) => isKind(error, "invalid") && /no such bucket.*elsewhere/.test(error.message);
    await assert.rejects(blobs.get(name), noBucket);
    await assert.rejects(blobs.put(name, bytesOf("a")), noBucket);
    await assert.rejects(blobs.list(""), noBucket);
  });

  it("passes on what a delete of many could not delete", async () => {
    const { handler, blobs } = await behindHandler();
    const errors = `<Error><Key>k</Key><Code>InternalError</Code><Message>try again</Message></Error>`;
    handler.decide = () => ({ kind: "refuse", status: 200, body: `<DeleteResult>${errors}</DeleteResult>` });
    await assert.rejects(blobs.delete([name]), (error) => isKind(error, "unavailable"));
  });
});
