/** Bundles: one file that runs by itself, the same bytes wherever it is made, and errors that say where. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { bundleFunction, writeBundle } from "../../../packaging/bundle.ts";
import { isKind } from "../../../runtime/base/errors.ts";
import { read, start } from "./environments.ts";

const scratch = mkdtempSync(join(tmpdir(), "millrace-bundle-"));
after(() => rmSync(scratch, { recursive: true }));

function project(name: string): string {
  const directory = join(scratch, name);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "job.ts"), `export default { name: "views" as const };\n`);
  writeFileSync(
    join(directory, "function.ts"),
    `import job from "the-job";\nimport { createRequire } from "node:module";\n` +
      `export const handler = async () => ({ job: job.name, built: typeof createRequire, required: typeof require("node:fs").readFileSync });\n`,
  );
  return directory;
}

function bundleOf(directory: string) {
  return bundleFunction({ entry: join(directory, "function.ts"), alias: { "the-job": join(directory, "job.ts") } });
}

describe("a bundle", () => {
  test("is one file that runs as a function, with the modules that its entry names by alias", async () => {
    const directory = await writeBundle(await bundleOf(project("one")), join(scratch, "code"));
    const { invoke } = await start({ codeDirectory: directory });
    assert.deepEqual(read(await invoke({})), { job: "views", built: "function", required: "function" });
  });

  test("U1: has the same bytes and hash in another folder, and others when a source changes", async () => {
    const first = await bundleOf(project("two"));
    cpSync(join(scratch, "two"), join(scratch, "deeper", "three"), { recursive: true });
    const second = await bundleOf(join(scratch, "deeper", "three"));
    assert.deepEqual(second.files.get("index.mjs"), first.files.get("index.mjs"));
    assert.equal(second.hash, first.hash);
    writeFileSync(join(scratch, "two", "job.ts"), `export default { name: "clicks" };\n`);
    assert.notEqual((await bundleOf(join(scratch, "two"))).hash, first.hash);
  });

  test("does not load all of fetch for what it imports of node:http, in whatever way, nor does what runs it", async () => {
    const contents = `
      import http, { Agent, request as ask } from "node:http";
      import * as all from "http";
      export const handler = async () => {
        const late = await import("node:http");
        const same = [ask, all.request, late.request, require("http").request].every((each) => each === http.request);
        return { same, agent: new Agent().maxSockets, undici: process.moduleLoadList.filter((name) => name.endsWith("/undici")) };
      };`;
    const bundle = await bundleFunction({ entry: { contents, directory: project("five") } });
    const { invoke } = await start({ codeDirectory: await writeBundle(bundle, join(scratch, "code")) });
    assert.deepEqual(read(await invoke({})), { same: true, agent: null, undici: [] });
  });

  test("may begin with a text, and has a source map that names the sources", async () => {
    const directory = project("four");
    const bundle = await bundleFunction({
      entry: { contents: `import job from "./job.ts"; export const handler = async () => job.name;`, directory },
    });
    const map = JSON.parse(Buffer.from(bundle.files.get("index.mjs.map")!).toString()) as { sources: string[] };
    assert.deepEqual(map.sources.sort(), ["entry.ts", "job.ts"]);
    const { invoke } = await start({ codeDirectory: await writeBundle(bundle, join(scratch, "code")) });
    assert.equal(read(await invoke({})), "views");
  });

  test("has a source map whose sources are files of this machine, where it is told which folder they are in", async () => {
    const directory = project("six");
    const entry = { contents: `import job from "./job.ts"; export const handler = async () => job.name;`, directory };
    for (const sourceRoot of [directory, `${directory}/`]) {
      const bundle = await bundleFunction({ entry, sourceRoot });
      const map = JSON.parse(Buffer.from(bundle.files.get("index.mjs.map")!).toString()) as {
        sourceRoot: string;
        sources: string[];
      };
      assert.ok(map.sources.map((source) => map.sourceRoot + source).includes(join(directory, "job.ts")));
    }
  });

  test("is refused with the place of what does not compile or is not there", async () => {
    const directory = project("five");
    const refused = (entry: string, message: RegExp) =>
      assert.rejects(bundleFunction({ entry }), (error) => isKind(error, "invalid") && message.test(error.message));
    await refused(join(directory, "absent.ts"), /entry is not there: .*absent\.ts$/);
    await refused(join(directory, "function.ts"), /Could not resolve "the-job": function\.ts:1$/);
    writeFileSync(join(directory, "wrong.ts"), "\nexport const = 1;\n");
    await refused(join(directory, "wrong.ts"), /: wrong\.ts:2$/);
  });
});
