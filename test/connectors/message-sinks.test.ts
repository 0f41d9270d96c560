/** Sinks that push: what they refuse of a row, and what stands for them on one machine. */
import assert from "node:assert/strict";
import { appendFile, readdir, readFile, truncate } from "node:fs/promises";
import { join } from "node:path";
import { Writable } from "node:stream";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Sink } from "../../runtime/api/connector.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { id, type OperatorUid, type TaskId } from "../../runtime/base/ids.ts";
import type { Bindings } from "../../runtime/connectors/bindings.ts";
import { LocalSinks } from "../../runtime/connectors/local-sinks.ts";
import { checkedId } from "../../runtime/connectors/messages/message.ts";
import {
  csv,
  dynamodb,
  eventBridgeSink,
  type EventBridgeSinkOptions,
  firehoseSink,
  type Format,
  httpSink,
  type HttpSinkOptions,
  json,
  kinesisSink,
  lambdaSink,
  ndjson,
  parquet,
  snsSink,
  sqsSink,
  type SqsSinkOptions,
} from "../../runtime/index.ts";
import type { SinkEffect } from "../../runtime/ports/sink-driver.ts";
import { effectsOf } from "../aws/sinks.ts";
import { startReceiver } from "../aws/service-fakes.ts";
import { sinkParts, withDirectory } from "./support.ts";

const operator = id<OperatorUid>("out");
const task = id<TaskId>("t");
const invalid = (message: RegExp) => (error: unknown) => isKind(error, "invalid") && message.test(error.message);
const add = (sink: Sink<any>, row: unknown, timestamp?: number) => {
  const writer = sink.createWriter({ generation: 1, task, operator, seq: () => 1, now: () => 0 });
  writer.add(row, timestamp, "+I");
  return writer.flush("turn");
};

const sqs = (options: Partial<SqsSinkOptions<any>> = {}) => sqsSink<any>({ queue: "q", format: json(), ...options });
const bus = (options: Partial<EventBridgeSinkOptions<any>> = {}) =>
  eventBridgeSink<any>({ bus: "b", source: "shop", detailType: "row", ...options });
const http = (options: Partial<HttpSinkOptions<any>> = {}) => httpSink<any>({ endpoint: "e", format: json(), ...options });

