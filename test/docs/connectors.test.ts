/** The tables of connectors name every sink that there is, and say of it what it says of itself. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import type { Sink } from "../../runtime/api/connector.ts";
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

describe("the page of connectors", () => {
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
