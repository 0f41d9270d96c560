/** What the documentation says is counted is counted, and the other way round: by the names that the code gives to its telemetry. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { metrics } from "../../functions/metrics.ts";
import type { ErrorKind } from "../../runtime/base/errors.ts";

const root = new URL("../..", import.meta.url).pathname;
const kinds: readonly ErrorKind[] = ["unavailable", "fenced", "invalid", "corrupt", "user", "internal"];
/** What runs in functions: engine, adapters of AWS, handlers. */
const files = globSync(["functions/*.ts", "runtime/{driver,task,connectors}/**/*.ts", "runtime/adapters/aws/*.ts"], {
  cwd: root,
});
/** DynamoDB's units are told apart by the part of the job that uses them. */
const parts: Readonly<Record<string, readonly string[]>> = { "dynamodb.wru": ["<part>"], "dynamodb.rru": ["<part>"] };

/** Names given to `telemetry.add` or `telemetry.gauge`. */
function namesGiven(to: "add" | "gauge"): ReadonlySet<string> {
  const given = new RegExp(`elemetry\\??\\.${to}\\(\\s*["\`]([^"\`]+)["\`]`, "g");
  const names = files.flatMap((file) => [...readFileSync(`${root}/${file}`, "utf8").matchAll(given)].map(([, name]) => name!));
  return new Set(names.flatMap((name) => (name === "failed.${known.kind}" ? kinds.map((kind) => `failed.${kind}`) : [name])));
}

const documentation = `\n${readFileSync(`${root}/docs/operations/metrics.md`, "utf8")}`;

/** The names in the first cells of the table under a heading. */
function documented(heading: string): readonly string[] {
  const [, section = ""] = documentation.split(`\n${heading}\n`);
  const table = section.split(/\n## /)[0]!;
  const cells = table.split("\n").filter((line) => line.startsWith("| `"));
  return cells.flatMap((line) => [...line.split("|")[1]!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!));
}

describe("metrics", () => {
  test("are each made of something that is counted, or is a level, as their kind says", () => {
    const counted = { sum: namesGiven("add"), latest: namesGiven("gauge") };
    for (const { name, of, kind } of metrics) assert.ok(counted[kind].has(of), `${name}: ${of}`);
  });

  test("are documented, all of them and no other", () => {
    assert.deepEqual(
      documented("# Metrics"),
      metrics.map(({ name }) => name),
    );
  });

  test("stand beside what is no metric, all of which is documented, and no other", () => {
    const ofMetrics = new Set<string>(metrics.map(({ of }) => of));
    const beside = [...namesGiven("add"), ...namesGiven("gauge")].filter((name) => !ofMetrics.has(name));
    const named = beside.flatMap((name) => parts[name]?.map((part) => `${name}.${part}`) ?? [name]);
    assert.ok(named.length > 10);
    assert.deepEqual(documented("## Units").toSorted(), named.toSorted());
  });
});
