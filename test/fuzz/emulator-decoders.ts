/** What emulators are asked, told and answered: requests to Kinesis, settings and filters of mappings, answers of their functions. */
import fc from "fast-check";
import { compileFilters } from "../../emulator/event-source-mapping/filter-pattern.ts";
import { readResponse } from "../../emulator/event-source-mapping/function-response.ts";
import { checkSettings, type MappingSettings } from "../../emulator/event-source-mapping/settings.ts";
import { decodeCbor, encodeCbor } from "../../emulator/kinesis/cbor.ts";
import { Input } from "../../emulator/kinesis/input.ts";
import { KinesisError } from "../../emulator/kinesis/kinesis-error.ts";
import { readToken, writeToken } from "../../emulator/kinesis/tokens.ts";
import { recogniseWire } from "../../emulator/kinesis/wire.ts";
import { type Decoder, refusesAs } from "./decoder.ts";
import { mutatedJson } from "./mutations.ts";

const json = (value: unknown) => Buffer.from(JSON.stringify(value) ?? "null");
const nearly = (...whole: readonly unknown[]) =>
  fc.oneof(fc.constantFrom(...whole), mutatedJson(fc.constantFrom(...whole)), fc.jsonValue());

/** A request that is refused is answered as AWS answers it. */
const refusesCall = (error: unknown) =>
  error instanceof KinesisError &&
  ["SerializationException", "ValidationException", "InvalidArgumentException"].includes(error.type);

// ---- Kinesis ----

const put = {
  StreamName: "views",
  Records: [
    { PartitionKey: "a", Data: "eA==", ExplicitHashKey: "5" },
    { PartitionKey: "b", Data: "" },
  ],
};
const iterator = { StreamARN: "arn", ShardId: "shardId-000000000000", Timestamp: 5.25, Limit: 3, Exclusive: true };
const tags = { Tags: { a: "b" }, TagKeys: ["a"], ShardFilter: { Type: "AT_TIMESTAMP", Timestamp: 1 } };
const cborCall = { ...put, Data: Buffer.from("x"), at: new Date(1_700_000_000_123), n: -5, double: 1.5, none: null, flag: true };

/** Every member as every kind of member, for which operations ask. */
function readInput(members: unknown): void {
  const input = new Input(members);
  const names = Object.keys(members as object);
  const taken: unknown[] = [];
  const tries = [
    (name: string) => input.text(name, { min: 1, max: 128, pattern: /^[\w.-]+$/ }),
    (name: string) => input.integer(name, { min: 1, max: 10_000 }),
    (name: string) => input.flag(name),
    (name: string) => input.requiredBytes(name).length,
    (name: string) => input.time(name),
    (name: string) => input.member(name)?.text("Type", { oneOf: ["AT_LATEST"] }),
    (name: string) => input.requiredTexts(name, { max: 10 }),
    (name: string) => input.texts(name),
    (name: string) =>
      input
        .requiredList(name, { min: 1, max: 500 })
        .map((entry) => [entry.requiredText("PartitionKey"), entry.requiredBytes("Data")]),
  ];
  for (const name of names)
    for (const take of tries)
      try {
        taken.push(take(name));
      } catch (error) {
        if (!refusesCall(error)) throw error;
      }
}

const target = { "x-amz-target": "Kinesis_20131202.PutRecords" };
const protocols = {
  json: recogniseWire("/", { ...target, "content-type": "application/x-amz-json-1.1" }).wire,
  "CBOR of AWS": recogniseWire("/", { ...target, "content-type": "application/x-amz-cbor-1.1" }).wire,
  "CBOR of Smithy": recogniseWire("/service/Kinesis_20131202/operation/PutRecords", {}).wire,
};

const requests = Object.entries(protocols).map(([name, wire]): Decoder => {
  const calls = fc.oneof(nearly(put, iterator, tags), fc.constant(cborCall));
  return {
    name: `request to Kinesis in ${name}`,
    valid: name === "json" ? nearly(put, iterator, tags).map(json) : calls.map((call) => wire.encode(call)),
    decode: (bytes) => readInput(wire.decode(Buffer.from(bytes))),
    refuses: refusesCall,
  };
});

const token = { stream: "views", createdAt: 5, shard: "shardId-000000000000", after: "horizon", issuedAt: 7 };

// ---- mappings ----

const numbers = [
  "49590338271490256608559692538361571095921575989136588898",
  "49590338271490256608559692540925702759324208523137515618",
];
const pattern = {
  data: { a: [{ prefix: "x" }, 5, null], $or: [{ b: [{ numeric: [">", 0, "<=", 5] }] }, { c: { d: [{ exists: true }] } }] },
};
const settings: MappingSettings = {
  ...{ startingPosition: "AT_TIMESTAMP", startingPositionTimestamp: 5, batchSize: 10, maximumRetryAttempts: -1 },
  ...{ functionResponseTypes: ["ReportBatchItemFailures"], filterCriteria: { filters: [{ pattern: JSON.stringify(pattern) }] } },
};

export const emulatorDecoders: readonly Decoder[] = [
  {
    name: "CBOR",
    valid: fc.anything({ withNullPrototype: false, maxDepth: 4 }).map((value) => encodeCbor(value, 1000)),
    decode: (bytes) => decodeCbor(Buffer.from(bytes), 1000),
    refuses: refusesCall,
    encode: (value) => encodeCbor(value, 1000),
  },
  ...requests,
  {
    name: "token of Kinesis",
    valid: nearly({ kind: "ShardIterator", ...token }).map((value) => Buffer.from(json(value).toString("base64"))),
    decode: (bytes) => readToken<object>("ShardIterator", Buffer.from(bytes).toString()),
    refuses: refusesCall,
    encode: (value: object) => Buffer.from(writeToken("ShardIterator", value)),
  },
  {
    name: "answer of a mapping's function",
    valid: nearly(
      { batchItemFailures: [{ itemIdentifier: numbers[1] }] },
      { state: { n: 1 }, batchItemFailures: null },
      null,
    ).map(json),
    decode: (bytes) => {
      for (const reportsItemFailures of [false, true])
        for (const isWindowed of [false, true]) readResponse(bytes, numbers, { reportsItemFailures, isWindowed });
    },
  },
  {
    name: "filter of a mapping",
    valid: nearly(pattern).map(json),
    decode: (bytes) => {
      const matches = compileFilters([Buffer.from(bytes).toString()])!;
      for (const data of [{ a: "xy" }, { b: 3 }, { c: { d: [1, { e: null }] } }, [], 5]) matches(json(data));
      matches(bytes);
    },
    refuses: refusesAs("invalid"),
  },
  {
    name: "data that a mapping filters",
    valid: nearly({ a: "xy", b: 3, c: [{ d: 1 }] }).map(json),
    decode: compileFilters([JSON.stringify(pattern)])!,
  },
  {
    name: "settings of a mapping",
    valid: nearly(settings).map(json),
    decode: (bytes) => checkSettings({ ...(JSON.parse(Buffer.from(bytes).toString()) as MappingSettings) }),
    refuses: (error) => error instanceof SyntaxError || refusesAs("invalid")(error),
  },
];
