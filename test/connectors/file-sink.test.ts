import assert from "node:assert/strict";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { CommitEnd, Sink } from "../../runtime/api/connector.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { seconds } from "../../runtime/api/duration.ts";
import { type OperatorUid, type TaskId, id } from "../../runtime/base/ids.ts";
import { giveName } from "../../runtime/connectors/files/durable-file.ts";
import { fileSink, type FileSinkOptions, type FileSinkSettings } from "../../runtime/connectors/files/file-sink.ts";
import { parsePartFileName, partFileName } from "../../runtime/connectors/files/part-name.ts";
import { decodePartOperation } from "../../runtime/connectors/files/part-operation.ts";
import { FileWriter } from "../../runtime/connectors/files/writer.ts";
import { accessLog } from "../../runtime/connectors/formats/access-log.ts";
import { csv } from "../../runtime/connectors/formats/csv.ts";
import { ndjson } from "../../runtime/connectors/formats/json.ts";
import type { SinkEffect } from "../../runtime/ports/sink-driver.ts";
import { withDirectory } from "./support.ts";

interface Step {
  readonly rows: readonly unknown[];
  readonly end: CommitEnd;
  /** Processing time; default 0. */
  readonly now?: number;
}

const operator = id<OperatorUid>("out");
const task = id<TaskId>("a/0");

/** What the commits of these steps ask for, each built by a writer restored from the state before it. */
function effectsOf(sink: Sink<any, any>, steps: readonly Step[], generation = 1, name: TaskId = task): SinkEffect[][] {
  let state: unknown;
  return steps.map(({ rows, end, now = 0 }, i) => {
    const seq = i + 1;
    const writer = sink.createWriter({ generation, task: name, operator, seq: () => seq, now: () => now });
    writer.restore(state === undefined ? undefined : JSON.parse(JSON.stringify(state)));
    for (const row of rows) writer.add(row, undefined, "+I");
    const payloads = writer.flush(end);
    state = writer.state();
    return payloads.map((payload, n) => ({ operator, task: name, generation, seq, n, payload }));
  });
}

function sinkOf(options: Partial<FileSinkOptions<any>> = {}): Sink<any> {
  return fileSink({ path: "out", format: ndjson(), ...options });
}

function writerOf(directory: string, sink: Sink<any> = sinkOf()): FileWriter {
  const { prefix, extension } = sink.options as unknown as FileSinkSettings;
  return new FileWriter({ directory, naming: { prefix, extension }, durable: false });
}

/** Finished files, by name. */
async function contents(directory: string): Promise<Record<string, string>> {
  const names = (await readdir(directory, { withFileTypes: true })).filter(
    (entry) => entry.isFile() && !entry.name.startsWith("."),
  );
  return Object.fromEntries(
    await Promise.all(names.map(async ({ name }) => [name, await readFile(join(directory, name), "utf8")])),
  );
}

const hidden = async (directory: string) => (await readdir(directory)).filter((name) => name.startsWith(".")).sort();
const operations = (effects: readonly SinkEffect[]) => effects.map(({ payload }) => decodePartOperation(payload));
const published = (effects: readonly SinkEffect[]) =>
  operations(effects)
    .filter(({ op }) => op === "publish")
    .map(({ file }) => file);

