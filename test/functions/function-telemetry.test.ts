/** What a function writes for CloudWatch: read back from the output of a process of its own. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { alwaysWritten, metrics } from "../../functions/metrics.ts";

const child = new URL("children/write-telemetry.ts", import.meta.url).pathname;
const { stdout, stderr } = spawnSync(process.execPath, [child], {
  encoding: "utf8",
  env: { ...process.env, POWERTOOLS_DEV: "", POWERTOOLS_SERVICE_NAME: "" },
});
const output = stdout + stderr;
const lines: any[] = output
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line));
const measured = lines.filter((line) => line._aws !== undefined);
const logged = lines.filter((line) => line._aws === undefined);

suite("a function's telemetry", () => {
  test("is one line of metrics for an invocation, in the one dimension of the job", () => {
    assert.equal(measured.length, 3);
    const [first] = measured;
    const [{ Namespace, Dimensions, Metrics }] = first._aws.CloudWatchMetrics;
    assert.equal(Namespace, "Millrace");
    assert.deepEqual(Dimensions, [["job"]]);
    assert.equal(first.job, "pageviews");
    const values = Object.fromEntries(Metrics.map(({ Name }: any) => [Name, first[Name]]));
    assert.deepEqual(values, { Records: 7, Commits: 1, WatermarkLag: 20, SourceGap: 1 });
    assert.equal(Metrics.find(({ Name }: any) => Name === "WatermarkLag").Unit, "Milliseconds");
  });

  test("has what costs beside the metrics, and where it was", () => {
    const [first] = measured;
    assert.deepEqual(
      [first["dynamodb.wru.journal"], first["dynamodb.wru.pages"], first["kinesis.putUnits"], first.stage, first.cell].map(
        String,
      ),
      ["2", "5", "2", "views", "2"],
    );
  });

  test("begins anew with each invocation, and says that there was nothing", () => {
    assert.equal(measured[0]["coordinator.generation"], "3");
    const [, second] = measured;
    const names = second._aws.CloudWatchMetrics[0].Metrics.map(({ Name }: any) => Name);
    assert.deepEqual(new Set(names), alwaysWritten);
    assert.deepEqual([second.Records, second.Commits], [0, 0]);
    assert.equal(second["dynamodb.wru.journal"], undefined);
  });

  test("has what costs of an invocation that did nothing else, and no complaint", () => {
    const [, , third] = measured;
    assert.deepEqual([third.Records, third.Commits, third["dynamodb.rru.journal"]].map(String), ["0", "0", "3"]);
  });

  test("has lines of the log with their fields, and nothing of what an author's function quoted", () => {
    assert.equal(logged.length, 2);
    assert.deepEqual([logged[0].level, logged[0].message, logged[0].checkpoint], ["WARN", "checkpoint abandoned", 4]);
    assert.deepEqual([logged[0].service, logged[0].stage], ["pageviews", "views"]);
    assert.deepEqual([logged[1].kind, logged[1].operator], ["user", "parse"]);
    assert.ok(!output.includes("secret"));
  });

  test("has a line in the documentation for each metric", () => {
    const documented = readFileSync(new URL("../../docs/operations/metrics.md", import.meta.url), "utf8");
    for (const { name } of metrics) assert.match(documented, new RegExp(`^\\| \`${name}\` `, "m"), name);
  });
});
