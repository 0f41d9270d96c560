/** Sinks that push: queues, topics, buses, delivery streams, functions, HTTP. One contract for all, against what stands in for each. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { startMessaging } from "../../emulator/messaging/start-messaging.ts";
import { EventBridgeChannel } from "../../runtime/adapters/aws/event-bridge-channel.ts";
import { FirehoseChannel } from "../../runtime/adapters/aws/firehose-channel.ts";
import { LambdaChannel } from "../../runtime/adapters/aws/lambda-channel.ts";
import { lazyClients } from "../../runtime/adapters/aws/lazy-clients.ts";
import { SnsChannel } from "../../runtime/adapters/aws/sns-channel.ts";
import { SqsChannel } from "../../runtime/adapters/aws/sqs-channel.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import type { Sink } from "../../runtime/api/connector.ts";
import { HttpChannel } from "../../runtime/connectors/http/http-channel.ts";
import type { HttpSink } from "../../runtime/connectors/http/http-sink.ts";
import { type MessageChannel, MessageTarget } from "../../runtime/connectors/messages/message-target.ts";
import { eventBridgeSink, firehoseSink, httpSink, json, lambdaSink, ndjson, snsSink, sqsSink } from "../../runtime/index.ts";
import type { DeadLetterBatch, SinkEffect } from "../../runtime/ports/sink-driver.ts";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { faultyClient } from "./faulty-client.ts";
import {
  allWell,
  type Fake,
  type Fates,
  startEventBridge,
  startFirehose,
  startLambda,
  startReceiver,
  type Taken,
} from "./service-fakes.ts";
import { effectsOf, failsAs, operator } from "./sinks.ts";
import { HastyClock, patientHandler } from "./stand-ins.ts";

interface Row {
  readonly user: string;
  readonly n: number;
}

/** A receiver of its own, and the way to it. */
interface Place {
  readonly channel: MessageChannel;
  fates: Fates;
  taken(): Promise<readonly Taken[]>;
  requests(): number;
}

interface Kind {
  sinkOf(idOf?: (row: Row) => string): Sink<Row>;
  placeOf(sink: Sink<Row>): Promise<Place>;
  /** What the receiver takes for the same: "id": by the message's id; "dedup": and it does so itself, for 5 minutes. */
  readonly ids: "none" | "id" | "dedup";
  /** Which rows stay in order. */
  readonly order: "none" | "user" | "all";
  /** Messages of one request. */
  readonly batch: number;
  readonly refuses: boolean;
}

const credentials = { accessKeyId: "x", secretAccessKey: "y" };
const messaging = await startMessaging();
const started: { stop(): Promise<void> }[] = [messaging];
after(() => Promise.all(started.map((each) => each.stop())));

const clientsAt = (endpoint: string) =>
  lazyClients({ endpoint, region: "us-east-1", credentials, maxAttempts: 1, requestHandler: patientHandler() });
const clients = clientsAt(messaging.endpoint);
let names = 0;

async function sqsPlace(sink: Sink<Row>, fifo: boolean): Promise<Place> {
  const name = `queue-${++names}${fifo ? ".fifo" : ""}`;
  messaging.createQueue(name);
  let requests = 0;
  const place: Place = {
    channel: new SqsChannel(name, sink.options as any, async () => {
      const { sdk, client } = await clients.sqs();
      return {
        sdk,
        client: faultyClient(
          client,
          () => place.fates,
          () => requests++,
        ),
      };
    }),
    fates: allWell(),
    requests: () => requests,
    taken: async () => received(name),
  };
  return place;
}

async function snsPlace(sink: Sink<Row>, fifo: boolean): Promise<Place> {
  const name = `topic-${++names}${fifo ? ".fifo" : ""}`;
  const { arn } = messaging.createTopic(name);
  messaging.createQueue(name);
  messaging.subscribe(name, name);
  let requests = 0;
  const place: Place = {
    channel: new SnsChannel(arn, sink.options as any, async () => {
      const { sdk, client } = await clients.sns();
      return {
        sdk,
        client: faultyClient(
          client,
          () => place.fates,
          () => requests++,
        ),
      };
    }),
    fates: allWell(),
    requests: () => requests,
    taken: async () => received(name),
  };
  return place;
}

function received(queue: string): readonly Taken[] {
  return messaging.messagesIn(queue)!.map((message) => ({
    value: JSON.parse(message.body),
    id: message.attributes["millrace-id"],
    group: message.group,
    with: message,
  }));
}

