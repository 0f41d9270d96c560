import assert from "node:assert/strict";
import { mkdir, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { suite, test } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import type { Source, SourceRecord } from "../../runtime/api/connector.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { type Position, type ShardId, id } from "../../runtime/base/ids.ts";
import { fileError } from "../../runtime/connectors/files/file-errors.ts";
import { files } from "../../runtime/connectors/files/files.ts";
import { RecordCutter } from "../../runtime/connectors/files/record-cutter.ts";
import { csv } from "../../runtime/connectors/formats/csv.ts";
import type { Format } from "../../runtime/connectors/formats/format.ts";
import { json } from "../../runtime/connectors/formats/json.ts";
import { openSource } from "../../runtime/connectors/open-sources.ts";
import type { ReadLimit } from "../../runtime/ports/log.ts";
import { type After, Decoded, linesOf, open, plain, type PlainRecord, readAll, withDirectory } from "./support.ts";

const sample = Buffer.from('{"a":1}\n\n{"b":"é€😀"}\r\n\r\n[]\n{"last":true}');

async function written(directory: string, name: string, data: Uint8Array | string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, data);
  return path;
}

/** All records of a file through a fresh reader. */
async function recordsOf(
  path: string,
  options: { format?: Format<any>; maxRecordBytes?: number; from?: string } = {},
): Promise<PlainRecord[]> {
  const { format = json(), from = "horizon", maxRecordBytes } = options;
  const source = files({ paths: path, format, ...(maxRecordBytes === undefined ? {} : { maxRecordBytes }) });
  const reader = open(source);
  try {
    return await readAll(reader, source.name, path, from);
  } finally {
    await reader.close();
  }
}

/** The records of CSV data that comes in `step` bytes at a time. */
function cutInSteps(data: Buffer, step: number, maxRecordBytes: number): PlainRecord[] {
  const cutter = new RecordCutter({ kind: "csv", separator: "," }, maxRecordBytes, undefined, 0);
  const records: SourceRecord[] = [];
  for (let at = 0; at < data.length; at += step) {
    cutter.put(Buffer.concat([cutter.rest, data.subarray(at, at + step)]), 0);
    assert.equal(cutter.take(records, { records: Infinity, bytes: Infinity }), false);
  }
  cutter.end(undefined);
  assert.equal(cutter.take(records, { records: Infinity, bytes: Infinity }), false);
  return records.map(plain);
}

suite("a file's records", () => {
  test("lines without their ends, empty ones passed over, the last with or without line end", () =>
    withDirectory(async (directory) => {
      const cases = [
        sample,
        Buffer.from("x\ny\n"),
        Buffer.from("\n\r\n\n"),
        Buffer.from(""),
        Buffer.from("x"),
        Buffer.from("x\r"),
        Buffer.from("a\rb\n"),
      ];
      for (const [i, data] of cases.entries()) {
        assert.deepEqual(await recordsOf(await written(directory, `${i}`, data)), linesOf(data), JSON.stringify(data.toString()));
      }
    }));
  test("a byte order mark belongs to no record", () =>
    withDirectory(async (directory) => {
      for (const [i, rest] of ["a\nb\n", "", "\n", "é"].entries()) {
        const data = Buffer.from(`\ufeff${rest}`);
        assert.deepEqual(await recordsOf(await written(directory, `${i}`, data)), linesOf(data));
      }
      const [first, second] = await recordsOf(await written(directory, "inside", "a\n\ufeffb\n"));
      assert.deepEqual([first!.text, second!.text], ["a", "\ufeffb"]);
    }));
  test("text is undefined where the bytes are not UTF-8, and the bytes are the original ones", () =>
    withDirectory(async (directory) => {
      const [bad, good] = await recordsOf(await written(directory, "f", Buffer.from('"\xff"\nok\n', "latin1")));
      assert.deepEqual([bad!.text, bad!.bytes, good!.text], [undefined, '"\xff"', "ok"]);
    }));
  test("characters across the borders of large reads stay whole", () =>
    withDirectory(async (directory) => {
      // Three-byte characters in lines of 1,000: every border of 1 MiB falls inside a character or a line.
      const line = `"${"€".repeat(333)}"\n`;
      const data = Buffer.from(line.repeat(3500));
      const records = await recordsOf(await written(directory, "f", data));
      assert.equal(records.length, 3500);
      assert.ok(records.every((record) => record.text === line.trimEnd()));
    }));
  test("arrival time is the file's modification time", () =>
    withDirectory(async (directory) => {
      const path = await written(directory, "f", "1\n");
      await utimes(path, 1_000, 1_234.5);
      const source = files({ paths: path, format: json() });
      const reader = open(source);
      const { records } = await reader.read(source.name, id<ShardId>(path), "horizon", { records: 10, bytes: 100 });
      assert.deepEqual([records[0]!.arrivalTime, records[0]!.partitionKey], [1_234_500, ""]);
      await reader.close();
    }));
});

