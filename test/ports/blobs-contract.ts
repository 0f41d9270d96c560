/**
 * What every store of objects must hold.
 *
 * O1 Read after write for a whole object; of several writers with `ifAbsent` exactly one wins.
 * O2 A range past the end gives what is there; a negative offset counts from the end.
 * O3 A listing is in order of name, 1,000 at a time, and can be continued after its last name.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { id, type BlobName } from "../../runtime/base/ids.ts";
import { type Blobs, type ByteRange, namesUnder } from "../../runtime/ports/blobs.ts";
import { type AdapterMaker, bytesOf, textOf } from "./adapter-maker.ts";

const blob = (name: string) => id<BlobName>(name);

async function withBlob(make: AdapterMaker<Blobs>, name: string, text: string): Promise<Blobs> {
  const blobs = await make();
  await blobs.put(blob(name), bytesOf(text));
  return blobs;
}

async function namesOf(blobs: Blobs, prefix: string): Promise<readonly string[]> {
  return (await blobs.list(prefix)).blobs.map(({ name }) => name);
}

export function blobsContract(name: string, make: AdapterMaker<Blobs>): void {
  describe(`${name}: blobs contract`, () => {
    it("gives back what was put, undefined for what was not (O1)", async () => {
      const blobs = await withBlob(make, "job/segments/1", "hello");
      assert.equal(textOf((await blobs.get(blob("job/segments/1")))!), "hello");
      assert.equal(await blobs.get(blob("job/segments/2")), undefined);
      assert.equal(await blobs.get(blob("job/segments")), undefined);
      assert.equal(await blobs.get(blob("job/segments/1/x")), undefined);
    });

    it("replaces an object without ifAbsent, keeps it with (O1)", async () => {
      const blobs = await withBlob(make, "a", "first");
      assert.equal(await blobs.put(blob("a"), bytesOf("second"), { ifAbsent: true }), "exists");
      assert.equal(textOf((await blobs.get(blob("a")))!), "first");
      assert.equal(await blobs.put(blob("a"), bytesOf("third")), "put");
      assert.equal(textOf((await blobs.get(blob("a")))!), "third");
    });

    it("lets exactly one of several writers with ifAbsent win (O1)", async () => {
      const blobs = await make();
      const texts = Array.from({ length: 8 }, (_, n) => `writer ${n}`);
      const results = await Promise.all(texts.map((text) => blobs.put(blob("m/1"), bytesOf(text), { ifAbsent: true })));
      assert.equal(results.filter((result) => result === "put").length, 1);
      assert.equal(textOf((await blobs.get(blob("m/1")))!), texts[results.indexOf("put")]);
    });

    it("reads ranges, from the end too, and past the end what is there (O2)", async () => {
      const blobs = await withBlob(make, "a", "0123456789");
      const read = async (range: ByteRange) => textOf((await blobs.get(blob("a"), range))!);
      assert.equal(await read({ offset: 0, length: 4 }), "0123");
      assert.equal(await read({ offset: 3, length: 2 }), "34");
      assert.equal(await read({ offset: 8, length: 5 }), "89");
      assert.equal(await read({ offset: 10, length: 5 }), "");
      assert.equal(await read({ offset: 99, length: 5 }), "");
      assert.equal(await read({ offset: -3, length: 3 }), "789");
      assert.equal(await read({ offset: -3, length: 1 }), "7");
      assert.equal(await read({ offset: -3, length: 99 }), "789");
      assert.equal(await read({ offset: -99, length: 3 }), "012");
      assert.equal(await blobs.get(blob("b"), { offset: 0, length: 1 }), undefined);
    });

    it("keeps empty and large objects as they are", async () => {
      const blobs = await withBlob(make, "empty", "");
      assert.equal((await blobs.get(blob("empty")))!.length, 0);
      const large = new Uint8Array(2_000_000).map((_, n) => (n * 31) % 256);
      await blobs.put(blob("large"), large);
      assert.deepEqual(await blobs.get(blob("large")), large);
    });

    it("lists by prefix in order of name, with sizes (O3)", async () => {
      const blobs = await make();
      const names = ["j/segments/2", "j/segments/10", "j/segments/1", "j/manifests/1", "j/segments-old/1", "k/segments/1"];
      for (const each of names) await blobs.put(blob(each), bytesOf(each));
      assert.deepEqual(await namesOf(blobs, "j/segments/"), ["j/segments/1", "j/segments/10", "j/segments/2"]);
      assert.deepEqual(await namesOf(blobs, "j/seg"), ["j/segments-old/1", "j/segments/1", "j/segments/10", "j/segments/2"]);
      assert.deepEqual(await namesOf(blobs, "j/segments/1"), ["j/segments/1", "j/segments/10"]);
      assert.deepEqual(await namesOf(blobs, ""), [...names].sort());
      assert.deepEqual(await namesOf(blobs, "x"), []);
      const [first] = (await blobs.list("k/")).blobs;
      assert.equal(first!.sizeBytes, "k/segments/1".length);
      assert.ok(Number.isFinite(first!.writtenAt));
    });

    it("continues after a name, whether or not it exists (O3)", async () => {
      const blobs = await make();
      for (const each of ["p/a", "p/b", "p/c"]) await blobs.put(blob(each), bytesOf(each));
      const after = async (last: string) =>
        (await blobs.list("p/", blob(last))).blobs.map(({ name: listed }) => listed as string);
      assert.deepEqual(await after("p/a"), ["p/b", "p/c"]);
      assert.deepEqual(await after("p/aa"), ["p/b", "p/c"]);
      assert.deepEqual(await after("p/c"), []);
    });

    it("lists 1,000 at a time (O3)", async () => {
      const blobs = await make();
      const names = Array.from({ length: 1001 }, (_, n) => `many/${String(n).padStart(5, "0")}`);
      await Promise.all(names.map((each) => blobs.put(blob(each), bytesOf(""))));
      const first = await blobs.list("many/");
      assert.deepEqual([first.blobs.length, first.more], [1000, true]);
      const second = await blobs.list("many/", first.blobs.at(-1)!.name);
      assert.deepEqual([second.blobs.length, second.more], [1, false]);
      assert.deepEqual(await namesUnder(blobs, "many/"), names);
      await blobs.delete([blob(names[500]!)]);
      const exact = await blobs.list("many/");
      assert.deepEqual([exact.blobs.length, exact.more], [1000, false]);
    });

    it("deletes, passing over what is not there", async () => {
      const blobs = await withBlob(make, "d/a", "a");
      await blobs.put(blob("d/b"), bytesOf("b"));
      await blobs.delete([blob("d/a"), blob("d/none"), blob("other/none")]);
      assert.equal(await blobs.get(blob("d/a")), undefined);
      assert.deepEqual(await namesOf(blobs, "d/"), ["d/b"]);
      assert.equal(await blobs.put(blob("d/a"), bytesOf("again"), { ifAbsent: true }), "put");
    });

    it("takes names with any character, apart from each other", async () => {
      const blobs = await make();
      const names = [
        "ö/ü",
        "a b",
        "a%20b",
        "a>b",
        "a:b",
        "..",
        "../up",
        "a/../b",
        ".hidden",
        "A",
        "a",
        "end.",
        "%",
        "x".repeat(700),
      ];
      for (const each of names) await blobs.put(blob(each), bytesOf(each));
      for (const each of names) assert.equal(textOf((await blobs.get(blob(each)))!), each);
      assert.deepEqual(await namesOf(blobs, ""), [...names].sort());
    });

    it("hands out bytes that belong to the caller", async () => {
      const blobs = await withBlob(make, "a", "hello");
      (await blobs.get(blob("a")))!.fill(0);
      (await blobs.get(blob("a"), { offset: 0, length: 3 }))!.fill(0);
      assert.equal(textOf((await blobs.get(blob("a")))!), "hello");
    });
  });
}
