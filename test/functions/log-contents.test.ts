/**
 * T1: whatever goes wrong with a record, nothing that it contains is logged or thrown out of a handler, where Lambda would log it: not its
 * value, its key, its partition key, its state, the row that was made of it, nor what a function of the job says of it. All of that is in the
 * dead letters, or in the stream.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createTable } from "../../emulator/cloud/create-table.ts";
import { openSinks } from "../../functions/open-sinks.ts";
import {
  defineJob,
  dynamodb,
  type Job,
  json,
  keyedProcess,
  kinesis,
  seconds,
  type Sink,
  type,
  value,
} from "../../runtime/index.ts";
import { newJob } from "../aws/stand-ins.ts";
import { bytesOf } from "../ports/adapter-maker.ts";
import { type Cloud, rowSink, startCloud } from "./cloud.ts";

const stream = "people";
const secret = "SECRET";

/** What goes wrong with each: where its `trouble` says. */
const troubles = ["none", "timestamp", "filter", "key", "state", "emit", "timer", "row", "large row"] as const;
type Trouble = (typeof troubles)[number];

interface Person {
  readonly name: string;
  readonly trouble: Trouble;
}

const complain = (person: unknown): never => {
  throw new Error(`cannot take ${JSON.stringify(person)}`);
};

const greeting = keyedProcess({
  key: type<string>(),
  state: { last: value<unknown>() },
  output: type<Record<string, unknown>>(),
  onRecord(person: Person, ctx) {
    if (person.trouble === "state") ctx.state.last.set(() => person);
    if (person.trouble === "emit") complain(person);
    if (person.trouble === "timer") ctx.timers.processingTime(ctx.processingTime + 1_000);
    const id = person.trouble === "row" ? Number.NaN : ctx.key;
    ctx.emit({ id, name: person.name, ...(person.trouble === "large row" && { text: person.name.repeat(100_000) }) });
  },
  onTimer(_, ctx) {
    complain(ctx.key);
  },
});

function jobOf(name: string, onUserError: "fail" | "deadLetter", sink: Sink<any>): Job {
  return defineJob(
    name,
    (job) => {
      job
        .source("people", kinesis({ stream, format: json(type<Person>()) }), {
          timestamps: (person) => (person.trouble === "timestamp" ? complain(person) : 0),
        })
        .filter("adults", (person) => person.trouble !== "filter" || complain(person))
        .keyBy((person) => (person.trouble === "key" ? ({ ...person } as never) : person.name))
        .process("greeting", greeting)
        .sinkTo("rows", sink);
    },
    { checkpoints: { interval: seconds(60) }, onUserError },
  );
}

async function put(cloud: Cloud, ...texts: readonly string[]): Promise<void> {
  const { range } = (await cloud.log.shards(stream))[0]!;
  await cloud.log.append(
    stream,
    texts.map((text) => ({ hashKey: range.from, bytes: bytesOf(text) })),
  );
}

const personOf = (trouble: Trouble) => JSON.stringify({ name: `${secret} ${trouble}`, trouble } satisfies Person);

/** Everything that was logged, and everything that handlers threw, as Lambda writes it. */
function written(cloud: Cloud): string {
  const textOf = (error: unknown): string =>
    error instanceof Error ? `${error.name} ${error.message} ${error.stack} ${textOf(error.cause)}` : String(error);
  const lines = cloud.telemetry.lines.map((line) => JSON.stringify(line));
  return [...lines, ...cloud.failures.map(textOf)].join("\n");
}

/** Some looks and deliveries, whatever they come to; when all `isThere` a few more of each, and no minute of them. */
async function goOn(cloud: Cloud, isThere: () => boolean, rounds = 4): Promise<void> {
  for (let n = 0; n < rounds; n++) {
    await cloud.lookUntil(isThere).catch((error: Error) => cloud.failures.push(error));
    await cloud.deliver();
    cloud.clock.advance(20_000);
  }
}

describe("what is logged", () => {
  test("says nothing of records that go to the dead letters, which say it all", async () => {
    const name = newJob();
    const table = `rows-${name}`;
    const letters: string[] = [];
    const cloud = await startCloud({
      job: jobOf(name, "deadLetter", dynamodb({ table, key: ["id"] })),
      streams: { [stream]: 1 },
      maxAttempts: 1,
      parts: {
        openSinks: (options) => {
          const sinks = openSinks(options);
          return {
            check: () => sinks.check?.() ?? Promise.resolve(),
            carryOut: (effect) => sinks.carryOut(effect),
            quarantine: (...args) => sinks.quarantine(...args),
            deadLetters: async (batch) => {
              letters.push(...batch.letters.map(({ bytes, reason }) => `${Buffer.from(bytes).toString()} ${reason}`));
              await sinks.deadLetters(batch);
            },
          };
        },
      },
    });
    await createTable(cloud.clients.dynamodb, table, { partitionKey: { name: "id", type: "S" } });
    await put(cloud, ...troubles.map(personOf), `{"name": "${secret}"`, `${secret} is no JSON`);
    const expected = [...troubles.filter((trouble) => trouble !== "none"), "is no JSON"];
    await goOn(cloud, () => new Set(letters).size > expected.length, 6);
    for (const trouble of expected)
      assert.ok(
        letters.some((letter) => letter.includes(`${secret} ${trouble}`)),
        trouble,
      );
    assert.equal(new Set(letters).size, expected.length + 1, "letters are effects, which may be repeated");
    assert.ok(!written(cloud).includes(secret), written(cloud));
  });

  for (const trouble of ["filter", "emit", "timer"] as const)
    test(`names the operator of a job that stops at it, and no more: ${trouble}`, async () => {
      const cloud = await startCloud({
        job: jobOf(newJob(), "fail", rowSink),
        streams: { [stream]: 1 },
        maxAttempts: 1,
      });
      await put(cloud, personOf("none"), personOf(trouble));
      const named = /Millrace\.user a function of the job threw: (adults|greeting)/;
      await goOn(cloud, () => named.test(written(cloud)));
      const text = written(cloud);
      assert.match(text, named);
      assert.ok(!text.includes(secret), text);
    });
});