interface WalkStep {
  readonly limit: ReadLimit;
  readonly move: "on" | "restart" | "back";
  readonly to: number;
}

const walk: fc.Arbitrary<WalkStep[]> = fc.array(
  fc.record({
    limit: fc.record({ records: fc.integer({ min: 1, max: 5 }), bytes: fc.integer({ min: 1, max: 60 }) }),
    move: fc.constantFrom("on", "on", "restart", "back"),
    to: fc.nat(),
  }),
  { minLength: 1, maxLength: 20, size: "max" },
);

/** Reads a file with these limits, restarting and going back on the way, and holds every read against `all`. */
async function checkWalk(source: Source<any>, all: readonly PlainRecord[], steps: readonly WalkStep[]): Promise<void> {
  let reader = open(source);
  let taken = 0;
  for (let i = 0; i < 200; i++) {
    const { limit, move, to } = steps[i % steps.length]!;
    const after: After = taken === 0 ? "horizon" : id<Position>(all[taken - 1]!.position);
    const read = await reader.read(source.name, id<ShardId>(source.name), after, limit);
    const got = read.records.map(plain);
    assert.deepEqual(got, all.slice(taken, taken + got.length));
    const bytes = got.reduce((sum, record) => sum + record.bytes.length, 0);
    assert.ok(got.length <= limit.records && (got.length <= 1 || bytes <= limit.bytes));
    taken += got.length;
    if (read.next === undefined) break;
    assert.ok(got.length > 0);
    assert.equal(read.next, got.at(-1)!.position);
    if (i < 20 && move === "back") taken = to % (taken + 1);
    if (move !== "restart") continue;
    await reader.close();
    reader = open(source);
  }
  await reader.close();
  assert.equal(taken, all.length);
}

