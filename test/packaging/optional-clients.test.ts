/** Bundles of functions hold the clients and libraries that their job uses, and no others. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { entryOf } from "../../functions/contract.ts";
import { type Bundle, bundleFunction, bundleFunctionSync } from "../../packaging/bundle.ts";

const root = join(import.meta.dirname, "..", "..");
const scratch = mkdtempSync(join(tmpdir(), "millrace-clients-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

const always = ["client-dynamodb", "client-kinesis", "client-s3"];

function entry(kind: "task" | "coordinator", name: string, sinks: Readonly<Record<string, string>>) {
  const job = join(scratch, `${name}.ts`);
  const words = [
    "defineJob",
    "json",
    "kinesis",
    ...new Set(Object.values(sinks).flatMap((text) => text.match(/\b[a-z]\w*(?=\()/gi) ?? [])),
  ];
  const lines = Object.entries(sinks).map(([uid, sink]) => `views.sinkTo("${uid}", ${sink});`);
  writeFileSync(
    job,
    `import { ${[...new Set(words)].join(", ")} } from ${JSON.stringify(join(root, "runtime/index.ts"))};\n` +
      `export default defineJob("${name}", (job) => {\n` +
      `const views = job.source("views", kinesis<any>({ stream: "views", format: json() }));\n${lines.join("\n")}\n});\n`,
  );
  return { contents: entryOf(kind, job, join(root, "functions")), directory: root };
}

/** The packages of others in a bundle, as far as they are looked at here. */
function heldBy(bundle: Bundle): readonly string[] {
  const { sources } = JSON.parse(Buffer.from(bundle.files.get("index.mjs.map")!).toString()) as { sources: string[] };
  const names = sources.flatMap(
    (path) => /node_modules\/(?:@aws-sdk\/(client-[\w-]+)|(hyparquet-writer))\//.exec(path)?.slice(1) ?? [],
  );
  return [...new Set(names.filter((name) => name !== undefined))].sort();
}

describe("a bundle", () => {
  it("of a job with none of the rarer sinks has none of their clients", async () => {
    const bundle = await bundleFunction({ entry: entry("task", "plain", { out: `s3({ bucket: "b", format: json() })` }) });
    assert.deepEqual(heldBy(bundle), always);
  });

  it("of a job that reads a table's stream has the client for it", async () => {
    const job = join(scratch, "changes.ts");
    const source = `dynamodbStream({ table: "t", format: json() })`;
    const made = `defineJob("changes", (job) => void job.source("changes", ${source}).sinkTo("out", consoleSink()))`;
    const from = JSON.stringify(join(root, "runtime/index.ts"));
    writeFileSync(job, `import { consoleSink, defineJob, dynamodbStream, json } from ${from};\nexport default ${made};\n`);
    const contents = entryOf("task", job, join(root, "functions"));
    const bundle = await bundleFunction({ entry: { contents, directory: root } });
    assert.deepEqual(heldBy(bundle), ["client-dynamodb", "client-dynamodb-streams", "client-kinesis", "client-s3"]);
  });

  it("has the clients of the sinks that its job declares, however it is made", async () => {
    const sinks = {
      queue: `sqsSink({ queue: "q", format: json() })`,
      calls: `httpSink({ endpoint: "e", format: json() })`,
      files: `s3({ bucket: "b", format: parquet({ columns: { a: "string" } }), partitionBy: "day" })`,
    };
    const from = { entry: entry("task", "some", sinks) };
    const bundle = await bundleFunction(from);
    assert.deepEqual(heldBy(bundle), [...always, "client-sqs", "hyparquet-writer"].sort());
    assert.equal(bundleFunctionSync(from).hash, bundle.hash);
  });

  it("has those of all sinks, where a job has them all", async () => {
    const sinks = {
      a: `sqsSink({ queue: "q", format: json() })`,
      b: `snsSink({ topic: "t", format: json() })`,
      c: `eventBridgeSink({ bus: "b", source: "s", detailType: "d" })`,
      d: `firehoseSink({ deliveryStream: "f", format: json() })`,
      e: `lambdaSink({ function: "l" })`,
    };
    const clients = ["eventbridge", "firehose", "lambda", "sns", "sqs"].map((name) => `client-${name}`);
    assert.deepEqual(heldBy(await bundleFunction({ entry: entry("task", "all", sinks) })), [...always, ...clients].sort());
  });

  it("of a coordinator has the client that it calls tasks by", async () => {
    const bundle = await bundleFunction({
      entry: entry("coordinator", "coordinated", { out: `s3({ bucket: "b", format: json() })` }),
    });
    assert.deepEqual(heldBy(bundle), [...always, "client-lambda"].sort());
  });
});