suite("the file sink's writer", () => {
  test("a file is open from commit to commit, and finished at a barrier and at the end of input (W2)", () => {
    const steps = [
      { rows: [1], end: "turn" },
      { rows: [2, 3], end: "barrier" },
      { rows: [], end: "barrier" },
      { rows: [4], end: "endOfInput" },
    ] as const;
    const commits = effectsOf(sinkOf(), steps);
    assert.deepEqual(
      commits.map((effects) => operations(effects).map(({ op }) => op)),
      [["write"], ["publish"], [], ["publish"]],
    );
    const [first, second] = operations([...commits[0]!, ...commits[1]!]);
    assert.deepEqual(first, {
      op: "write",
      part: ".g1-a%2F0-00000001.ndjson.part",
      file: "g1-a%2F0-00000001.ndjson",
      offset: 0,
      bytes: Buffer.from("1\n"),
    });
    assert.deepEqual([second!.file, (second as { offset: number }).offset], ["g1-a%2F0-00000001.ndjson", 2]);
    assert.deepEqual(published(commits[3]!), ["g1-a%2F0-00000004.ndjson"]);
  });
  test("rolls before a file would grow beyond rollBytes, several times in a commit if need be (W3)", () => {
    const [effects] = effectsOf(sinkOf({ rollBytes: 4 }), [{ rows: [1, 2, 3, 1234567, 4], end: "turn" }]);
    const files = operations(effects!).map(({ file, bytes }) => [file.slice("g1-a%2F0-".length), Buffer.from(bytes).toString()]);
    assert.deepEqual(files, [
      ["00000001.ndjson", "1\n2\n"],
      ["00000001.1.ndjson", "3\n"],
      ["00000001.2.ndjson", "1234567\n"],
      ["00000001.3.ndjson", "4\n"],
    ]);
    assert.equal(published(effects!).length, 3);
  });
  test("rolls after rollAfter, at a commit without rows too", () => {
    const steps = [
      { rows: [1], end: "turn", now: 500 },
      { rows: [2], end: "turn", now: 10_499 },
      { rows: [], end: "turn", now: 10_500 },
    ] as const;
    const commits = effectsOf(sinkOf({ rollAfter: seconds(10) }), steps);
    assert.deepEqual(
      commits.map((effects) => published(effects).length),
      [0, 0, 1],
    );
  });
  test("a restored writer forgets what was not committed, and names files as the lost attempt did", () => {
    const sink = sinkOf({ rollBytes: 2 });
    const writer = sink.createWriter({ generation: 1, task, operator, seq: () => 5, now: () => 0 });
    const attempt = () => {
      writer.add(1, undefined, "+I");
      writer.add(2, undefined, "+I");
      return writer.flush("turn");
    };
    const first = attempt();
    writer.restore(undefined);
    writer.add("lost", undefined, "+I");
    writer.restore(undefined);
    assert.deepEqual(attempt(), first);
  });
  test("a value that cannot be written leaves the file as it was", () => {
    const writer = sinkOf().createWriter({ generation: 1, task, operator, seq: () => 1, now: () => 0 });
    assert.throws(
      () => writer.add(1n, undefined, "+I"),
      (error) => isKind(error, "invalid"),
    );
    assert.deepEqual([writer.flush("barrier"), writer.state()], [[], undefined]);
  });
  test("declarations that cannot work are refused", () => {
    for (const options of [
      { format: csv() },
      { format: accessLog() as any },
      { rollBytes: 0 },
      { prefix: "a/b" },
      { prefix: "g1-" },
    ]) {
      assert.throws(
        () => sinkOf(options),
        (error) => isKind(error, "invalid"),
      );
    }
  });
  test("file names tell generation, task and commit again, and nothing else is taken for one", () => {
    const anyTask = fc.string({ minLength: 1, unit: fc.constantFrom("a", "-", "1", ".", "/", "%", "g") });
    const naming = { prefix: "p-", extension: "ndjson" };
    fc.assert(
      fc.property(fc.nat(), anyTask, fc.nat(), fc.nat({ max: 3 }), (generation, name, seq, n) => {
        const part = { generation, task: name, seq, n };
        assert.deepEqual(parsePartFileName(naming, partFileName(naming, part)), part);
        assert.equal(parsePartFileName({ ...naming, prefix: "" }, partFileName(naming, part)), undefined);
      }),
    );
    for (const name of ["p-report.ndjson", "p-g1-a-1.ndjson", "g1-a-00000001.ndjson", "p-g1-a-00000001.csv"])
      assert.equal(parsePartFileName(naming, name), undefined);
  });
});