describe("declarations of push sinks", () => {
  it("are refused where they cannot be", () => {
    const wrong: readonly (readonly [() => unknown, RegExp])[] = [
      [() => sqs({ queue: "" }), /name of a queue/],
      [() => sqs({ maxMessageBytes: 2 ** 21 }), /1 to 1048576/],
      [() => sqs({ delaySeconds: 901 }), /0 to 900/],
      [() => sqs({ idAttribute: "a b" }), /attribute's name/],
      [() => snsSink({ topic: "", format: json() }), /name of a topic/],
      [() => snsSink({ topic: "t", format: json(), maxMessageBytes: 0 }), /maxMessageBytes/],
      [() => bus({ bus: "" }), /name of a bus/],
      [() => bus({ source: "aws.mine" }), /source/],
      [() => bus({ detailType: "" }), /detailType/],
      [() => firehoseSink({ deliveryStream: "", format: json() }), /delivery stream/],
      [() => lambdaSink({ function: "" }), /name of a function/],
      [() => lambdaSink({ function: "f", rowsPerEvent: 0 }), /rowsPerEvent/],
      [() => lambdaSink({ function: "f", invocation: "sync" as any }), /"requestResponse" or "event"/],
      [() => lambdaSink({ function: "f", onFunctionError: "drop" as any }), /"retry" or "deadLetter"/],
      [() => http({ endpoint: "" }), /its endpoint/],
      [() => http({ url: "ftp://x" }), /https:\/\//],
      [() => http({ method: "GET" as any }), /method is one of/],
      [() => http({ idempotencyHeader: "a b" }), /name of a header/],
      [() => http({ concurrency: 0 }), /concurrency/],
    ];
    for (const [declare, message] of wrong) assert.throws(declare, invalid(message), String(message));
    const formats: readonly Format<any>[] = [csv(), csv(undefined, { columns: ["a"] }), parquet({ columns: { a: "string" } })];
    for (const format of formats)
      for (const declare of [
        () => sqs({ format }),
        () => snsSink({ topic: "t", format }),
        () => firehoseSink({ deliveryStream: "d", format }),
        () => http({ format }),
        () => kinesisSink({ stream: "s", partitionKey: () => "k", format }),
      ])
        assert.throws(declare, invalid(/cannot write this format/));
  });

  it("hold no secret", () => {
    const sink = http({ url: "https://example.com", headers: () => ({ authorization: "hush" }) });
    assert.doesNotMatch(JSON.stringify(sink.options), /hush|authorization/);
  });
});

describe("rows of push sinks", () => {
  const text = (length: number) => "x".repeat(length);
  it("are refused, each for itself, where no receiver would take them", () => {
    const wrong: readonly (readonly [() => unknown, RegExp])[] = [
      [() => add(sqs(), text(1 << 20)), /above the limit of 1048576 bytes/],
      [() => add(sqs({ maxMessageBytes: 1_000 }), text(900)), /above the limit of 1000 bytes/],
      [() => add(sqs({ format: { ...json(), encode: () => Buffer.from("\u0001") } }), 1), /control characters/],
      [() => add(sqs({ format: { ...json(), encode: () => Buffer.from([0xff]) } }), 1), /text/],
      [() => add(sqs({ format: { ...json(), encode: () => Buffer.from("\n") } }), 1), /at least one character/],
      [() => add(sqs({ messageGroup: () => "" }), 1), /a message group is 1 to 128/],
      [() => add(sqs({ messageGroup: () => "with space" }), 1), /a message group/],
      [() => add(sqs({ deduplicationId: () => text(129) }), 1), /a deduplication id/],
      [() => add(sqs({ attributes: () => ({ a: "" }) }), 1), /attribute's value/],
      [
        () => add(sqs({ attributes: () => Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`a${n}`, "v"])) }), 1),
        /at most 9/,
      ],
      [() => add(snsSink<any>({ topic: "t", format: json() }), text(1 << 18)), /above the limit of 262144/],
      [() => add(snsSink<any>({ topic: "t", format: json(), subject: () => "two\nlines" }), 1), /subject/],
      [() => add(bus(), 7), /detail is an object/],
      [() => add(bus(), { toJSON: () => [1] }), /detail is an object/],
      [() => add(bus(), { millraceId: 1 }), /another idField/],
      [() => add(bus(), { a: text(1_000_000) }), /an event is above the limit/],
      [() => add(bus({ detailType: () => text(129) }), {}), /detailType/],
      [() => add(bus({ resources: () => [""] }), {}), /resources/],
      [() => add(firehoseSink<any>({ deliveryStream: "d", format: json() }), text(1_024_000)), /a record of Firehose is above/],
      [() => add(lambdaSink<any>({ function: "f" }), text(6_000_000)), /an event of Lambda is above/],
      [() => add(lambdaSink<any>({ function: "f", invocation: "event" }), text(1_000_000)), /an event of Lambda is above/],
      [() => add(http({ maxBodyBytes: 3 }), "abc"), /body is above/],
      [() => add(http({ path: () => "orders" }), 1), /begins with/],
      [() => add(http({ path: () => "/a/../b" }), 1), /dots between slashes/],
      [() => add(http({ orderBy: () => 1 as any }), 1), /orderBy/],
      [() => add(http({ idempotencyKey: () => "" }), 1), /an idempotency key/],
    ];
    for (const [give, message] of wrong) assert.throws(give, invalid(message), String(message));
    assert.equal(add(sqs({ idAttribute: null, maxMessageBytes: 902 }), text(900)).length, 1);
  });

  it("have ids that every receiver takes, each its own", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), fc.string({ maxLength: 200 }), (a, b) => {
        for (const one of [a, b]) assert.match(checkedId(one), /^[\x21-\x7e]{1,128}$/);
        assert.equal(checkedId(a) === checkedId(b), a === b);
      }),
    );
  });
});

/** The sinks of a job on this machine. */
function openLocal(sink: Sink<any, any>, directory: string, bindings: Bindings = new Map(), console: Writable = new Writable()) {
  const parts = sinkParts();
  const sinks = new LocalSinks({
    ...parts,
    sinks: new Map([[operator, sink]]),
    bindings,
    outputDirectory: directory,
    console,
    durable: false,
  });
  const carryOut = async (effects: readonly SinkEffect[]) => {
    for (const effect of effects) await sinks.carryOut(effect);
  };
  return { sinks, carryOut, telemetry: parts.telemetry };
}

async function linesIn(directory: string): Promise<any[]> {
  const names = (await readdir(directory)).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(directory, name), "utf8")));
  return texts.flatMap((text) => text.trimEnd().split("\n")).map((line) => JSON.parse(line));
}