suite("positions", () => {
  test("reading after any record's position gives the records after it", () =>
    withDirectory(async (directory) => {
      const plainPath = await written(directory, "f", sample);
      const gzipPath = await written(directory, "f.gz", gzipSync(sample));
      const all = linesOf(sample);
      for (const path of [plainPath, gzipPath]) {
        for (let i = 0; i < all.length; i++) {
          assert.deepEqual(await recordsOf(path, { from: all[i]!.position }), all.slice(i + 1));
        }
      }
    }));
  test("random data, limits, rewinds and restarts: the records are always the same (F1)", () =>
    withDirectory(async (directory) => {
      const piece = fc.constantFrom("a", "é", "€", "\n", "\r\n", "\r", '"', ",", "x".repeat(40));
      let n = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(piece, { maxLength: 60, size: "max" }), fc.boolean(), walk, async (pieces, gzip, steps) => {
          const data = Buffer.from(pieces.join(""));
          const path = await written(directory, `f${n++}`, gzip ? gzipSync(data) : data);
          await checkWalk(files({ paths: path, format: json() }), linesOf(data), steps);
          const format = csv();
          await checkWalk(files({ paths: path, format }), await recordsOf(path, { format }), steps);
        }),
        { numRuns: 150 },
      );
    }));
  test("reads of one shard at once do not disturb each other (D1)", () =>
    withDirectory(async (directory) => {
      const data = Buffer.from(Array.from({ length: 50_000 }, (_, i) => `${i}\n`).join(""));
      const path = await written(directory, "f.gz", gzipSync(data));
      const source = files({ paths: path, format: json() });
      const reader = open(source);
      const read = (after: After, records: number) =>
        reader.read(source.name, id<ShardId>(path), after, { records, bytes: 1 << 30 });
      const { next } = await read("horizon", 10);
      const reads = await Promise.all([1, 2, 3].map(() => read(next!, 40_000)));
      const expected = Array.from({ length: 40_000 }, (_, i) => i + 10);
      for (const { records } of reads) {
        assert.deepEqual(
          records.map((record) => Number(record.text)),
          expected,
        );
      }
      await reader.close();
    }));
  test("a file that has become shorter is refused", () =>
    withDirectory(async (directory) => {
      for (const data of [Buffer.from("aaaa\nbbbb\n"), gzipSync("aaaa\nbbbb\n")]) {
        const path = await written(directory, "f", data);
        await assert.rejects(
          recordsOf(path, { from: "15" }),
          (error) => isKind(error, "invalid") && /shorter/.test(error.message),
        );
      }
      const path = await written(directory, "f", "a\n".repeat(1_000_000));
      const source = files({ paths: path, format: json() });
      const reader = open(source);
      await reader.read(source.name, id<ShardId>(path), "horizon", { records: 10, bytes: 100 });
      await truncate(path, 100);
      await assert.rejects(
        readAll(reader, source.name, path, "20"),
        (error) => isKind(error, "invalid") && /shorter/.test(error.message),
      );
      await reader.close();
    }));
  test("more to read says how far behind; the end says zero", () =>
    withDirectory(async (directory) => {
      const path = await written(directory, "f", "1\n2\n");
      const source = files({ paths: path, format: json() });
      const reader = open(source);
      const first = await reader.read(source.name, id<ShardId>(path), "horizon", { records: 1, bytes: 100 });
      const second = await reader.read(source.name, id<ShardId>(path), "horizon", { records: 9, bytes: 100 });
      assert.deepEqual([first.behindMs > 0, first.next, second.behindMs, second.next], [true, "2", 0, undefined]);
      await reader.close();
    }));
});

suite("lines too long", () => {
  const reason = (length: number) => `record over 100 bytes: its line has ${length}`;

  test("the longest allowed is a record; one more is rejected with its beginning, wherever it stands", () =>
    withDirectory(async (directory) => {
      const long = `${"y".repeat(100)}z`;
      for (const [i, end] of ["\n", "\r\n", "\nafter\n"].entries()) {
        const path = await written(directory, `f${i}`, `${"x".repeat(100)}\r\n${long}${end}`);
        const [fits, tooLong, ...after] = await recordsOf(path, { maxRecordBytes: 100 });
        assert.deepEqual([fits!.text, fits!.position], ["x".repeat(100), "102"]);
        assert.deepEqual([tooLong!.bytes, tooLong!.position], ["y".repeat(100), String(102 + 101 + (end === "\r\n" ? 2 : 1))]);
        assert.match(tooLong!.rejected!, /^record over 100 bytes: its line has 10[12]$/);
        assert.deepEqual(
          after.map((record) => record.text),
          i === 2 ? ["after"] : [],
        );
      }
    }));
  test("lines over many reads are not kept in memory, and what follows is read", () =>
    withDirectory(async (directory) => {
      const length = 5_000_000;
      const data = `${"x".repeat(length)}\n1\n${"y".repeat(length)}`;
      for (const bytes of [Buffer.from(data), gzipSync(data)]) {
        const path = await written(directory, "f", bytes);
        const [first, second, third] = await recordsOf(path, { maxRecordBytes: 100 });
        assert.deepEqual([first!.rejected, first!.bytes, first!.position], [reason(length), "x".repeat(100), String(length + 1)]);
        assert.deepEqual(second, { text: "1", bytes: "1", position: String(length + 3) });
        assert.deepEqual(
          [third!.rejected, third!.bytes, third!.position],
          [reason(length), "y".repeat(100), String(data.length)],
        );
        assert.deepEqual(await recordsOf(path, { maxRecordBytes: 100, from: second!.position }), [third]);
        assert.deepEqual(await recordsOf(path, { maxRecordBytes: 100, from: third!.position }), []);
      }
    }));
  test("a line of 1 MiB is a record by default, across reads", () =>
    withDirectory(async (directory) => {
      const line = `"${"é".repeat((1 << 19) - 1)}"`;
      const path = await written(directory, "f", `0\n${line}\n${line}x\n1\n`);
      const records = await recordsOf(path);
      assert.deepEqual(
        records.map((record) => record.text?.length),
        [1, line.length, undefined, 1],
      );
      assert.match(records[2]!.rejected!, /^record over 1048576 bytes: its line has 1048577$/);
    }));
  test("a CSV record too long ends at the same place however reads fall", () =>
    withDirectory(async (directory) => {
      let n = 0;
      const piece = fc.constantFrom("a", '"', "\n", ",", "\r\n", '""', "x".repeat(10));
      await fc.assert(
        fc.asyncProperty(
          fc.array(piece, { minLength: 1, maxLength: 40, size: "max" }),
          fc.integer({ min: 1, max: 30 }),
          async (pieces, maxRecordBytes) => {
            const data = Buffer.from(pieces.join(""));
            const format = csv(undefined, { header: false, columns: ["a"] });
            const whole = await recordsOf(await written(directory, `w${n++}`, data), { format, maxRecordBytes });
            for (const step of [1, 3]) assert.deepEqual(cutInSteps(data, step, maxRecordBytes), whole);
          },
        ),
        { numRuns: 100 },
      );
    }));
  test("random lines and bounds agree with the oracle", () =>
    withDirectory(async (directory) => {
      let n = 0;
      const line = fc.tuple(fc.nat({ max: 30 }), fc.constantFrom("\n", "\r\n")).map(([length, end]) => "x".repeat(length) + end);
      await fc.assert(
        fc.asyncProperty(
          fc.array(line, { maxLength: 20, size: "max" }),
          fc.integer({ min: 1, max: 30 }),
          async (lines, maxRecordBytes) => {
            const data = Buffer.from(lines.join(""));
            const got = await recordsOf(await written(directory, `f${n++}`, data), { maxRecordBytes });
            const cut = linesOf(data).map(({ position, bytes }) => [
              position,
              bytes.slice(0, maxRecordBytes),
              bytes.length > maxRecordBytes,
            ]);
            assert.deepEqual(
              got.map(({ position, bytes, rejected }) => [position, bytes, rejected !== undefined]),
              cut,
            );
          },
        ),
        { numRuns: 100 },
      );
    }));
});

