/** Where schemas come from, and that records are handed over with them. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, mock, suite, test } from "node:test";
import { GetSchemaVersionCommand, type GlueClient } from "@aws-sdk/client-glue";
import { LocalRun } from "../../cli/local-run.ts";
import { keepConnections } from "../../emulator/keep-connections.ts";
import { glueRegistry } from "../../runtime/adapters/aws/glue.ts";
import { MemoryBlobs } from "../../runtime/adapters/memory/memory-blobs.ts";
import { ManualClock } from "../../runtime/adapters/memory/manual-clock.ts";
import type { SourceRecord, WriterSchema } from "../../runtime/api/connector.ts";
import { type ErrorKind, isKind, MillraceError } from "../../runtime/base/errors.ts";
import { id, type ShardId } from "../../runtime/base/ids.ts";
import { parseBindings } from "../../runtime/connectors/bindings.ts";
import { avro, confluentRegistry } from "../../runtime/connectors/formats/avro.ts";
import { schemaIdOf } from "../../runtime/connectors/formats/schema-frame.ts";
import { ConfluentSchemas } from "../../runtime/connectors/registry/confluent-schemas.ts";
import { SchemaSource } from "../../runtime/connectors/registry/schema-source.ts";
import { HybridReader } from "../../runtime/connectors/hybrid/hybrid-reader.ts";
import { encodeRedrive, parseRedrive, RedrivenSource, redriveName } from "../../runtime/connectors/redriven-source.ts";
import type { SourceReader } from "../../runtime/connectors/source-reader.ts";
import { customSink, type CustomRow, debezium, defineJob, kinesis } from "../../runtime/index.ts";
import { withDirectory } from "./support.ts";

// An answer is waited for as long as it takes: whether it comes in time says how busy this machine is.
mock.method(AbortSignal, "timeout", () => new AbortController().signal);

const ends: (() => unknown)[] = [];
after(() => ends.forEach((end) => end()));

type Answers = Readonly<Record<string, { readonly status?: number; readonly body: unknown; readonly location?: string }>>;

/** A registry that answers by path, and keeps what it was asked. */
async function startRegistry(answers: Answers) {
  const asked: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    asked.push(request);
    const { status = 200, body, location } = answers[request.url!] ?? { status: 404, body: { error_code: 40403 } };
    response.writeHead(status, location === undefined ? {} : { location });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  });
  keepConnections(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const kindOf = (kind: ErrorKind, words: RegExp) => (error: unknown) => isKind(error, kind) && words.test(error.message);

suite("Confluent's registry", () => {
  test("gives a schema with those that it names, deepest first", async () => {
    const { url, asked } = await startRegistry({
      "/schemas/ids/7": { body: { schema: '"B"', references: [{ name: "B", subject: "b/x", version: 2 }] } },
      "/subjects/b%2Fx/versions/2": { body: { schema: "b", references: [{ name: "C", subject: "c", version: 1 }] } },
      "/subjects/c/versions/1": { body: { schema: "c" } },
    });
    const registry = await confluentRegistry({ url, headers: () => ({ authorization: "Basic eA==" }) }).open(undefined);
    assert.deepEqual(await registry.schema("7"), {
      ...{ id: "7", definition: '"B"' },
      references: [
        { name: "C", definition: "c" },
        { name: "B", definition: "b" },
      ],
    });
    assert.deepEqual(new Set(asked.map(({ headers }) => headers.authorization)), new Set(["Basic eA=="]));
    assert.equal(await registry.schema("8"), undefined);
  });
  test("is asked again where it does not answer, and refused where it must be set up otherwise", async () => {
    const { url } = await startRegistry({
      "/schemas/ids/1": { status: 503, body: "" },
      "/schemas/ids/2": { status: 401, body: "" },
      "/schemas/ids/3": { body: "<html>" },
      "/schemas/ids/4": { body: { schema: "x", references: [{ name: "B", subject: "gone", version: 1 }] } },
      "/schemas/ids/5": { body: {} },
      "/schemas/ids/6": { status: 302, body: "", location: "http://127.0.0.1:1/" },
      // What stands at the address is something else, or its path is wrong.
      "/schemas/ids/7": { status: 404, body: "<html>Not Found</html>" },
      "/schemas/ids/8": { status: 404, body: { error_code: 404, message: "HTTP 404 Not Found" } },
    });
    const registry = new ConfluentSchemas({ url });
    await assert.rejects(registry.schema("1"), kindOf("unavailable", /503/));
    await assert.rejects(registry.schema("2"), kindOf("invalid", /authorization.*401/));
    await assert.rejects(registry.schema("3"), kindOf("invalid", /no schema registry/));
    await assert.rejects(registry.schema("4"), kindOf("invalid", /does not have.*gone/));
    await assert.rejects(registry.schema("5"), kindOf("invalid", /gives no schema/));
    await assert.rejects(registry.schema("6"), kindOf("unavailable", /does not answer/));
    await assert.rejects(registry.schema("7"), kindOf("invalid", /check its address.*404/));
    await assert.rejects(registry.schema("8"), kindOf("invalid", /check its address.*404/));
    await assert.rejects(
      new ConfluentSchemas({ url: "http://127.0.0.1:1" }).schema("1"),
      kindOf("unavailable", /does not answer/),
    );
  });
  test("has an address without a password, which the plan would show", () => {
    assert.throws(() => confluentRegistry({ url: "registry:8081" }), kindOf("invalid", /http/));
    assert.throws(
      () => confluentRegistry({ url: "http://user:secret@registry" }),
      (error) => {
        return kindOf("invalid", /password/)(error) && !String(error).includes("secret");
      },
    );
  });
});

suite("Glue's registry", () => {
  const answering = (send: (input: { SchemaVersionId?: string | undefined }) => Promise<object>) => {
    const client = { send: (command: GetSchemaVersionCommand) => send(command.input) } as unknown as GlueClient;
    return glueRegistry({ client: () => client }).open(undefined);
  };
  const named = (name: string) => Object.assign(new Error(name), { name });

  test("gives the schema of a version", async () => {
    const registry = await answering(async ({ SchemaVersionId }) => ({ SchemaDefinition: `of ${SchemaVersionId}` }));
    assert.deepEqual(await registry.schema("u"), { id: "u", definition: "of u", references: [] });
  });
  test("has none, does not answer, or must be set up otherwise", async () => {
    const failing = (name: string) => answering(() => Promise.reject(named(name)));
    assert.equal(await (await failing("EntityNotFoundException")).schema("u"), undefined);
    await assert.rejects((await failing("ThrottlingException")).schema("u"), kindOf("unavailable", /Glue/));
    await assert.rejects((await failing("AccessDeniedException")).schema("u"), kindOf("invalid", /permission.*Glue/));
  });
});

suite("a source with a registry", () => {
  const shard = id<ShardId>("0");
  const limit = { records: 100, bytes: 1 << 20 };
  const recordOf = (schema: number, position = "1"): SourceRecord => ({
    ...{ position, partitionKey: "k", arrivalTime: 5, bytes: Buffer.from([0, 0, 0, 0, schema, 65]) },
  });
  const schemaOf = (name: string): WriterSchema => ({ id: name, definition: name, references: [] });

  function start(records: readonly SourceRecord[], answer: (id: string) => WriterSchema | undefined) {
    const clock = new ManualClock();
    const asked: string[] = [];
    const inner: SourceReader = {
      shards: async () => [],
      read: async () => ({ records, next: "horizon", behindMs: 0, gap: false }),
      unpack: async (_stream, _shard, packed) => [...packed, ...packed],
      close: async () => {},
    };
    const registry = {
      schema: async (name: string) => {
        asked.push(name);
        return answer(name);
      },
    };
    const schemas = {
      registry: confluentRegistry({ url: "http://127.0.0.1:1" }),
      idOf: (bytes: Uint8Array) => schemaIdOf(bytes, "confluent"),
    };
    return { clock, asked, source: new SchemaSource(inner, { schemas, open: async () => registry, clock }) };
  }

  test("hands each record over with its schema, which is fetched once", async () => {
    const { source, asked } = start([recordOf(1, "1"), recordOf(2, "2"), recordOf(1, "3")], schemaOf);
    const { records } = await source.read("s", shard, "horizon", limit);
    assert.deepEqual(
      records.map(({ position, schema }) => [position, schema?.id]),
      [
        ["1", "1"],
        ["2", "2"],
        ["3", "1"],
      ],
    );
    assert.equal(records[0]!.schema, records[2]!.schema);
    await source.read("s", shard, "horizon", limit);
    assert.deepEqual(asked.sort(), ["1", "2"]);
  });
  test("leaves no question open when one is not answered", async () => {
    let open = 0;
    const answers = async (name: string): Promise<WriterSchema> => {
      if (name === "1") throw new MillraceError("unavailable", "the registry does not answer");
      open++;
      for (let turns = 0; turns < 20; turns++) await new Promise(setImmediate);
      open--;
      return schemaOf(name);
    };
    const { source } = start([recordOf(1, "1"), recordOf(2, "2"), recordOf(3, "3")], answers as any);
    await assert.rejects(source.read("s", shard, "horizon", limit), (error) => isKind(error, "unavailable"));
    assert.equal(open, 0);
  });
  test("does the same with what a mapping brings, after it was unpacked", async () => {
    const { source } = start([], schemaOf);
    const records = await source.unpack("s", shard, [recordOf(9)]);
    assert.deepEqual(
      records.map(({ schema, arrivalTime }) => [schema?.id, arrivalTime]),
      [
        ["9", 5],
        ["9", 5],
      ],
    );
  });
  test("does the same with dead letters that are given back, and with the parts of a hybrid source", async () => {
    const { source } = start([recordOf(1)], schemaOf);
    const blobs = new MemoryBlobs();
    const bytes = Buffer.from(recordOf(7).bytes).toString("base64");
    await blobs.put(redriveName("uid", 1), encodeRedrive([{ id: "letter", at: 3, bytes }]));
    const other: SourceReader = {
      shards: async () => [{ id: id<ShardId>("live"), range: { from: 0n, to: 1n }, parents: [], closed: false }],
      read: async () => ({ records: [], next: "horizon", behindMs: 0, gap: false }),
      close: async () => {},
    };
    const first = {
      name: "first",
      reader: { ...asReader(source), shards: async () => [{ ...(await other.shards(""))[0]!, id: shard }] },
    };
    for (const [inner, given] of [
      [source, "7"],
      [new HybridReader("uid", [first, { name: "last", reader: other }]), undefined],
      [
        new HybridReader("uid", [
          { name: "last", reader: other },
          { ...first, reader: first.reader },
        ]),
        "7",
      ],
    ] as const) {
      const redriven = new RedrivenSource("uid", inner, blobs);
      const { records } = await redriven.read("s", parseRedrive(redriveName("uid", 1))!.shard, "horizon", limit);
      assert.deepEqual(
        records.map(({ schema, arrivalTime }) => [schema?.id, arrivalTime]),
        [[given, 3]],
      );
    }
    const parts = new HybridReader("uid", [first, { name: "last", reader: other }]);
    const { records } = await parts.read("s", shard, "horizon", limit);
    assert.deepEqual(
      records.map(({ schema, part }) => [schema?.id, part]),
      [["1", 0]],
    );
  });
  test("G1: rejects a record whose schema is not there, and asks again after a minute", async () => {
    const { source, asked, clock } = start([recordOf(1)], () => undefined);
    const read = async () => (await source.read("s", shard, "horizon", limit)).records[0]!;
    assert.match((await read()).rejected!, /not in the registry: schemas, 1/);
    await read();
    assert.equal(asked.length, 1);
    clock.advance(60_000);
    await read();
    assert.equal(asked.length, 2);
  });
  test("G1: leaves to the decoder what names no schema, and to the dead letters what was rejected before", async () => {
    const plain = { ...recordOf(1), bytes: Buffer.from("{}") };
    const rejected = { ...recordOf(1), rejected: "too long" };
    const { source, asked } = start([plain, rejected], schemaOf);
    assert.deepEqual((await source.read("s", shard, "horizon", limit)).records, [plain, rejected]);
    assert.deepEqual(asked, []);
  });
  test("G3: hands nothing over while the registry does not answer", async () => {
    let isUp = false;
    const { source } = start([recordOf(1)], (name) => {
      if (!isUp) throw new MillraceError("unavailable", "down");
      return schemaOf(name);
    });
    await assert.rejects(source.read("s", shard, "horizon", limit), kindOf("unavailable", /down/));
    isUp = true;
    assert.equal((await source.read("s", shard, "horizon", limit)).records.length, 1);
  });
});

/** Its methods as an object's own. */
function asReader(source: SchemaSource): SourceReader {
  return {
    shards: (stream) => source.shards(stream),
    read: (...of) => source.read(...of),
    withSchemas: (records) => source.withSchemas(records),
    close: () => source.close(),
  };
}

suite("a job with a registry, on one machine", () => {
  const row = {
    type: "record",
    name: "Row",
    fields: [
      { name: "id", type: "int" },
      { name: "name", type: "string" },
    ],
  };
  const envelope = {
    ...{ type: "record", name: "Envelope" },
    fields: [
      { name: "before", type: ["null", row], default: null },
      { name: "after", type: ["null", "Row"], default: null },
      { name: "op", type: "string" },
    ],
  };

  test("reads a table's changes from records in base64, by schemas from a directory", async () => {
    await withDirectory(async (directory) => {
      await mkdir(join(directory, "schemas"));
      await writeFile(join(directory, "schemas", "3.avsc"), JSON.stringify(envelope));
      const registry = confluentRegistry({ url: "http://127.0.0.1:1" });
      const write = avro<any>({ schema: envelope, registry, schemaId: 3 });
      const lines = [
        { before: null, after: { id: 1, name: "a" }, op: "c" },
        { before: { id: 1, name: "a" }, after: { id: 1, name: "b" }, op: "u" },
        { before: { id: 1, name: "b" }, after: null, op: "d" },
      ].map((value) => Buffer.from(write.encode(value)).toString("base64"));
      const unknown = Buffer.from([0, 0, 0, 0, 4, 0]).toString("base64");
      await writeFile(join(directory, "changes"), [...lines, unknown, "not base64!"].join("\n"));
      const rows: unknown[] = [];
      const job = defineJob("changes", (job) => {
        job
          .source(
            "changes",
            kinesis({
              stream: "changes",
              format: debezium<{ id: number; name: string }>({ mode: "upsert", format: avro({ registry }) }),
            }),
          )
          .asChangelog("rows", { mode: "upsert", key: ({ id }) => id })
          .filter("named", ({ name }) => name !== "hidden")
          .sinkTo(
            "out",
            customSink<{ id: number; name: string }, "upsert">({
              ...{ name: "rows", accepts: ["upsert"], guarantee: "atLeastOnce", key: ({ id }) => id },
              write: (written: readonly CustomRow<{ id: number; name: string }>[]) =>
                void rows.push(...written.map(({ kind, value }) => [kind, { ...value }])),
            }),
          );
      });
      const bindings = parseBindings([`changes=${join(directory, "changes")}`, `schemas=${join(directory, "schemas")}`]);
      const run = await LocalRun.open(job, { state: "memory", output: directory, bindings });
      try {
        await run.run(new AbortController().signal);
        assert.equal(run.progress().totals.deadLetters, 2);
      } finally {
        await run.close();
      }
      assert.deepEqual(rows, [
        ["+I", { id: 1, name: "a" }],
        ["+U", { id: 1, name: "b" }],
        ["-D", { id: 1, name: "b" }],
      ]);
    });
  });
});