describe("on one machine", () => {
  it("files of lines stand for what is not there, in a directory of its name or where it is bound", () =>
    withDirectory(async (directory) => {
      const sinks: readonly (readonly [Sink<any, any>, object])[] = [
        [sqs({ messageGroup: ({ a }) => `g${a}` }), { group: "g1", value: { a: 1 } }],
        [snsSink<any>({ topic: "t", format: ndjson(), subject: () => "s" }), { subject: "s", value: { a: 1 } }],
        [bus(), { detailType: "row", value: { a: 1 } }],
        [firehoseSink<any>({ deliveryStream: "d", format: ndjson() }), { value: { a: 1 } }],
        [lambdaSink<any>({ function: "f" }), { value: { a: 1 } }],
        [http({ path: () => "/x", url: "https://example.com" }), { path: "/x", value: { a: 1 } }],
        [kinesisSink<any>({ stream: "s", partitionKey: () => "k", format: json() }), { partitionKey: "k", value: { a: 1 } }],
        [dynamodb<any>({ table: "tab", key: ["a"] }), { put: { a: 1 } }],
      ];
      for (const [sink, expected] of sinks) {
        const effects = effectsOf(sink, [{ rows: [{ a: 1 }] }]).flat();
        await openLocal(sink, directory).carryOut(effects);
        await openLocal(sink, directory, new Map([[sink.name, ["bound"]]])).carryOut(effects);
        const [line, ...more] = await linesIn(join(directory, sink.name));
        const { version, id, ...rest } = line;
        assert.deepEqual([rest, more], [expected, []], sink.kind);
        assert.deepEqual([typeof version, typeof id], ["string", "string"]);
        assert.deepEqual(await linesIn(join(directory, "bound")), [line]);
        assert.deepEqual(await readdir(join(directory, "bound")), ["out.g1-g1.count~0.ndjson"]);
        await truncate(join(directory, "bound", "out.g1-g1.count~0.ndjson"));
      }
    }));

  it("a line is there once, whatever crashes and wherever a write was torn", () =>
    withDirectory(async (directory) => {
      let runs = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.nat({ max: 5 }), fc.nat({ max: 60 })), { minLength: 1, maxLength: 5 }),
          fc.infiniteStream(fc.nat()),
          async (commits, choices) => {
            const choose = (below: number) => (choices.next().value as number) % below;
            const place = join(directory, `run-${++runs}`);
            const sink = sqs({ queue: "q" });
            let n = 0;
            const all = effectsOf(
              sink,
              commits.map(([rows, length]) => ({
                rows: Array.from({ length: rows }, () => ({ n: n++, text: "y".repeat(length) })),
              })),
            );
            let process = openLocal(sink, place);
            for (const effects of all) {
              if (choose(2) === 0) await process.carryOut(effects);
              if (choose(2) === 0) {
                process = openLocal(sink, place);
                const file = join(place, "q", "out.g1-g1.count~0.ndjson");
                const torn = `{"version":"99999999999999999999999999","torn`.slice(0, choose(40));
                if (effects.length > 0 && (await readdir(place).catch(() => [])).length > 0) await appendFile(file, torn);
              }
              await process.carryOut(effects);
            }
            if (n > 0)
              assert.deepEqual(
                (await linesIn(join(place, "q"))).map(({ value }) => value.n),
                Array.from({ length: n }, (_, i) => i),
              );
          },
        ),
        { numRuns: 60 },
      );
    }));

  it("lines longer than what is looked at first are found again", () =>
    withDirectory(async (directory) => {
      const sink = sqs();
      const effects = effectsOf(sink, [{ rows: ["a", "x".repeat(200_000)] }, { rows: ["b"] }]).flat();
      for (const effect of effects) for (let times = 0; times < 2; times++) await openLocal(sink, directory).carryOut([effect]);
      assert.deepEqual(
        (await linesIn(join(directory, "q"))).map(({ value }) => value.length),
        [1, 200_000, 1],
      );
    }));

  it("lines go to the console where a name is bound to -", () =>
    withDirectory(async (directory) => {
      let printed = "";
      const console = new Writable({ write: (chunk, _encoding, done) => ((printed += String(chunk)), done()) });
      const { carryOut } = openLocal(sqs(), directory, new Map([["q", ["-"]]]), console);
      const effects = effectsOf(sqs(), [{ rows: [{ a: 1 }, { a: 2 }] }]).flat();
      for (let times = 0; times < 2; times++) await carryOut(effects);
      assert.deepEqual(
        printed
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line).value),
        [{ a: 1 }, { a: 2 }],
      );
    }));

  it("requests leave where an endpoint is bound to a URL, and what is refused goes to the dead letters", () =>
    withDirectory(async (directory) => {
      const receiver = await startReceiver();
      try {
        const sink = http({
          url: "https://never.example.com",
          path: ({ user }) => `/users/${user}?v=1`,
          headers: async () => ({ authorization: "Bearer secret" }),
        });
        receiver.fates.entry = ({ user }) => (user === "bad" ? "refuse" : "take");
        const { carryOut } = openLocal(sink, directory, new Map([["e", [`${receiver.endpoint}/base?k=2`]]]));
        await carryOut(effectsOf(sink, [{ rows: [{ user: "a" }, { user: "bad" }] }]).flat());
        const [{ value, id: key, with: request } = assert.fail("nothing came")] = receiver.taken;
        assert.deepEqual([value, request.method, request.url], [{ user: "a" }, "POST", "/base/users/a?k=2&v=1"]);
        assert.equal(request.headers.authorization, "Bearer secret");
        assert.equal(request.headers["content-type"], "application/json");
        assert.equal(key, "job/1/g1.count~0/1/0/0");
        assert.deepEqual(await readdir(join(directory, "dead-letters")), ["g1-g1.count~0-00000001.1.ndjson"]);
        const [letter] = await linesIn(join(directory, "dead-letters"));
        assert.deepEqual([letter.reason, letter.text], ["the receiver answered 422", '{"user":"bad"}']);
      } finally {
        await receiver.stop();
      }
    }));
});