suite("the file sink's files", () => {
  test("appear whole, with the header of their format", () =>
    withDirectory(async (directory) => {
      const sink = sinkOf({ format: csv<any>(undefined, { columns: ["a"] }), prefix: "late-", rollBytes: 6 });
      const writer = writerOf(directory, sink);
      const [first, second] = effectsOf(sink, [
        { rows: [{ a: 1 }, { a: 2 }, { a: 3 }], end: "turn" },
        { rows: [{ a: 4 }], end: "barrier" },
      ]);
      for (const effect of first!) await writer.carryOut(effect);
      assert.deepEqual(await contents(directory), { "late-g1-a%2F0-00000001.csv": "a\n1\n2\n" });
      for (const effect of second!) await writer.carryOut(effect);
      assert.deepEqual(await contents(directory), {
        "late-g1-a%2F0-00000001.csv": "a\n1\n2\n",
        "late-g1-a%2F0-00000001.1.csv": "a\n3\n4\n",
      });
      assert.deepEqual(await hidden(directory), []);
    }));
  test("crashes, repetitions and zombies at any point change nothing (C3)", () =>
    withDirectory(async (directory) => {
      const step = fc.record({
        rows: fc.array(fc.nat({ max: 999 }), { maxLength: 5 }),
        end: fc.constantFrom<CommitEnd>("turn", "turn", "barrier"),
      });
      let n = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { minLength: 1, maxLength: 8, size: "max" }),
          fc.infiniteStream(fc.nat({ max: 1 << 20 })),
          async (steps, choices) => {
            const choose = (below: number) => (choices.next().value as number) % below;
            const sink = sinkOf({ rollBytes: 12 });
            const clean = join(directory, `clean${n}`);
            const tried = join(directory, `tried${n++}`);
            await mkdir(clean);
            await mkdir(tried);
            const commits = effectsOf(sink, [...steps, { rows: [], end: "endOfInput" }]);
            for (const effect of commits.flat()) await writerOf(clean, sink).carryOut(effect);

            const writer = writerOf(tried, sink);
            const past: SinkEffect[] = [];
            for (const effects of commits) {
              // The process dies after any prefix of the effects, and the next one carries out all of them (R5).
              for (let crashes = choose(3); crashes > 0; crashes--)
                for (const effect of effects.slice(0, choose(effects.length + 1))) await writer.carryOut(effect);
              for (const effect of effects) {
                await writer.carryOut(effect);
                past.push(effect);
                // Zombies repeat anything that was ever carried out, in any order.
                for (let zombies = choose(4); zombies > 0; zombies--) await writer.carryOut(past[choose(past.length)]!);
              }
            }
            for (const effect of past.toSorted(() => choose(3) - 1)) await writer.carryOut(effect);
            assert.deepEqual(await contents(tried), await contents(clean));
            assert.equal(
              Object.values(await contents(tried))
                .join("")
                .split("\n").length - 1,
              steps.flatMap(({ rows }) => rows).length,
            );
            assert.deepEqual(await hidden(tried), []);
          },
        ),
        { numRuns: 40 },
      );
    }));
  test("two who carry out the same at once do not disturb each other", () =>
    withDirectory(async (directory) => {
      const rows = Array.from({ length: 500 }, (_, i) => i);
      const commits = effectsOf(sinkOf(), [
        { rows, end: "turn" },
        { rows, end: "barrier" },
        { rows, end: "endOfInput" },
      ]);
      const carrier = async () => {
        for (const effect of commits.flat()) await writerOf(directory).carryOut(effect);
      };
      await Promise.all([carrier(), carrier(), carrier()]);
      const text = `${rows.join("\n")}\n`;
      assert.deepEqual(Object.values(await contents(directory)).sort(), [text, text + text]);
    }));
  test("a part never takes the place of a finished file, not even one made since we looked (O1)", () =>
    withDirectory(async (directory) => {
      const [part, file] = [join(directory, ".f.part"), join(directory, "f")];
      await writeFile(part, "by half");
      await writeFile(file, "whole");
      await giveName(part, file);
      assert.equal(await readFile(file, "utf8"), "whole");
      await giveName(join(directory, "gone"), file);
      await assert.rejects(giveName(join(directory, "gone"), join(directory, "g")));
    }));
  test("bytes beyond the published length are cut off (a write that was torn, or of another life)", () =>
    withDirectory(async (directory) => {
      await writeFile(join(directory, ".g1-a%2F0-00000001.ndjson.part"), "an old life of the same name, longer than the new");
      const [effects] = effectsOf(sinkOf(), [{ rows: [1], end: "barrier" }]);
      for (const effect of effects!) await writerOf(directory).carryOut(effect);
      assert.deepEqual(await contents(directory), { "g1-a%2F0-00000001.ndjson": "1\n" });
    }));
  test("missing or damaged rows ring instead of being published", () =>
    withDirectory(async (directory) => {
      const steps = [
        { rows: [1234], end: "turn" },
        { rows: [], end: "barrier" },
      ] as const;
      const [, [publish]] = effectsOf(sinkOf(), steps) as [SinkEffect[], SinkEffect[]];
      const part = join(directory, ".g1-a%2F0-00000001.ndjson.part");
      await assert.rejects(
        writerOf(directory).carryOut(publish!),
        (error) => isKind(error, "corrupt") && error.message.includes(part),
      );
      await writeFile(part, "12");
      await assert.rejects(
        writerOf(directory).carryOut(publish!),
        (error) => isKind(error, "corrupt") && /of 5 bytes there are 2/.test(error.message),
      );
      await writeFile(part, "0000\n");
      await assert.rejects(
        writerOf(directory).carryOut(publish!),
        (error) => isKind(error, "corrupt") && /checksum/.test(error.message),
      );
      assert.deepEqual(await contents(directory), {});
    }));
  test("a file of the same name from elsewhere is neither overwritten nor taken for ours", () =>
    withDirectory(async (directory) => {
      const path = join(directory, "g1-a%2F0-00000001.ndjson");
      await writeFile(path, "2\n");
      const [publish] = effectsOf(sinkOf(), [{ rows: [1], end: "barrier" }])[0]!;
      await assert.rejects(
        writerOf(directory).carryOut(publish!),
        (error) => isKind(error, "invalid") && error.message.includes(path),
      );
      assert.equal(await readFile(path, "utf8"), "2\n");
    }));
  test("a path that cannot be written says so", () =>
    withDirectory(async (directory) => {
      const file = join(directory, "file");
      await writeFile(file, "");
      const [write] = effectsOf(sinkOf(), [{ rows: [1], end: "barrier" }])[0]!;
      await assert.rejects(
        writerOf(join(file, "out")).carryOut(write!),
        (error) => isKind(error, "invalid") && error.message.includes(file),
      );
      await assert.rejects(writerOf("/dev/null").carryOut(write!), (error) => isKind(error, "invalid"));
      await assert.rejects(writerOf(directory).carryOut({ ...write!, payload: Buffer.from("junk") }), (error) =>
        isKind(error, "corrupt"),
      );
    }));
});

