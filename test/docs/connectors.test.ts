/** The tables of connectors name every sink that there is, and say of it what it says of itself. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import type { Sink, Source } from "../../runtime/api/connector.ts";
import * as millrace from "../../runtime/index.ts";

const text = readFileSync(new URL("../../docs/connectors.md", import.meta.url), "utf8");
const rows = text
  .split("\n")
  .filter((line) => line.startsWith("| "))
  .map((line) =>
    line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );

const { json, ndjson } = millrace;
const sinks: Readonly<Record<string, Sink<any, any>>> = {
  fileSink: millrace.fileSink({ path: "p", format: ndjson() }),
  s3: millrace.s3({ bucket: "b", format: ndjson() }),
  dynamodb: millrace.dynamodb<any>({ table: "t", key: ["k"] }),
  kinesisSink: millrace.kinesisSink({ stream: "s", format: json(), partitionKey: () => "k" }),
  firehoseSink: millrace.firehoseSink({ deliveryStream: "d", format: json() }),
  sqsSink: millrace.sqsSink({ queue: "q", format: json() }),
  snsSink: millrace.snsSink({ topic: "t", format: json() }),
  eventBridgeSink: millrace.eventBridgeSink({ bus: "b", source: "s", detailType: "d" }),
  lambdaSink: millrace.lambdaSink({ function: "f" }),
  httpSink: millrace.httpSink({ endpoint: "e", format: json() }),
  consoleSink: millrace.consoleSink(),
};

const format = json();
const objects = millrace.s3Objects({ bucket: "b", format });
const stream = millrace.kinesis({ stream: "s", format });
const sources: Readonly<Record<string, Source<any>>> = {
  kinesis: stream,
  s3Objects: objects,
  hybrid: millrace.hybrid<any>(objects, stream),
  dynamodbStream: millrace.dynamodbStream({ table: "t", format }),
  kafka: millrace.kafka({ topic: "t", partitions: 1, format }),
  sqs: millrace.sqs({ queue: "q", format }),
  eventBridge: millrace.eventBridge({ queue: "q", format }),
  files: millrace.files({ paths: "p", format }),
  generator: millrace.generator({ seed: 1, next: (n) => n }),
};

describe("the page of connectors", () => {
  it("has every source that authors are given, and says of each what holds after a crash and a restore", () => {
    const isSource = (made: unknown) => typeof made === "function" && Object.keys(sources).includes(made.name);
    assert.equal(Object.values(millrace).filter(isSource).length, Object.keys(sources).length);
    for (const [name, { bounded }] of Object.entries(sources)) {
      assert.ok(
        rows.some(([first = ""]) => first.includes(`\`${name}(`)),
        `where it stands: ${name}`,
      );
      const row = rows.find((cells) => cells.length === 6 && cells[0]!.split(", ").includes(`\`${name}\``));
      assert.ok(row !== undefined, `what it promises: ${name}`);
      assert.ok(row.every((cell) => cell !== ""));
      if (row[1] === "yes" || row[1] === "no") assert.equal(bounded, row[1] === "yes", name);
    }
  });

  it("names for each a test of a crash and one of a restore, which are there", () => {
    const shown = rows.filter((cells) => cells.length === 3 && cells[1]!.includes("](../test/"));
    for (const name of [...Object.keys(sources), ...Object.keys(sinks), "customSink"])
      assert.ok(
        shown.some(([first = ""]) => first.includes(`\`${name}\``)),
        `no test is named: ${name}`,
      );
    for (const [name, ...cells] of shown)
      for (const cell of cells) {
        const [, path, title] = /\]\(\.\.\/(test\/[^)]+)\): "(.+)"$/.exec(cell) ?? assert.fail(`${name}: ${cell}`);
        const code = readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
        assert.ok(code.includes(title!), `${name}: there is no test of this name in ${path}: ${title}`);
      }
  });

  it("has every sink that authors are given", () => {
    const exported = Object.keys(millrace).filter((name) => name.endsWith("Sink") || name === "s3" || name === "dynamodb");
    assert.deepEqual(exported.toSorted(), [...Object.keys(sinks), "customSink"].sort());
    for (const name of exported)
      assert.ok(
        rows.some(([first = ""]) => first.includes(`\`${name}(`)),
        `where it stands: ${name}`,
      );
  });

  for (const [name, { guarantee }] of Object.entries(sinks))
    it(`says of ${name} what it promises after a crash and after a restore`, () => {
      const row = rows.find((cells) => cells.length === 4 && cells[0] === `\`${name}\``);
      assert.ok(row !== undefined);
      const promised = guarantee === "exactlyOnce" ? /^exactly once/ : /^at least once/;
      assert.match(row[1]!, promised);
      assert.match(row[2]!, promised);
    });
});
