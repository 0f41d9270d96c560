/** What a topology is refused for, with the field named; and when schedules fire. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { readTopology } from "../../../emulator/cloud/read-topology.ts";
import { intervalOf, runSchedule } from "../../../emulator/cloud/schedule.ts";
import { VirtualClock } from "../../../emulator/virtual-clock.ts";
import { isKind } from "../../../runtime/base/errors.ts";

const stream = { shardCount: 1 };
const code = { codeDirectory: "code" };
const table = { partitionKey: { name: "k", type: "S" } };
const ofTable = { functionName: "f", tableName: "t", startingPosition: "TRIM_HORIZON" };
const mapping = { functionName: "f", streamName: "s", startingPosition: "TRIM_HORIZON" };

describe("a topology", () => {
  test("has its lists filled in, and its paths relative to its file", () => {
    const { functions, region, buckets, streams } = readTopology(
      {
        functions: {
          f: { entry: "src/f.ts", alias: { job: "job.ts" } },
          g: { ...code, environment: { EMPTY: "" } },
          h: { entry: { contents: "export {}", directory: "." } },
        },
      },
      "/project",
    );
    assert.deepEqual(functions, {
      f: { entry: join("/project", "src", "f.ts"), alias: { job: join("/project", "job.ts") } },
      g: { codeDirectory: join("/project", "code"), environment: { EMPTY: "" } },
      h: { entry: { contents: "export {}", directory: "/project" } },
    });
    assert.deepEqual([region, buckets, streams], ["us-east-1", [], {}]);
  });

  const refused: readonly (readonly [unknown, string])[] = [
    [[], "topology must be an object: \\[\\]"],
    [{ stream: {} }, "topology has no field of this name, but region, account, .*streams, .*: stream"],
    [{ region: "Frankfurt" }, 'topology.region must be a region: "Frankfurt"'],
    [{ account: "12" }, 'topology.account must be twelve digits: "12"'],
    [{ streams: { s: {} } }, "topology.streams.s.shardCount must be a whole number from 1 to 10000: absent"],
    [{ streams: { "a b": stream } }, "topology.streams.a b: AWS allows no such name: a b"],
    [
      { streams: { s: { ...stream, retentionPeriodHours: 12 } } },
      "retentionPeriodHours must be a whole number from 24 to 8760: 12",
    ],
    [{ tables: { views: { partitionKey: { name: "k", type: "text" } } } }, 'partitionKey.type must be one of S, N, B: "text"'],
    [{ tables: { t: { partitionKey: { name: "k", type: "S" } } } }, "topology.tables.t: AWS allows no such name: t"],
    [{ buckets: ["Reports"] }, 'topology.buckets\\[0\\] must be a bucket\'s name: "Reports"'],
    [{ queues: { "a.b": {} } }, "topology.queues.a.b: AWS allows no such name: a.b"],
    [{ queues: { q: { maximumMessageSize: 1 } } }, "queues.q.maximumMessageSize must be a whole number from 1024 to 1048576: 1"],
    [{ topics: { t: { queues: ["q"] } } }, "topology.topics.t.queues names a queue that .*, there is none: q"],
    [{ functions: { f: {} } }, "topology.functions.f needs an entry, which is bundled, or a codeDirectory, and not both"],
    [{ functions: { f: { ...code, entry: "f.ts" } } }, "and not both"],
    [{ functions: { f: { ...code, memorySize: 64 } } }, "functions.f.memorySize must be a whole number from 128 to 10240: 64"],
    [{ functions: { f: { ...code, timeout: 901 } } }, "functions.f.timeout must be a whole number from 1 to 900: 901"],
    [{ functions: { f: { ...code, handler: "handler" } } }, 'functions.f.handler must be file.export: "handler"'],
    [{ functions: { f: { ...code, environment: { A1: 1 } } } }, "environment.A1 must be a text: 1"],
    [{ functions: { f: { ...code, environment: { _HANDLER: "x" } } } }, "functions.f.environment: Lambda sets this .*: _HANDLER"],
    [
      { functions: { f: code }, eventSourceMappings: [mapping] },
      "streamName names a stream that the topology does not have, there is none: s",
    ],
    [{ streams: { s: stream }, eventSourceMappings: [mapping] }, "functionName names a function that .*: f"],
    [
      { eventSourceMappings: [{ ...mapping, batchSize: 0 }] },
      "eventSourceMappings\\[0\\]: batchSize is a whole number from 1 to 10000: 0",
    ],
    [{ eventSourceMappings: [{ ...mapping, onFailure: {} }] }, "onFailure.bucket must be a text: absent"],
    [{ eventSourceMappings: [{ ...mapping, bisectBatchOnFunctionError: "yes" }] }, "must be true or false"],
    [{ streams: { s: stream }, functions: { f: code }, eventSourceMappings: [mapping, mapping] }, "two mappings .*: f and s"],
    [
      { tables: { ttt: table }, functions: { f: code }, tableMappings: [{ ...ofTable, tableName: "ttt" }] },
      "tableName names a table with a stream that the topology does not have, there is none: ttt",
    ],
    [
      { tableMappings: [{ ...ofTable, startingPosition: "AT_TIMESTAMP", startingPositionTimestamp: 1 }] },
      "tableMappings\\[0\\]: a mapping of a table starts at TRIM_HORIZON or LATEST: AT_TIMESTAMP",
    ],
    [{ tables: { ttt: { ...table, streamViewType: "ALL" } } }, 'tables.ttt.streamViewType must be one of .*: "ALL"'],
    [{ schedules: { x: { scheduleExpression: "cron(* *)", functionName: "f" } } }, "schedules.x: a schedule is written rate"],
    [{ schedules: { x: { scheduleExpression: "rate(1 day)", functionName: "f" } } }, "schedules.x.functionName names a function"],
    [{ customResources: { c: { type: "AWS::X", functionName: "f" } } }, 'customResources.c.type must be Custom::…: "AWS::X"'],
    [{ customResources: { c: { type: "Custom::X", functionName: "f" } } }, "customResources.c.functionName names a function"],
  ];
  for (const [topology, message] of refused) {
    test(`is refused: ${message}`, () => {
      assert.throws(
        () => readTopology(topology, "/"),
        (error) => isKind(error, "invalid") && new RegExp(`${message}$|${message}`).test(error.message),
      );
    });
  }
});

describe("a schedule", () => {
  test("is a rate in minutes, hours or days", () => {
    assert.deepEqual(
      ["rate(1 minute)", "rate(5 minutes)", "rate(2 hours)", "rate(1 day)"].map(intervalOf),
      [60_000, 300_000, 7_200_000, 86_400_000],
    );
    for (const wrong of ["rate(0 minutes)", "rate(1 minutes)", "rate(2 minute)", "rate(30 seconds)", "every minute"]) {
      assert.throws(() => intervalOf(wrong), /a schedule is written/, wrong);
    }
  });

  test("fires after each interval until it is ended", async () => {
    const clock = new VirtualClock();
    const begun = clock.now();
    const end = new AbortController();
    const fired: number[] = [];
    const running = runSchedule(60_000, clock, end.signal, () => fired.push(clock.now() - begun));
    await clock.advance(150_000);
    assert.deepEqual(fired, [60_000, 120_000]);
    end.abort();
    await running;
    await clock.advance(150_000);
    assert.equal(fired.length, 2);
  });
});