suite("gzip", () => {
  test("is told by the first bytes, has several members and may be followed by zeros", () =>
    withDirectory(async (directory) => {
      const members = Buffer.concat([gzipSync("a\nb"), gzipSync("c\nd\n"), Buffer.alloc(100)]);
      const records = await recordsOf(await written(directory, "no-name.txt", members));
      assert.deepEqual(
        records.map((record) => record.text),
        ["a", "bc", "d"],
      );
      assert.deepEqual(
        records.map((record) => record.position),
        ["2", "5", "7"],
      );
      const source = files({ paths: await written(directory, "raw", gzipSync("a\n")), format: json(), compression: "none" });
      const reader = open(source);
      assert.notEqual((await readAll(reader, source.name, source.name))[0]!.text, "a");
      await reader.close();
    }));
  test("truncated anywhere: all complete lines, then one rejection behind them; and resuming gives the same", () =>
    withDirectory(async (directory) => {
      const lines = Array.from({ length: 20_000 }, (_, i) => `{"n":${i},"h":"${(i * 2654435761) % 4294967296}"}\n`).join("");
      const data = gzipSync(lines);
      const all = linesOf(Buffer.from(lines));
      const ends = fc.oneof(
        fc.integer({ min: 3, max: data.length - 1 }),
        fc.integer({ min: data.length - 12, max: data.length - 1 }),
        fc.integer({ min: 3, max: 30 }),
      );
      let most = 0;
      await fc.assert(
        fc.asyncProperty(ends, fc.nat(), async (length, pick) => {
          const path = await written(directory, "cut.gz", data.subarray(0, length));
          const records = await recordsOf(path);
          const last = records.pop()!;
          assert.deepEqual(records, all.slice(0, records.length));
          assert.match(last.rejected ?? "", /breaks off/);
          const complete = Number(records.at(-1)?.position ?? 0);
          assert.equal(Number(last.position), complete + last.bytes.length + 1);
          assert.ok(lines.startsWith(last.bytes, complete));
          most = Math.max(most, records.length);
          const from = pick % (records.length + 1);
          const position = from === 0 ? "horizon" : records[from - 1]!.position;
          assert.deepEqual(await recordsOf(path, { from: position }), [...records.slice(from), last]);
          assert.deepEqual(await recordsOf(path, { from: last.position }), []);
        }),
        { numRuns: 60 },
      );
      assert.equal(most, all.length, "cut in the trailer: every line is there");
    }));
  test("what a truncated file yields is all that zlib can decompress", () =>
    withDirectory(async (directory) => {
      // Stored blocks: every byte of the data stands in the file, so the expected loss is exact.
      const lines = "0123456789\n".repeat(30_000);
      const data = gzipSync(lines, { level: 0 });
      const length = data.length - 5000;
      const records = await recordsOf(await written(directory, "f", data.subarray(0, length)));
      const got = records.slice(0, -1).length * 11 + records.at(-1)!.bytes.length;
      assert.ok(lines.length - got < 5000, `lost ${lines.length - got} bytes of at most 5000`);
    }));
  test("damage is a rejection too, behind all lines before it", () =>
    withDirectory(async (directory) => {
      // Long enough for several pieces of input and output.
      const lines = Array.from({ length: 60_000 }, (_, i) => `${(i * 2654435761) % 4294967296}\n`).join("");
      const all = linesOf(Buffer.from(lines));
      const wrongChecksum = gzipSync(lines);
      wrongChecksum[wrongChecksum.length - 6]! ^= 0xff;
      const withGarbage = Buffer.concat([gzipSync(lines), Buffer.from("garbage")]);
      for (const [i, [data, reason]] of (
        [
          [wrongChecksum, /incorrect data check/],
          [withGarbage, /incorrect header/],
        ] as const
      ).entries()) {
        const path = await written(directory, `${i}`, data);
        const records = await recordsOf(path);
        const last = records.pop()!;
        assert.match(last.rejected!, reason);
        assert.equal(last.position, String(lines.length + 1));
        assert.deepEqual(records, all);
        assert.deepEqual(await recordsOf(path, { from: all[50_000]!.position }), [...all.slice(50_001), last]);
        assert.deepEqual(await recordsOf(path, { from: last.position }), []);
      }
    }));
});

