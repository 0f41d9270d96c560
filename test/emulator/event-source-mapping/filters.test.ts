/** Filter criteria. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isKind } from "../../../runtime/base/errors.ts";
import { compileFilters } from "../../../emulator/event-source-mapping/filter-pattern.ts";
import { makeRig } from "./rig.ts";

/** Whether a pattern over the data matches data, which is given as the producer wrote it. */
function matches(pattern: string, data: string): boolean {
  return compileFilters([`{"data":${pattern}}`])!(new TextEncoder().encode(data));
}

/** Rows of pattern, data that matches, data that does not. */
function holds(pattern: string, matching: readonly string[], others: readonly string[]): void {
  for (const data of matching) assert.ok(matches(pattern, data), `${pattern} matches ${data}`);
  for (const data of others) assert.ok(!matches(pattern, data), `${pattern} does not match ${data}`);
}

describe("the operators", () => {
  test("null, empty and equals", () => {
    holds('{"a":[null]}', ['{"a":null}'], ['{"a":"null"}', '{"a":0}', "{}"]);
    holds('{"a":[""]}', ['{"a":""}'], ['{"a":" "}', '{"a":null}', "{}"]);
    holds('{"a":["Alice"]}', ['{"a":"Alice","b":1}'], ['{"a":"alice"}', '{"b":"Alice"}', '{"a":{"a":"Alice"}}']);
    holds('{"a":[true]}', ['{"a":true}'], ['{"a":false}', '{"a":"true"}']);
  });

  test("numbers are equal as they are written", () => {
    holds('{"a":[300]}', ['{"a":300}'], ['{"a":300.0}', '{"a":3.0e2}', '{"a":"300"}']);
    holds('{"a":[{"numeric":["=",300]}]}', ['{"a":300}', '{"a":300.0}', '{"a":3.0e2}'], ['{"a":301}', '{"a":"300"}']);
  });

  test("equals, ignoring case", () => {
    holds('{"a":[{"equals-ignore-case":"alice"}]}', ['{"a":"ALICE"}', '{"a":"alice"}'], ['{"a":"alicf"}']);
  });

  test("and, or", () => {
    holds('{"a":["x"],"b":["y"]}', ['{"a":"x","b":"y"}'], ['{"a":"x"}', '{"a":"x","b":"z"}']);
    holds('{"a":["x","y"]}', ['{"a":"x"}', '{"a":"y"}'], ['{"a":"z"}']);
  });

  test("or over several fields", () => {
    holds('{"$or":[{"a":["x"]},{"b":["y"]}]}', ['{"a":"x"}', '{"b":"y","a":"z"}'], ['{"a":"y","b":"x"}', "{}"]);
    holds('{"c":[1],"$or":[{"a":["x"]},{"b":["y"]}]}', ['{"a":"x","c":1}'], ['{"a":"x"}', '{"c":1}']);
  });

  test("anything but", () => {
    holds('{"a":[{"anything-but":["x","y"]}]}', ['{"a":"z"}', '{"a":1}', '{"a":null}'], ['{"a":"x"}', '{"a":"y"}', "{}"]);
    holds('{"a":[{"anything-but":[100]}]}', ['{"a":101}'], ['{"a":100}']);
    holds('{"a":[{"anything-but":"x"}]}', ['{"a":"z"}'], ['{"a":"x"}']);
  });

  test("numeric ranges", () => {
    holds('{"a":[{"numeric":[">",10,"<=",20]}]}', ['{"a":10.5}', '{"a":20}'], ['{"a":10}', '{"a":20.1}', '{"a":"15"}', "{}"]);
    holds('{"a":[{"numeric":["<",0]}]}', ['{"a":-1}'], ['{"a":0}']);
    holds('{"a":[{"numeric":[">=",5]}]}', ['{"a":5}', '{"a":6}'], ['{"a":4}']);
  });

  test("exists and does not exist, of leaves", () => {
    holds('{"a":[{"exists":true}]}', ['{"a":0}', '{"a":null}', '{"a":""}'], ["{}", '{"a":{"b":1}}']);
    holds('{"a":[{"exists":false}]}', ["{}", '{"b":1}'], ['{"a":0}']);
    holds('{"a":{"b":[{"exists":false}]}}', ['{"a":{}}', '{"c":1}'], ['{"a":{"b":1}}']);
  });

  test("begins with, ends with", () => {
    holds('{"a":[{"prefix":"us-"}]}', ['{"a":"us-east-1"}'], ['{"a":"eu-us-"}', '{"a":1}', "{}"]);
    holds('{"a":[{"suffix":".png"}]}', ['{"a":"b.png"}'], ['{"a":"b.png.txt"}']);
  });
});

