/** What a function carries: libraries of formats and registries only where its job uses them. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { suite, test } from "node:test";
import { pathToFileURL } from "node:url";
import { entryOf } from "../../functions/contract.ts";
import { bundleFunction, writeBundle } from "../../packaging/bundle.ts";

const root = dirname(dirname(import.meta.dirname));
/** Sources that a bundle was made of, which its source map names. */
const packages = ["avsc", "protobufjs", "@aws-sdk/client-glue"] as const;
const formats = {
  json: `import { json } from "${root}/runtime/index.ts"; const format = json();`,
  avro: `import { avro } from "${root}/runtime/connectors/formats/avro.ts"; const format = avro({ schema: '"int"' });`,
  protobuf: `import { protobuf } from "${root}/runtime/connectors/formats/protobuf.ts"; const format = protobuf({ schema: "message M {}", message: "M" });`,
  glue: `import { avro } from "${root}/runtime/connectors/formats/avro.ts"; import { glueRegistry } from "${root}/runtime/adapters/aws/glue.ts"; const format = avro({ registry: glueRegistry() });`,
};

async function packagesOf(format: keyof typeof formats): Promise<readonly string[]> {
  const job = `${formats[format]}
import { consoleSink, defineJob, kinesis } from "${root}/runtime/index.ts";
const job = defineJob("views", (job) => job.source("views", kinesis({ stream: "views", format })).sinkTo("out", consoleSink()));`;
  // The author's module and the function's entry in one.
  const entry = entryOf("task", "the-job", join(root, "functions")).replace(/^import job .*$/m, job);
  const { files } = await bundleFunction({ entry: { contents: entry, directory: root } });
  const { sources } = JSON.parse(Buffer.from(files.get("index.mjs.map")!).toString()) as { sources: readonly string[] };
  assert.ok(sources.length > 100);
  return packages.filter((name) => sources.some((source) => `/${source}`.includes(`/node_modules/${name}/`)));
}

suite("the bundle of a function", () => {
  test("has no library of a format that its job does not use", async () => {
    assert.deepEqual(await packagesOf("json"), []);
  });
  test("has those that it uses", async () => {
    assert.deepEqual(await packagesOf("avro"), ["avsc"]);
    assert.deepEqual(await packagesOf("protobuf"), ["protobufjs"]);
    assert.deepEqual(await packagesOf("glue"), ["avsc", "@aws-sdk/client-glue"]);
  });

  test("runs them, be they packages of CommonJS", async () => {
    const contents = `
${formats.avro.replaceAll("format", "avroFormat").replaceAll("/avroFormats/", "/formats/")}
${formats.protobuf.replaceAll("format", "protobufFormat").replaceAll("/protobufFormats/", "/formats/")}
export const values = [avroFormat.decode({ bytes: Uint8Array.of(4) }), protobufFormat.decode({ bytes: new Uint8Array(0) })];`;
    const directory = mkdtempSync(join(tmpdir(), "millrace-bundle-"));
    try {
      const place = await writeBundle(await bundleFunction({ entry: { contents, directory: root } }), directory);
      const { values } = (await import(pathToFileURL(join(place, "index.mjs")).href)) as { values: unknown[] };
      assert.deepEqual(values, [2, {}]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