suite("csv files", () => {
  const rowsOf = async (paths: readonly string[], format = csv(), from = "horizon") => {
    const source = files({ paths, format });
    const reader = open(source);
    const decoded = new Decoded();
    for (const shard of await reader.shards(source.name)) {
      let after: After | undefined = from as After;
      while (after !== undefined) {
        const read = await reader.read(source.name, shard.id, after, { records: 2, bytes: 1000 });
        for (const record of read.records) source.decode(record, decoded);
        after = read.next;
      }
    }
    await reader.close();
    return decoded;
  };

  test("every file has a header of its own; it is there after a restart at any position", () =>
    withDirectory(async (directory) => {
      const one = await written(directory, "one", "\ufeffid,name\r\n1,a\r\n2,b\r\n3,c\r\n");
      const two = await written(directory, "two.gz", gzipSync("\nname,id\nd,4\n"));
      const expected = ["a", "b", "c", "d"].map((name, i) => ({ id: String(i + 1), name }));
      assert.deepEqual((await rowsOf([one, two])).values, expected);
      for (const [i, { position }] of (await recordsOf(one, { format: csv() })).entries()) {
        assert.deepEqual((await rowsOf([one], csv(), position)).values, expected.slice(i + 1, 3));
      }
    }));
  test("line ends inside quotes are part of the field, also across reads", () =>
    withDirectory(async (directory) => {
      const rows = Array.from({ length: 3 }, (_, i) => `${i},"${"line\r\n".repeat(100_000)}""x""",5" pipe\n`);
      const path = await written(directory, "f", `a,b,c\n${rows.join("")}`);
      const { values, rejections } = await rowsOf([path]);
      assert.deepEqual(rejections, []);
      assert.deepEqual(
        values,
        [0, 1, 2].map((i) => ({ a: String(i), b: `${"line\r\n".repeat(100_000)}"x"`, c: '5" pipe' })),
      );
    }));
  test("a quote that is never closed costs at most one record of the longest size, not the rest of the file", () =>
    withDirectory(async (directory) => {
      const path = await written(directory, "f", `a\n"open\n${"1\n".repeat(1_000_000)}`);
      const [first, ...others] = await recordsOf(path, { format: csv() });
      assert.match(first!.rejected!, /^record over/);
      // Gone are 1 MiB, which ends at a line's end, and the line after it.
      assert.equal(others.length, 1_000_000 - ((1 << 20) - '"open\n'.length) / 2 - 1);
    }));
  test("an empty file, a header alone, and a header too long", () =>
    withDirectory(async (directory) => {
      const empty = await written(directory, "a", "");
      const alone = await written(directory, "b", "id,name");
      assert.deepEqual((await rowsOf([empty, alone])).values, []);
      const long = await written(directory, "c", `${"x".repeat(1 << 21)}\n1\n`);
      const { values, rejections } = await rowsOf([long]);
      assert.deepEqual([values.length, rejections.length], [0, 2]);
      assert.match(rejections[1]!, /no header line/);
    }));
});

