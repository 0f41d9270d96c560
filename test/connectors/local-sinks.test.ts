import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Writable } from "node:stream";
import { suite, test } from "node:test";
import type { Mode, Sink } from "../../runtime/api/connector.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { type OperatorUid, type TaskId, id } from "../../runtime/base/ids.ts";
import { checkBindings, parseBindings } from "../../runtime/connectors/bindings.ts";
import { consoleSink } from "../../runtime/connectors/console/console-sink.ts";
import { fileSink } from "../../runtime/connectors/files/file-sink.ts";
import { s3 } from "../../runtime/connectors/s3/s3.ts";
import { ndjson } from "../../runtime/connectors/formats/json.ts";
import { LocalSinks, type LocalSinksOptions } from "../../runtime/connectors/local-sinks.ts";
import { sinkParts, withDirectory } from "./support.ts";

const uid = (name: string) => id<OperatorUid>(name);
const task = id<TaskId>("t");
const invalid = (reason: RegExp) => (error: unknown) => isKind(error, "invalid") && reason.test(error.message);

/** Keeps what is written to it, or fails. */
class Terminal extends Writable {
  text = "";
  broken: Error | undefined;
  override _write(chunk: Buffer, _encoding: unknown, done: (error?: Error) => void): void {
    if (this.broken === undefined) this.text += chunk.toString();
    done(this.broken);
  }
}

function localSinks(sinks: Record<string, Sink<any, any>>, options: Partial<LocalSinksOptions> = {}): LocalSinks {
  const entries = Object.entries(sinks).map(([name, sink]) => [uid(name), sink] as const);
  return new LocalSinks({
    ...sinkParts(),
    sinks: new Map(entries),
    bindings: new Map(),
    outputDirectory: "none",
    console: new Terminal(),
    durable: false,
    ...options,
  });
}

function payloadsOf(sink: Sink<any, any>, rows: readonly unknown[]): readonly Uint8Array[] {
  const writer = sink.createWriter({ generation: 1, task, operator: "o", seq: () => 1, now: () => 0 });
  for (const row of rows) writer.add(row, undefined, "+I");
  return writer.flush("barrier");
}

suite("console sinks", () => {
  test("rows are lines of JSON; changes carry their kind", async () => {
    const terminal = new Terminal();
    const sinks = localSinks({ console: consoleSink() }, { console: terminal });
    const writer = consoleSink<any>().createWriter({ generation: 1, task, operator: "console", seq: () => 1, now: () => 0 });
    writer.add({ a: 1 }, 5, "+I");
    writer.add({ a: 2 }, undefined, "+U");
    for (const [n, payload] of writer.flush("turn").entries())
      await sinks.carryOut({ operator: uid("console"), task, generation: 1, seq: 1, n, payload });
    assert.equal(terminal.text, '{"a":1}\n{"kind":"+U","value":{"a":2}}\n');
    assert.deepEqual(writer.flush("barrier"), []);
    const accepted: Sink<number, Mode> = consoleSink<number>();
    assert.equal(accepted.guarantee, "atLeastOnce");
  });
  test("what this process has printed is not printed again; each sink and task is counted for itself", async () => {
    const terminal = new Terminal();
    const sinks = localSinks({ a: consoleSink(), b: consoleSink() }, { console: terminal });
    const print = (operator: string, generation: number, seq: number, n: number, text: string) =>
      sinks.carryOut({ operator: uid(operator), task, generation, seq, n, payload: Buffer.from(text) });
    await print("b", 1, 1, 1, "b1 ");
    await print("a", 1, 1, 0, "a1 ");
    await print("a", 1, 2, 0, "a2 ");
    await print("a", 1, 1, 0, "a1 ");
    await print("a", 1, 2, 0, "a2 ");
    await print("a", 2, 1, 0, "A1 ");
    assert.equal(terminal.text, "b1 a1 a2 A1 ");
  });
  test("what was printed before a crash may be printed again, and after a restore is", async () => {
    const terminal = new Terminal();
    const effect = { operator: uid("a"), task, seq: 1, n: 0, payload: Buffer.from("a1 ") };
    for (const generation of [1, 1, 2])
      await localSinks({ a: consoleSink() }, { console: terminal }).carryOut({ ...effect, generation });
    assert.equal(terminal.text, "a1 a1 a1 ");
  });
  test("a closed output is an error that is reported once, and not as one to retry", async () => {
    const terminal = new Terminal();
    terminal.broken = Object.assign(new Error("write EPIPE"), { code: "EPIPE" });
    const sinks = localSinks({ a: consoleSink() }, { console: terminal });
    const effect = { operator: uid("a"), task, generation: 1, seq: 1, n: 0, payload: Buffer.from("x") };
    await assert.rejects(sinks.carryOut(effect), invalid(/standard output.*EPIPE/));
  });
});