async function fakePlace(starting: Promise<Fake>, channelOf: (fake: Fake) => MessageChannel): Promise<Place> {
  const fake = await starting;
  started.push(fake);
  return {
    channel: channelOf(fake),
    get fates() {
      return fake.fates;
    },
    set fates(fates) {
      fake.fates = fates;
    },
    requests: () => fake.requests,
    taken: async () => fake.taken,
  };
}

const withId = (idOf: ((row: Row) => string) | undefined) => (idOf === undefined ? {} : { id: idOf });
const kinds: Readonly<Record<string, Kind>> = {
  "a queue": {
    sinkOf: (idOf) => sqsSink<Row>({ queue: "q", format: ndjson(), ...(idOf && { deduplicationId: idOf }) }),
    placeOf: (sink) => sqsPlace(sink, false),
    ids: "id",
    order: "none",
    batch: 10,
    refuses: true,
  },
  "a FIFO queue": {
    sinkOf: (idOf) =>
      sqsSink<Row>({ queue: "q", format: json(), messageGroup: ({ user }) => user, ...(idOf && { deduplicationId: idOf }) }),
    placeOf: (sink) => sqsPlace(sink, true),
    ids: "dedup",
    order: "user",
    batch: 10,
    refuses: true,
  },
  "a topic": {
    sinkOf: (idOf) => snsSink<Row>({ topic: "t", format: json(), ...(idOf && { deduplicationId: idOf }) }),
    placeOf: (sink) => snsPlace(sink, false),
    ids: "id",
    order: "none",
    batch: 10,
    refuses: true,
  },
  "a FIFO topic": {
    sinkOf: (idOf) =>
      snsSink<Row>({ topic: "t", format: json(), messageGroup: ({ user }) => user, ...(idOf && { deduplicationId: idOf }) }),
    placeOf: (sink) => snsPlace(sink, true),
    ids: "dedup",
    order: "user",
    batch: 10,
    refuses: true,
  },
  "an event bus": {
    sinkOf: (idOf) => eventBridgeSink<Row>({ bus: "bus", source: "shop", detailType: "row", ...withId(idOf) }),
    placeOf: (sink) =>
      fakePlace(
        startEventBridge(),
        (fake) => new EventBridgeChannel("bus", sink.options as any, clientsAt(fake.endpoint).eventBridge),
      ),
    ids: "id",
    order: "none",
    batch: 10,
    refuses: true,
  },
  "a delivery stream": {
    sinkOf: () => firehoseSink<Row>({ deliveryStream: "stream", format: ndjson() }),
    placeOf: () => fakePlace(startFirehose(), (fake) => new FirehoseChannel("stream", clientsAt(fake.endpoint).firehose)),
    ids: "none",
    order: "none",
    batch: 500,
    refuses: false,
  },
  "a function that is waited for": {
    sinkOf: (idOf) => lambdaSink<Row>({ function: "function", rowsPerEvent: 7, ...withId(idOf) }),
    placeOf: (sink) =>
      fakePlace(startLambda(), (fake) => new LambdaChannel("function", sink.options as any, clientsAt(fake.endpoint).lambda)),
    ids: "id",
    order: "all",
    batch: 7,
    refuses: false,
  },
  "a function that is not waited for": {
    sinkOf: (idOf) => lambdaSink<Row>({ function: "function", invocation: "event", ...withId(idOf) }),
    placeOf: (sink) =>
      fakePlace(startLambda(), (fake) => new LambdaChannel("function", sink.options as any, clientsAt(fake.endpoint).lambda)),
    ids: "id",
    order: "none",
    batch: 100,
    refuses: false,
  },
  "an endpoint of HTTP": {
    sinkOf: (idOf) =>
      httpSink<Row>({ endpoint: "e", format: json(), orderBy: ({ user }) => user, ...(idOf && { idempotencyKey: idOf }) }),
    placeOf: (sink) =>
      fakePlace(
        startReceiver(),
        (fake) => new HttpChannel(fake.endpoint, sink.options as any, (sink as HttpSink<Row>).functions),
      ),
    ids: "id",
    order: "user",
    batch: 1,
    refuses: true,
  },
};

/** A process that delivers: another has the same ids, and knows nothing of what this one did. */
function open({ channel }: Place) {
  const letters: DeadLetterBatch[] = [];
  const telemetry = new MemoryTelemetry();
  const target = new MessageTarget({
    job: "job",
    operator,
    channel,
    pace: { clock: new HastyClock(), random: () => 0.5 },
    telemetry,
    deadLetters: { write: async (batch) => void letters.push(batch) },
  });
  const carryOut = async (effects: readonly SinkEffect[]) => {
    for (const effect of effects) await target.carryOut(effect);
  };
  return { target, letters, telemetry, carryOut };
}