describe("the shape of data", () => {
  test("is followed downwards", () => {
    holds(
      '{"order":{"type":["buy"]}}',
      ['{"record":1,"order":{"type":"buy","quantity":1000}}'],
      ['{"order":{"type":"sell"}}', "{}"],
    );
  });

  test("a list matches by one of its values, a list of objects by one of them as a whole", () => {
    holds('{"a":["x"]}', ['{"a":["y","x"]}'], ['{"a":["y"]}', '{"a":[]}']);
    holds('{"a":{"b":[1],"c":[2]}}', ['{"a":[{"b":0},{"b":1,"c":2}]}'], ['{"a":[{"b":1},{"c":2}]}']);
  });

  test("data that is no JSON, or no object, matches nothing", () => {
    const data = ["plain text", "", '{"a":', '"a"', "1", "null"];
    for (const pattern of ['{"a":["x"]}', '{"a":[{"exists":false}]}']) holds(pattern, [], data);
    const notUtf8 = compileFilters(['{"data":{"a":[{"exists":false}]}}'])!;
    assert.ok(!notUtf8(Uint8Array.of(0xff, 0xfe)));
  });
});

test("what AWS refuses is refused when the mapping is made", () => {
  const refused = [
    "plain",
    "{}",
    "[]",
    '{"data":["plain string"]}',
    '{"partitionKey":["1"],"data":{"a":["x"]}}',
    '{"data":{}}',
    '{"data":{"a":"x"}}',
    '{"data":{"a":[]}}',
    '{"data":{"a":[{"wildcard":"*"}]}}',
    '{"data":{"a":[{"cidr":"10.0.0.0/24"}]}}',
    '{"data":{"a":[{"prefix":1}]}}',
    '{"data":{"a":[{"exists":"yes"}]}}',
    '{"data":{"a":[{"numeric":["=="]}]}}',
    '{"data":{"a":[{"numeric":["!",1]}]}}',
    '{"data":{"a":[{"numeric":["<","1"]}]}}',
    '{"data":{"a":[{"anything-but":{"prefix":"x"}}]}}',
    '{"data":{"a":[{"prefix":"x","suffix":"y"}]}}',
    '{"data":{"$or":{"a":["x"]}}}',
    `{"data":{"a":["${"x".repeat(4096)}"]}}`,
  ];
  for (const pattern of refused) {
    assert.throws(
      () => makeRig({ settings: { filterCriteria: { filters: [{ pattern }] } } }),
      (error) => isKind(error, "invalid"),
      pattern,
    );
  }
  const pattern = '{"data":{"a":["x"]}}';
  assert.throws(() => compileFilters(Array.from({ length: 11 }, () => pattern)), /at most 5 filters, 10 by quota: 11/);
});

describe("a mapping with filters", () => {
  const filters = [{ pattern: '{"data":{"kind":["a"]}}' }, { pattern: '{"data":{"kind":["b"],"n":[{"numeric":[">",1]}]}}' }];

  test("delivers what one of them matches; the checkpoint passes the rest", async () => {
    const rig = makeRig({ settings: { filterCriteria: { filters } } });
    const records = ['{"kind":"a"}', '{"kind":"b","n":1}', '{"kind":"b","n":2}', "no JSON", '{"kind":"c"}'];
    let last = "";
    for (const data of records) last = rig.stream.put("key", data).sequenceNumber;
    await rig.clock.advance(5_000);
    assert.deepEqual(rig.delivered(), [[records[0], records[2]]]);
    assert.equal(rig.mapping.checkpoints.get("shardId-000000000000"), last);
    assert.equal(rig.mapping.metrics.filteredOutEventCount, 3);
    assert.equal(rig.mapping.metrics.polledEventCount, 5);
    await rig.stop();
  });

  test("filters before it gathers: a batch is full of matching records, and none is sent without any", async () => {
    const rig = makeRig({ settings: { filterCriteria: { filters }, batchSize: 3, maximumBatchingWindowInSeconds: 60 } });
    for (let n = 0; n < 9; n++) rig.stream.put("key", n % 2 === 0 ? '{"kind":"a"}' : '{"kind":"c"}');
    await rig.clock.advance(1_000);
    assert.deepEqual(
      rig.delivered().map(({ length }) => length),
      [3],
    );
    await rig.clock.advance(70_000);
    for (let n = 0; n < 5; n++) rig.stream.put("key", '{"kind":"c"}');
    await rig.clock.advance(120_000);
    assert.deepEqual(
      rig.delivered().map(({ length }) => length),
      [3, 2],
    );
    await rig.stop();
  });
});