suite("local sinks", () => {
  test("file sinks write below the output directory, or where they are bound, by uid or path", () =>
    withDirectory(async (directory) => {
      const sink = fileSink<any>({ path: "rows", format: ndjson() });
      for (const [bindings, place] of [
        [new Map(), "rows"],
        [new Map([["out", ["by-uid"]]]), "by-uid"],
        [new Map([["rows", [join(directory, "by-path")]]]), "by-path"],
      ] as const) {
        const sinks = localSinks({ out: sink }, { bindings, outputDirectory: directory });
        for (const [n, payload] of payloadsOf(sink, [1]).entries())
          await sinks.carryOut({ operator: uid("out"), task, generation: 1, seq: 1, n, payload });
        assert.equal(await readFile(join(directory, place, "g1-t-00000001.ndjson"), "utf8"), "1\n");
        await sinks.quarantine(uid("out"), { generation: 2, from: 1, lastSeq: new Map() });
        assert.deepEqual(await readdir(join(directory, place)), [".quarantine"]);
      }
    }));
  test("an S3 sink writes to a directory of its bucket's name, or to the one it is bound to", () =>
    withDirectory(async (directory) => {
      const sink = s3<any>({ bucket: "late", prefix: "a/b/", format: ndjson() });
      for (const [bindings, place] of [
        [new Map(), "late/a/b"],
        [new Map([["late", ["elsewhere"]]]), "elsewhere/a/b"],
      ] as const) {
        const sinks = localSinks({ out: sink }, { bindings, outputDirectory: directory });
        for (const [n, payload] of payloadsOf(sink, [1]).entries())
          await sinks.carryOut({ operator: uid("out"), task, generation: 1, seq: 1, n, payload });
        assert.equal(await readFile(join(directory, place, "g1-t-00000001.ndjson"), "utf8"), "1\n");
      }
    }));
  test("refuses what cannot be written here, and two sinks of the same names", () => {
    const sink = fileSink<any>({ path: "rows", format: ndjson() });
    const prefixed = fileSink<any>({ path: "./rows/", format: ndjson(), prefix: "late-" });
    assert.throws(() => localSinks({ a: sink, b: sink }), invalid(/prefix.*a, b/));
    localSinks({ a: sink, b: prefixed });
    assert.throws(() => localSinks({ a: { ...sink, kind: "elsewhere" } }), invalid(/elsewhere/));
    assert.throws(() => localSinks({ a: sink }, { bindings: new Map([["a", ["x", "y"]]]) }), invalid(/one directory: x, y/));
  });
  test("an effect of an operator that is gone is refused, not dropped", async () => {
    const effect = { operator: uid("gone"), task, generation: 1, seq: 1, n: 0, payload: Buffer.from("x") };
    await assert.rejects(localSinks({}).carryOut(effect), invalid(/gone/));
  });
});

suite("dead letters", () => {
  test("one file per commit, whole, the same when written again", () =>
    withDirectory(async (directory) => {
      const sinks = localSinks({}, { outputDirectory: directory });
      const letter = { operator: uid("views"), reason: "not valid JSON", shard: "file.ndjson", position: "12" };
      const letters = [
        { ...letter, bytes: Buffer.from("{é") },
        { ...letter, bytes: Buffer.from([0xff, 0]) },
      ];
      const batch = { task: id<TaskId>("all/0"), generation: 2, seq: 7, letters };
      await Promise.all([sinks.deadLetters(batch), sinks.deadLetters(batch)]);
      await sinks.deadLetters(batch);
      await sinks.deadLetters({ ...batch, seq: 8, letters: [] });
      assert.deepEqual(await readdir(join(directory, "dead-letters")), ["g2-all%2F0-00000007.ndjson"]);
      const text = await readFile(join(directory, "dead-letters", "g2-all%2F0-00000007.ndjson"), "utf8");
      const lines = text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
      const base = { reason: "not valid JSON", operator: "views", shard: "file.ndjson", position: "12" };
      assert.deepEqual(lines, [
        { ...base, bytes: Buffer.from("{é").toString("base64"), text: "{é" },
        { ...base, bytes: "/wA=" },
      ]);
    }));
});

suite("bindings", () => {
  test("name=path, several paths by repetition", () => {
    assert.deepEqual(
      parseBindings(["views=a=b", "x=1", "views=c"]),
      new Map([
        ["views", ["a=b", "c"]],
        ["x", ["1"]],
      ]),
    );
    for (const wrong of ["views", "=a", "views="]) assert.throws(() => parseBindings([wrong]), invalid(/name=path/));
  });
  test("a name that the job does not have is refused", () => {
    const connectors = [{ uid: "views", name: "page-views" }];
    checkBindings(parseBindings(["views=a", "page-views=b"]), connectors);
    assert.throws(() => checkBindings(parseBindings(["veiws=a"]), connectors), invalid(/there are: views: veiws$/));
  });
});