suite("what cannot be read", () => {
  const refused = (reason: RegExp, path: string) => (error: unknown) =>
    isKind(error, "invalid") && reason.test(error.message) && error.message.includes(path);

  test("says which file, why and what to do", () =>
    withDirectory(async (directory) => {
      const missing = join(directory, "missing");
      const folder = join(directory, "folder");
      await mkdir(folder);
      const shards = (path: string) => open(files({ paths: path, format: json() })).shards(path);
      await assert.rejects(shards(missing), refused(/no such file.*check the path/, missing));
      await assert.rejects(shards(folder), refused(/directory: name its files/, folder));
      await assert.rejects(shards("/dev/null"), refused(/no regular file/, "/dev/null"));
    }));
  test("what the system answers is told apart: change something, or try again", () => {
    for (const [code, doing, kind, advice] of [
      ["EACCES", "read", "invalid", /no permission to read/],
      ["EACCES", "write", "invalid", /no permission to write/],
      ["EROFS", "write", "invalid", /read-only/],
      ["ENOSPC", "write", "unavailable", /no space left.*free some/],
      ["EMFILE", "read", "unavailable", /ulimit/],
      ["EIO", "read", "unavailable", /i\/o error/],
    ] as const) {
      const cause = Object.assign(new Error("i/o error"), { code });
      const error = fileError(cause, "/some/path", doing);
      assert.equal(error.kind, kind);
      assert.match(error.message, advice);
      assert.match(error.message, /: \/some\/path$/);
      assert.equal(error.cause, cause);
    }
  });
  test("unknown streams and shards", () =>
    withDirectory(async (directory) => {
      const path = await written(directory, "f", "1\n");
      const source = files({ paths: path, format: json() });
      const reader = open(source);
      await assert.rejects(reader.shards("other"), (error) => isKind(error, "invalid"));
      await assert.rejects(reader.read(source.name, id<ShardId>("other"), "horizon", { records: 1, bytes: 1 }), (error) =>
        isKind(error, "invalid"),
      );
    }));
  test("declarations that cannot work", () => {
    const format = json();
    for (const options of [{ paths: [] }, { paths: ["a", "a"] }, { paths: "a", maxRecordBytes: 0 }]) {
      assert.throws(
        () => files({ ...options, format }),
        (error) => isKind(error, "invalid"),
      );
    }
  });
  test("a source of the cloud must be bound, and decodes bound files as its own", () =>
    withDirectory(async (directory) => {
      const context = { clock: { now: () => 0 }, spoolDirectory: "", stdin: undefined };
      const cloud = { ...files({ paths: "x", format: json() }), kind: "kinesis", name: "page-views", options: {} };
      assert.throws(
        () => openSource("views", cloud, new Map(), context),
        (error) => isKind(error, "invalid") && /--bind views=/.test(error.message),
      );
      const path = await written(directory, "f", "1\n");
      for (const name of ["views", "page-views"]) {
        const reader = openSource("views", cloud, new Map([[name, [path]]]), context);
        assert.deepEqual(
          (await readAll(reader, "page-views", path)).map((record) => record.text),
          ["1"],
        );
      }
    }));
});