const rowsOf = (count: number, users = 3): Row[] => Array.from({ length: count }, (_, n) => ({ user: `user-${n % users}`, n }));
const numbers = (taken: readonly Taken[]) => taken.map(({ value }) => (value as Row).n);
const sorted = (list: readonly number[]) => list.toSorted((a, b) => a - b);
const unique = (list: readonly number[]) => sorted([...new Set(list)]);

/** As a receiver that leaves out what it has sees it. */
function once(taken: readonly Taken[]): readonly Taken[] {
  const seen = new Set<string | undefined>();
  return taken.filter(({ id }) => !seen.has(id) && seen.add(id));
}

function assertInOrder(kind: Kind, taken: readonly Taken[]): void {
  if (kind.order === "none") return;
  const lanes = new Map<string, number[]>();
  for (const { value } of once(taken)) {
    const { user, n } = value as Row;
    const lane = kind.order === "all" ? "" : user;
    lanes.set(lane, [...(lanes.get(lane) ?? []), n]);
  }
  for (const lane of lanes.values()) assert.deepEqual(lane, sorted(lane));
}

for (const [name, kind] of Object.entries(kinds))
  describe(`aws: ${name} as a sink`, () => {
    it("is given every row, in requests of many, and no row twice by the process that gave it", async () => {
      const sink = kind.sinkOf();
      const place = await kind.placeOf(sink);
      const rows = rowsOf(40, 40);
      const effects = effectsOf(sink, [{ rows: rows.slice(0, 25) }, { rows: rows.slice(25) }]).flat();
      const { carryOut, letters, target } = open(place);
      await target.check();
      const before = place.requests();
      for (let times = 0; times < 2; times++) await carryOut(effects);
      const taken = await place.taken();
      assert.deepEqual(sorted(numbers(taken)), sorted(numbers(rows.map((value) => ({ value, id: "", with: "" })))));
      assert.equal(place.requests() - before, Math.ceil(25 / kind.batch) + Math.ceil(15 / kind.batch));
      assert.deepEqual(letters, []);
      assertInOrder(kind, taken);
      if (kind.ids !== "none") assert.equal(new Set(taken.map(({ id }) => id)).size, 40);
    });

    it("is given the same ids by another process, and after a restore others, or the rows' own", async () => {
      const sink = kind.sinkOf();
      const place = await kind.placeOf(sink);
      const rows = rowsOf(6);
      const effects = effectsOf(sink, [{ rows }]).flat();
      for (let times = 0; times < 2; times++) await open(place).carryOut(effects);
      const taken = await place.taken();
      assert.equal(taken.length, kind.ids === "dedup" ? 6 : 12);
      if (kind.ids === "none") return;
      assert.deepEqual(sorted(numbers(once(taken))), [0, 1, 2, 3, 4, 5]);
      const { carryOut, target } = open(place);
      await target.quarantine();
      await carryOut(effectsOf(sink, [{ rows }], { generation: 2 }).flat());
      assert.equal(once(await place.taken()).length, 12, "nothing is taken back, and nothing known again");
      const own = kind.sinkOf(({ user, n }) => `${user}:${n}`);
      const other = await kind.placeOf(own);
      for (const generation of [1, 2]) await open(other).carryOut(effectsOf(own, [{ rows }], { generation }).flat());
      assert.equal((await other.taken()).length, kind.ids === "dedup" ? 6 : 12);
      assert.equal(once(await other.taken()).length, 6);
    });

    it("is given again what it leaves out, at random and for long, and nothing overtakes it", async () => {
      const sink = kind.sinkOf();
      const place = await kind.placeOf(sink);
      const random = new SeededRandom(7);
      if (name !== "a function that is not waited for")
        place.fates = {
          request: () => (random.chance(0.2) ? "throttle" : "pass"),
          entry: () => (random.chance(0.4) ? "again" : "take"),
        };
      const { carryOut, telemetry } = open(place);
      const rows = rowsOf(30, 2);
      const effects = effectsOf(sink, [{ rows: rows.slice(0, 20) }, { rows: rows.slice(20) }]).flat();
      for (let times = 0; ; times++) {
        try {
          await carryOut(effects);
          break;
        } catch (error) {
          assert.ok(times < 20 && failsAs("unavailable", /tried again/)(error), String(error));
        }
      }
      const taken = await place.taken();
      assert.deepEqual(sorted(numbers(taken)), sorted(rows.map(({ n }) => n)), "each once");
      assertInOrder(kind, taken);
      assert.equal(telemetry.total("sink.messages"), 30);
    });

    it("holds the task up while it takes nothing, and goes on where it stopped", async () => {
      const sink = kind.sinkOf();
      const place = await kind.placeOf(sink);
      const { carryOut } = open(place);
      const effects = effectsOf(sink, [{ rows: rowsOf(5) }]).flat();
      place.fates = { ...allWell(), request: () => "throttle" };
      await assert.rejects(carryOut(effects), failsAs("unavailable", /tried again.*5 messages/));
      if (name !== "a function that is not waited for") {
        place.fates = { ...allWell(), entry: ({ n }: Row) => (n < 2 ? "take" : "again") };
        await assert.rejects(carryOut(effects), failsAs("unavailable", /tried again.*3 messages/));
      }
      if (name !== "an endpoint of HTTP") {
        place.fates = { ...allWell(), request: () => "deny" };
        await assert.rejects(carryOut(effects), failsAs("invalid", /no permission/));
      }
      place.fates = allWell();
      await carryOut(effects);
      assert.deepEqual(sorted(numbers(await place.taken())), [0, 1, 2, 3, 4]);
    });

    it("has each row whatever crashes, is repeated by zombies, or loses its answer", async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.nat({ max: 4 }), { minLength: 1, maxLength: 4 }),
          fc.infiniteStream(fc.nat()),
          async (counts, choices) => {
            const choose = (below: number) => (choices.next().value as number) % below;
            const sink = kind.sinkOf();
            const place = await kind.placeOf(sink);
            let next = 0;
            const commits = effectsOf(
              sink,
              counts.map((count) => ({ rows: Array.from({ length: count }, () => ({ user: `user-${next % 2}`, n: next++ })) })),
            );
            const past: SinkEffect[] = [];
            const attempt = async (by: ReturnType<typeof open>, effects: readonly SinkEffect[]) => {
              place.fates = { ...allWell(), request: () => (choose(4) === 0 ? "lose" : "pass") };
              try {
                await by.carryOut(effects);
              } catch (error) {
                assert.ok(failsAs("unavailable", /./)(error), String(error));
              }
              place.fates = allWell();
            };
            let process = open(place);
            for (const effects of commits) {
              // Dies anywhere, and the next one carries out all of the commit's effects (R5).
              for (let lives = choose(3); lives > 0; lives--) {
                await attempt(process, effects);
                if (choose(2) === 0) process = open(place);
              }
              await process.carryOut(effects);
              past.push(...effects);
              if (past.length > 0 && choose(3) === 0) await attempt(open(place), [past[choose(past.length)]!]);
            }
            const taken = await place.taken();
            assert.deepEqual(
              unique(numbers(taken)),
              Array.from({ length: next }, (_, n) => n),
            );
            if (kind.ids !== "none") assert.equal(once(taken).length, next);
            if (kind.ids === "dedup") assert.equal(taken.length, next);
            assertInOrder(kind, taken);
          },
        ),
        { numRuns: 8 },
      );
    });

    if (kind.refuses)
      it("has what it refuses for good in the dead letters, and all else", async () => {
        const sink = kind.sinkOf();
        const place = await kind.placeOf(sink);
        const { carryOut, letters, telemetry } = open(place);
        const poison = ({ n }: Row) => n % 5 === 2;
        place.fates = { ...allWell(), entry: (row: Row) => (poison(row) ? "refuse" : "take") };
        const rows = rowsOf(12);
        const effects = effectsOf(sink, [{ rows }]).flat();
        await carryOut(effects);
        assert.deepEqual(
          sorted(numbers(await place.taken())),
          rows.filter((row) => !poison(row)).map(({ n }) => n),
        );
        assert.equal(letters.length, 1);
        const { letters: kept, effect, seq, generation } = letters[0]!;
        assert.deepEqual([generation, seq, effect], [1, 1, effects[0]!.n]);
        assert.deepEqual(
          kept.map(({ bytes }) => (JSON.parse(Buffer.from(bytes).toString()) as Row).n),
          [2, 7],
        );
        assert.ok(
          kept.every(
            ({ reason, position }) =>
              /InvalidMessageContents: never|MalformedDetail|answered 422/.test(reason) && position !== "",
          ),
        );
        assert.equal(telemetry.total("turn.deadLetters"), 2);
        assertInOrder(kind, await place.taken());
      });
  });
