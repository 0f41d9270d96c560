/** Holds the code to the layers (layers.ts), and shows that what it is held by can fail. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, test } from "node:test";
import { readImports, type Import } from "./imports.ts";
import { edgesOf, findCycle, forbiddenImports, layerOf, loadedBy } from "./layering.ts";
import { authorsSurface, layers } from "./layers.ts";
import { pureFolders } from "./purity.js";

const roots = [...new Set(layers.map(({ path }) => path.split("/")[0]!))];
const imports = await readImports(roots);

const file = (from: string, to: string, typeOnly = false): Import => ({ from, to, kind: "file", typeOnly });
const builtin = (from: string, to: string): Import => ({ from, to, kind: "builtin", typeOnly: false });
const npm = (from: string, to: string): Import => ({ from, to, kind: "package", typeOnly: false });

describe("the code", () => {
  test("imports only what its layer may", () => {
    assert.ok(imports.length > 50, `imports read: ${imports.length}`);
    assert.deepEqual(forbiddenImports(imports, layers), []);
  });

  test("has no cycle between folders", () => {
    const folderOf = (path: string) => layerOf(path, layers)?.path ?? path;
    const between = imports
      .filter(({ kind }) => kind === "file")
      .map(({ from, to }) => [folderOf(from), folderOf(to)] as const)
      .filter(([from, to]) => from !== to);
    assert.equal(findCycle(between), undefined);
  });

  test("has no two files that need each other to load", () => {
    const loading = imports.filter(({ kind, typeOnly }) => kind === "file" && !typeOnly);
    assert.equal(findCycle(edgesOf(loading)), undefined);
  });

  test("gives authors declarations alone: no reader, no writer, no I/O", () => {
    const { entry, layers: allowed, builtins, packages, never } = authorsSurface;
    const loaded = loadedBy(entry, imports);
    assert.ok(loaded.length > 20, `loaded by ${entry}: ${loaded.length}`);
    const outside = loaded.filter(({ to, kind }) => {
      if (kind === "builtin") return !(builtins as readonly string[]).includes(to);
      if (kind === "package") return !(packages as readonly string[]).includes(to);
      const layer = layerOf(to, layers)?.path ?? "";
      return kind !== "file" || never.test(to) || !(allowed as readonly string[]).includes(layer);
    });
    assert.deepEqual(
      outside.map(({ from, to }) => `${from} loads ${to}`),
      [],
    );
  });

  test("is reached from the tests, whose imports no one else may have", async () => {
    const tests = await readImports(["test"]);
    assert.ok(tests.some(({ to }) => to === "runtime/index.ts"));
    assert.deepEqual(
      imports.filter(({ to }) => to.startsWith("test/")),
      [],
    );
  });
});

describe("the layers", () => {
  test("name each path once, and import only what is there", () => {
    const paths = layers.map(({ path }) => path);
    assert.deepEqual(paths, [...new Set(paths)]);
    for (const layer of layers) for (const to of layer.imports) assert.ok(paths.includes(to), `${layer.path} imports ${to}`);
    assert.equal(existsSync("runtime/api"), true, "paths are from the root of the repository");
  });

  test("have no cycle, so none can be built", () => {
    assert.equal(findCycle(layers.flatMap(({ path, imports }) => imports.map((to) => [path, to] as const))), undefined);
  });

  test("give the pure folders no module of Node that reaches outside, and no package", () => {
    for (const folder of pureFolders) {
      const layer = layerOf(`${folder}/x.ts`, layers);
      assert.equal(layer?.path, folder);
      assert.deepEqual(layer.packages, []);
      for (const name of layer.builtins) assert.ok(["buffer", "crypto", "zlib"].includes(name), `${folder} ${name}`);
    }
  });
});

describe("what is forbidden is found", () => {
  const forbidden: readonly Import[] = [
    file("runtime/base/a.ts", "runtime/api/b.ts"),
    file("runtime/base/a.ts", "runtime/api/b.ts", true),
    file("runtime/api/a.ts", "runtime/plan/b.ts"),
    file("runtime/plan/a.ts", "runtime/task/b.ts"),
    file("runtime/streaming/a.ts", "runtime/state/b.ts"),
    file("runtime/operators/a.ts", "runtime/task/b.ts"),
    file("runtime/task/a.ts", "runtime/driver/b.ts"),
    file("runtime/task/a.ts", "runtime/ports/b.ts"),
    file("runtime/ports/a.ts", "runtime/adapters/memory/b.ts"),
    file("runtime/driver/a.ts", "runtime/adapters/memory/b.ts"),
    file("runtime/driver/a.ts", "runtime/connectors/files/reader.ts"),
    file("runtime/adapters/memory/a.ts", "runtime/adapters/local/b.ts"),
    file("runtime/adapters/local/a.ts", "runtime/driver/b.ts"),
    file("runtime/connectors/files/a.ts", "runtime/adapters/local/b.ts"),
    file("runtime/index.ts", "runtime/driver/b.ts"),
    file("runtime/testing/a.ts", "test/api/b.ts"),
    file("runtime/testing/a.ts", "cli/b.ts"),
    file("cli/a.ts", "test/api/b.ts"),
    file("cli/a.ts", "infra/b.ts"),
    file("functions/a.ts", "infra/b.ts"),
    file("examples/pageviews/job.ts", "runtime/api/b.ts"),
    file("runtime/new-folder/a.ts", "runtime/base/b.ts"),
    builtin("runtime/task/a.ts", "fs"),
    builtin("runtime/api/a.ts", "crypto"),
    builtin("runtime/driver/a.ts", "timers/promises"),
    npm("runtime/driver/a.ts", "@aws-sdk/client-kinesis"),
    npm("runtime/adapters/local/a.ts", "@aws-sdk/client-kinesis"),
    npm("functions/a.ts", "aws-cdk-lib"),
    npm("emulator/s3/a.ts", "@aws-sdk/client-s3"),
    npm("runtime/adapters/aws/a.ts", "dynalite"),
    file("runtime/adapters/aws/a.ts", "emulator/s3/b.ts"),
    file("runtime/driver/a.ts", "runtime/adapters/aws/b.ts"),
    npm("runtime/adapters/aws/a.ts", "aws-cdk-lib"),
    { from: "runtime/api/a.ts", to: "./gone.ts", kind: "unresolved", typeOnly: false },
  ];
  for (const found of forbidden)
    test(`${found.from} to ${found.to}${found.typeOnly ? ", a type" : ""}`, () =>
      assert.deepEqual(forbiddenImports([found], layers), [`${found.from} imports ${found.to}`]));

  test("and what is allowed is not", () => {
    const allowed = [
      file("runtime/api/a.ts", "runtime/base/b.ts"),
      file("runtime/task/deep/a.ts", "runtime/operators/window/b.ts"),
      file("runtime/adapters/local/a.ts", "runtime/adapters/b.ts"),
      file("cli/a.ts", "cli/b.ts"),
      builtin("runtime/connectors/files/reader.ts", "fs/promises"),
      npm("runtime/adapters/aws/a.ts", "@aws-sdk/client-kinesis"),
      npm("infra/a.ts", "aws-cdk-lib"),
    ];
    assert.deepEqual(forbiddenImports(allowed, layers), []);
  });

  test("cycles of any length", () => {
    assert.deepEqual(
      findCycle([
        ["x", "a"],
        ["a", "b"],
        ["b", "c"],
        ["c", "a"],
      ]),
      ["a", "b", "c", "a"],
    );
    assert.deepEqual(findCycle([["a", "a"]]), ["a", "a"]);
    assert.equal(
      findCycle([
        ["a", "b"],
        ["a", "c"],
        ["b", "d"],
        ["c", "d"],
      ]),
      undefined,
    );
  });

  test("what is loaded through others, but not what is only a type", () => {
    const chain = [file("a", "b"), file("b", "c"), builtin("c", "fs"), file("a", "d", true), builtin("d", "net")];
    assert.deepEqual(
      loadedBy("a", chain).map(({ to }) => to),
      ["b", "c", "fs"],
    );
  });
});
