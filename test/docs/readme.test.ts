/** What the documents show is true: the README's job compiles, plans and runs; what the pages refer to is there. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { suite, test } from "node:test";
import { pathToFileURL } from "node:url";
import ts from "typescript";
import { LocalRun } from "../../cli/local-run.ts";
import { explain, type Job, planJob } from "../../runtime/index.ts";
import { withDirectory } from "../connectors/support.ts";

const root = resolve(import.meta.dirname, "../..");
const readme = await readFile(join(root, "README.md"), "utf8");

/** The README's job, as a module that imports this checkout. */
function jobModule(): string {
  const code = /```ts\n(.*?)```/s.exec(readme)?.[1];
  assert.ok(code !== undefined, "the README shows a job");
  const lines = code.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("import"));
  assert.ok(lines.length <= 15, `the job has ${lines.length} lines`);
  return code.replace('"millrace"', JSON.stringify(join(root, "runtime/index.ts")));
}

function problemsOf(path: string): readonly string[] {
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, root);
  const program = ts.createProgram([path], {
    ...options,
    noEmit: true,
    rewriteRelativeImportExtensions: false,
    typeRoots: [join(root, "node_modules/@types")],
  });
  const file = program.getSourceFile(path);
  return ts.getPreEmitDiagnostics(program, file).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
}

suite("the README's job", () => {
  test("compiles, and a wrong field in it does not", () =>
    withDirectory(async (directory) => {
      const [right, wrong] = [join(directory, "job.mts"), join(directory, "wrong.mts")];
      await writeFile(right, jobModule());
      await writeFile(wrong, jobModule().replace("view.page", "view.pgae"));
      assert.deepEqual(problemsOf(right), []);
      assert.match(problemsOf(wrong).join("\n"), /'pgae' does not exist/);
    }));

  test("plans, and counts", () =>
    withDirectory(async (directory) => {
      const input = join(directory, "views.ndjson");
      await writeFile(input, '{"page":"/a","at":1000}\n{"page":"/a","at":59999}\n{"page":"/b","at":60000}\n');
      await writeFile(join(directory, "job.ts"), jobModule());
      const { default: job } = (await import(pathToFileURL(join(directory, "job.ts")).href)) as { default: Job };
      assert.match(explain(planJob(job)), /per-minute/);
      const options = { state: "memory", output: directory, bindings: new Map([["views", [input]]]) } as const;
      const run = await LocalRun.open(job, options);
      assert.equal(await run.run(new AbortController().signal), "finished");
      await run.close();
      const [name] = (await readdir(join(directory, "views-per-minute"))).filter((file) => file.endsWith(".ndjson"));
      const rows = (await readFile(join(directory, "views-per-minute", name!), "utf8")).trim().split("\n").sort();
      assert.deepEqual(rows, ['{"page":"/a","start":0,"views":2}', '{"page":"/b","start":60000,"views":1}']);
    }));
});

suite("the documents", () => {
  test("refer to files and scripts that are there", async () => {
    const { scripts } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { scripts: object };
    const pages = [
      "README.md",
      ...(await readdir(join(root, "docs"))).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`),
    ];
    for (const page of pages) {
      const text = await readFile(join(root, page), "utf8");
      for (const [, target] of text.matchAll(/\]\(([^)#]+)\)/g))
        assert.ok(/^https?:/.test(target!) || existsSync(resolve(root, page, "..", target!)), `${page} links to ${target}`);
      for (const [, path] of text.matchAll(/`((?:runtime|cli|examples|test|bench)\/[\w./-]+\.m?[tj]s)`/g))
        assert.ok(existsSync(join(root, path!)), `${page} names ${path}`);
      for (const [, script] of text.matchAll(/npm run ([\w:-]+)/g))
        assert.ok(script! in scripts, `${page} names npm run ${script}`);
    }
  });
});