suite("taking back after a restore", () => {
  const step = (row: number, end: CommitEnd = "barrier") => ({ rows: [row], end });
  const other = id<TaskId>("b");

  test("the names of tasks whose own are too long stay within what file systems take, and apart", () => {
    const naming = { prefix: "late-", extension: "ndjson" };
    const names = ["/a-path/", "%2F", "\u{1f600}", "é/"].flatMap((part) =>
      [40, 80, 81, 400].map((times) => partFileName(naming, { generation: 1, task: `g1.v~${part.repeat(times)}`, seq: 7, n: 0 })),
    );
    assert.equal(new Set(names).size, names.length);
    for (const name of names) {
      assert.ok(Buffer.byteLength(`.${name}.part`) < 200, name);
      const parsed = parsePartFileName(naming, name);
      assert.ok(parsed !== undefined && partFileName(naming, parsed) === name, name);
    }
  });

  test("a restore knows the files of such a task", () =>
    withDirectory(async (directory) => {
      const task = id<TaskId>(`g1.v~${"/a-path".repeat(60)}`);
      const names = [1, 2, 3].map((seq) => partFileName({ prefix: "", extension: "ndjson" }, { generation: 1, task, seq, n: 0 }));
      for (const name of names) await writeFile(join(directory, name), "{}\n");
      await writerOf(directory).quarantine({ generation: 2, from: 1, lastSeq: new Map([[task, 2]]) });
      assert.deepEqual((await readdir(directory)).sort(), [".quarantine", ...names.slice(0, 2)]);
    }));

  test("files beyond the restored commits go to the quarantine, open parts of older generations go", () =>
    withDirectory(async (directory) => {
      const writer = writerOf(directory);
      const effects = [
        ...effectsOf(sinkOf(), [step(11), step(12), step(13), step(14, "turn")]).flat(),
        ...effectsOf(sinkOf(), [step(21), step(22)], 1, other).flat(),
      ];
      for (const effect of effects) await writer.carryOut(effect);
      await writeFile(join(directory, "notes.txt"), "of the user");
      const restored = {
        generation: 2,
        from: 1,
        lastSeq: new Map([
          [task, 2],
          [other, 2],
        ]),
      };
      await writer.quarantine(restored);
      const kept = {
        "g1-a%2F0-00000001.ndjson": "11\n",
        "g1-a%2F0-00000002.ndjson": "12\n",
        "g1-b-00000001.ndjson": "21\n",
        "g1-b-00000002.ndjson": "22\n",
        "notes.txt": "of the user",
      };
      assert.deepEqual(await contents(directory), kept);
      assert.deepEqual(await readdir(join(directory, ".quarantine")), ["g1-a%2F0-00000003.ndjson", "generation"]);
      assert.deepEqual(await hidden(directory), [".quarantine"]);

      // The new generation writes; the same restore once more, by a late coordinator, leaves that alone.
      for (const effect of effectsOf(sinkOf(), [step(31)], 2).flat()) await writer.carryOut(effect);
      await writer.quarantine(restored);
      assert.deepEqual(await contents(directory), { ...kept, "g2-a%2F0-00000001.ndjson": "31\n" });

      // A zombie of the old generation is stopped, and brings nothing back.
      for (const effect of effects) await assert.rejects(writer.carryOut(effect), (error) => isKind(error, "fenced"));
      assert.deepEqual(Object.keys(await contents(directory)).length, 6);
    }));
  test("restoring an older checkpoint takes back all generations after it, and none that earlier restores have judged", () =>
    withDirectory(async (directory) => {
      const writer = writerOf(directory);
      for (const generation of [1, 2, 3])
        for (const effect of effectsOf(sinkOf(), [step(1), step(2)], generation).flat()) await writer.carryOut(effect);
      await writer.quarantine({ generation: 4, from: 2, lastSeq: new Map([[task, 1]]) });
      assert.deepEqual(Object.keys(await contents(directory)), [
        "g1-a%2F0-00000001.ndjson",
        "g1-a%2F0-00000002.ndjson",
        "g2-a%2F0-00000001.ndjson",
      ]);
      assert.equal((await stat(join(directory, ".quarantine", "g3-a%2F0-00000001.ndjson"))).size, 2);
    }));
  test("a task that the checkpoint does not know has nothing in it", () =>
    withDirectory(async (directory) => {
      const writer = writerOf(directory);
      for (const effect of effectsOf(sinkOf(), [step(1)]).flat()) await writer.carryOut(effect);
      await writer.quarantine({ generation: 2, from: 1, lastSeq: new Map() });
      assert.deepEqual(await contents(directory), {});
    }));
  test("sinks of other prefixes in the same directory are left alone", () =>
    withDirectory(async (directory) => {
      const late = sinkOf({ prefix: "late-" });
      for (const sink of [sinkOf(), late])
        for (const effect of effectsOf(sink, [step(1)]).flat()) await writerOf(directory, sink).carryOut(effect);
      await writerOf(directory).quarantine({ generation: 2, from: 0, lastSeq: new Map() });
      assert.deepEqual(await contents(directory), { "late-g1-a%2F0-00000001.ndjson": "1\n" });
      for (const effect of effectsOf(late, [step(1), step(2)]).flat()) await writerOf(directory, late).carryOut(effect);
    }));
});
