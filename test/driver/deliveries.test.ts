/** L14 of what comes without positions: a queue's message that kills is found among those that come and go, and goes to the dead letters. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { boundedOutOfOrderness, hours, type Job, type } from "../../runtime/index.ts";
import type { SourceRecord } from "../../runtime/api/connector.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import { encodeValue } from "../../runtime/base/message-pack.ts";
import { id, type ShardId, type TaskId } from "../../runtime/base/ids.ts";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { BroughtReader } from "../../runtime/connectors/brought/brought-reader.ts";
import { queueReading } from "../../runtime/connectors/sqs/sqs.ts";
import { decideDeliveries } from "../../runtime/driver/decide-deliveries.ts";
import type { Doorbell, TurnOutcome } from "../../runtime/driver/doorbell.ts";
import { defaultEnvironment } from "../../runtime/driver/environment-options.ts";
import { deliveriesMessage } from "../../runtime/snapshots/names.ts";
import { without } from "../../runtime/task/safeguards.ts";
import { harness, type RunningHarness } from "../../runtime/testing/harness.ts";
import type { HarnessRecord } from "../../runtime/testing/harness-source.ts";
import { type Event, event, pipeline } from "../operators/pipeline.ts";
import { counting, deadly } from "./deadly-job.ts";
import { Mortals } from "./mortal.ts";

const task = id<TaskId>("g1.in~all");
const shard = id<ShardId>("shard-0");

interface Message {
  readonly id: string;
  readonly n: number;
  readonly group?: string;
  times: number;
}

/** As the harness knows records, in the form that a function gives them. */
function recordOf({ id: own, n, group, times }: Message): SourceRecord {
  const brought = event(`k${n % 7}`, 0, n);
  const bytes = Buffer.from(JSON.stringify(brought));
  const asHarness = { timestamp: undefined, steers: false, value: () => brought } as unknown as HarnessRecord;
  return { ...asHarness, position: "0", partitionKey: own, arrivalTime: 0, bytes, delivery: { id: own, times, group } };
}

function messages(count: number, poison: readonly number[], groups = 0): Message[] {
  return Array.from({ length: count }, (_, n) => ({
    id: `m${n}`,
    n: poison.includes(n) ? deadly : n,
    ...(groups > 0 && { group: `g${n % groups}` }),
    times: 0,
  }));
}

async function start(mortals: Mortals, onUserError: "fail" | "deadLetter" = "deadLetter") {
  const job = pipeline((events) => events.keyBy(({ key }) => key as string).process("count", counting(mortals)), { onUserError });
  return startJob(job);
}

/** The source is a queue: what the harness's own holds is not read, but asked for times of its own, of which there are none. */
async function startJob(job: Job): Promise<RunningHarness> {
  const reader = new BroughtReader({ ...queueReading("in"), shards: [shard] });
  const run = (await harness(job, { wrapPorts: (ports) => ({ ...ports, source: () => reader }) })) as RunningHarness;
  run.enqueue("in", ...Array.from({ length: 5_000 }, () => ({ value: null })));
  return run;
}

function bellOf(records: readonly SourceRecord[]): Doorbell {
  return { kind: "records", source: "in", shard: shard, records };
}

/** A queue whose batches come one after the other; what a batch leaves comes again when nobody can be at it any more. */
class Queue {
  waiting: Message[];
  /** What was taken in, in its order. */
  readonly taken: Message[] = [];
  rounds = 0;
  private readonly run: RunningHarness;
  private readonly random: SeededRandom | undefined;
  private readonly batchMax: number;

  constructor(run: RunningHarness, waiting: Message[], batchMax: number, random?: SeededRandom) {
    this.run = run;
    this.waiting = waiting;
    this.batchMax = batchMax;
    this.random = random;
  }

  /** Messages of groups in their order; others in any. */
  next(): readonly Message[] {
    const order = this.waiting.some(({ group }) => group !== undefined) ? this.waiting : this.random?.shuffled(this.waiting);
    const batch = (order ?? this.waiting).slice(0, this.batchMax);
    for (const message of batch) message.times++;
    return batch;
  }

  async bring(turn: (bell: Doorbell) => Promise<TurnOutcome | "died">): Promise<void> {
    this.rounds++;
    const batch = this.next();
    const outcome = await turn(bellOf(batch.map(recordOf)));
    this.run.clock.set(this.run.clock.now() + defaultEnvironment.invocationMsMax + 1);
    if (outcome === "died") return;
    assert.ok(outcome.outcome === "done");
    const left = new Set(outcome.left);
    const done = batch.filter((message) => !left.has(message.id));
    this.taken.push(...done);
    this.waiting = this.waiting.filter((message) => !done.includes(message));
  }

  async drain(mortals: Mortals, roundsMax = 300): Promise<void> {
    while (this.waiting.length > 0 && this.rounds < roundsMax) await this.bring((bell) => mortals.turn(this.run, bell));
    assert.equal(this.waiting.length, 0, `${this.waiting.length} messages are left after ${roundsMax} batches`);
  }
}

const sorted = (ns: readonly unknown[]) => [...ns].sort((a, b) => Number(a) - Number(b));

/** What must be left behind of it: nothing. */
async function mailbox(run: RunningHarness): Promise<readonly string[]> {
  const { messages: found } = await run.ports.journal.tail(task, "head");
  return found.map(({ name }) => name).filter((name) => /^(deliveries|attempt)\/in /.test(name));
}

describe("L14 a message that kills the environment", () => {
  for (const [size, place] of [
    [1, 0],
    [2, 1],
    [10, 0],
    [10, 7],
    [300, 299],
  ] as const)
    // prettier-ignore
    test(`at ${place} of ${size} goes to the dead letters, the others come out once`, async () => {
      const mortals = new Mortals();
      const run = await start(mortals);
      const queue = new Queue(run, messages(size, [place]), size);
      await queue.drain(mortals);
      const others = messages(size, [place]).filter(({ n }) => n !== deadly);
      assert.deepEqual(sorted(run.output("out")), sorted(others.map(({ n }) => n)));
      const [letter, ...more] = run.deadLetters();
      assert.equal(more.length, 0);
      assert.deepEqual(JSON.parse(Buffer.from(letter!.bytes).toString()), event(`k${deadly % 7}`, 0, deadly));
      assert.match(letter!.reason, new RegExp(`record shard-0 m${place} has killed the environment \\d+ times`));
      assert.ok(mortals.deaths <= 3 + Math.ceil(Math.log2(size)) + 2, `found after ${mortals.deaths} deaths`);
      assert.deepEqual(await mailbox(run), []);
    });

  for (let seed = 1; seed <= 12; seed++)
    test(`among batches of other messages, in other orders, which get on in the same environments: seed ${seed}`, async () => {
      const random = new SeededRandom(seed);
      const mortals = new Mortals();
      const run = await start(mortals);
      const groups = seed % 2 === 0 ? 0 : random.between(1, 6);
      const all = messages(60, [random.int(60), random.int(60), random.int(60)], groups);
      const queue = new Queue(run, [...all], random.between(1, 15), random);
      const proven = run.environment("proven");
      let n = 100;
      for (let rounds = 0; queue.waiting.length > 0 && rounds < 300; rounds++) {
        const fresh = recordOf({ id: `x${n}`, n: n++, times: 1 });
        const turn = (bell: Doorbell) => (random.chance(0.5) ? mortals.turn(run, bell) : proven.turn(bell));
        await turn(bellOf([fresh]));
        await queue.bring((bell) => mortals.turn(run, bell));
      }
      assert.equal(queue.waiting.length, 0);
      const alive = all.filter((message) => message.n !== deadly).map((message) => message.n);
      const found = run.output<number>("out").filter((one) => one < 100);
      assert.deepEqual(sorted([...new Set(found)]), sorted(alive), "nothing is lost");
      const poisoned = all.filter((message) => message.n === deadly).map((message) => message.id);
      const letters = run.deadLetters().map(({ reason }) => /record shard-0 (\S+)/.exec(reason)?.[1]);
      assert.deepEqual([...letters].sort(), [...poisoned].sort());
      assert.deepEqual(await mailbox(run), []);
      for (let group = 0; group < groups; group++) {
        const order = queue.taken
          .filter((message) => message.group === `g${group}`)
          .map((message) => Number(message.id.slice(1)));
        assert.deepEqual(order, sorted(order), `the order of group ${group}`);
        const firsts = found.filter((one, at) => found.indexOf(one) === at && one % groups === group);
        assert.deepEqual(firsts, sorted(firsts), `the order in which group ${group} comes out`);
      }
    });

  test("stops a job whose policy is to fail, and says which message it is", async () => {
    const mortals = new Mortals();
    const run = await start(mortals, "fail");
    const queue = new Queue(run, messages(8, [5]), 8);
    await assert.rejects(queue.drain(mortals), {
      kind: "user",
      message: /record shard-0 m5 has killed the environment \d+ times/,
    });
    assert.deepEqual(run.deadLetters(), []);
  });

  test("kills for ever without the count", async () => {
    const mortals = new Mortals({ safeguards: without("L14") });
    const queue = new Queue(await start(mortals), messages(4, [2]), 4);
    await assert.rejects(queue.drain(mortals, 60), /left after 60 batches/);
  });

  test("by a timer that any message fires: the timer goes to the dead letters, no message does", async () => {
    const mortals = new Mortals();
    const job = pipeline(
      (events) =>
        events
          .keyBy(({ key }) => key as string)
          .process("later", {
            output: type<unknown>(),
            onRecord: ({ n = 0 }: Event, ctx) => {
              if (n === 0) ctx.timers.eventTime(5_000);
              ctx.emit(n);
            },
            onTimer: () => mortals.die(),
          }),
      { watermarks: boundedOutOfOrderness(hours(0)) },
    );
    const run = await startJob(job);
    // Each stands later in event time than the one before.
    const all = messages(30, []).map((message) => ({ ...message, group: "one" }));
    const at = ({ n }: Message) => n * 1_000;
    const queue = new Queue(run, all, 5);
    const timed = (bell: Doorbell) => {
      assert.ok(bell.kind === "records");
      const records = bell.records.map((record) => {
        const message = all.find((one) => one.id === record.delivery!.id)!;
        return { ...record, value: () => event("k", at(message), message.n) };
      });
      return mortals.turn(run, { ...bell, records });
    };
    for (let rounds = 0; queue.waiting.length > 0 && rounds < 100; rounds++) await queue.bring(timed);
    assert.deepEqual(sorted([...new Set(run.output("out"))]), sorted(all.map(({ n }) => n)));
    assert.deepEqual(
      run.deadLetters().map(({ shard, position }) => [shard, position]),
      [["timer of later", "5000"]],
    );
    assert.deepEqual(await mailbox(run), []);
  });
});

describe("L14 what is no poison among deliveries", () => {
  test("costs nothing the first two times that it comes, and then a message that is taken back", async () => {
    const posted: string[] = [];
    const run = await start(new Mortals());
    const { journal } = run.ports;
    const post = journal.post.bind(journal);
    journal.post = async (to, message) => {
      posted.push(message.name);
      return post(to, message);
    };
    const environment = run.environment("one");
    for (const times of [1, 2, 40]) await environment.turn(bellOf([recordOf({ id: `m${times}`, n: times, times })]));
    assert.deepEqual(posted, ["deliveries/in shard-0/one"]);
    assert.deepEqual(await mailbox(run), []);
    assert.deepEqual(run.output("out"), [1, 2, 40]);
  });

  test("however often it has come: no count puts aside", async () => {
    const run = await start(new Mortals());
    const all = messages(30, []);
    for (const message of all) message.times = 1_000;
    const queue = new Queue(run, all, 10);
    await queue.drain(new Mortals());
    assert.equal(queue.rounds, 3, "all at once");
    assert.deepEqual(run.deadLetters(), []);
  });

  test("failures that an environment survives are not counted, however many", async () => {
    let fails = 40;
    const mortals = new Mortals();
    const run = await start(mortals);
    const { journal } = run.ports;
    const write = journal.write.bind(journal);
    journal.write = async (to, entry) => {
      if (to === task && fails-- > 0) throw new MillraceError("unavailable", "the store is away");
      return write(to, entry);
    };
    const queue = new Queue(run, messages(5, []), 5);
    while (queue.waiting.length > 0 && queue.rounds < 60)
      await queue.bring((bell) => run.environment(`e${queue.rounds}`).turn(bell)).catch(() => undefined);
    assert.deepEqual(run.output("out"), [0, 1, 2, 3, 4]);
    assert.deepEqual(run.deadLetters(), []);
    assert.deepEqual(await mailbox(run), []);
  });

  test("what another is at, and which may live, is left to it", async () => {
    const run = await start(new Mortals());
    let reach = () => {};
    let go = () => {};
    const reached = new Promise<void>((resolve) => (reach = resolve));
    const gate = new Promise<void>((resolve) => (go = resolve));
    const { journal } = run.ports;
    const write = journal.write.bind(journal);
    let first = true;
    journal.write = async (to, entry) => {
      if (to === task && first) {
        first = false;
        reach();
        await gate;
      }
      return write(to, entry);
    };
    const [a, b] = messages(2, []).map((message) => recordOf({ ...message, times: 3 }));
    const slow = run.environment("slow").turn(bellOf([a!]));
    await reached;
    const other = await run.environment("other").turn(bellOf([a!, b!]));
    assert.ok(other.outcome === "done");
    assert.deepEqual(other.left, ["m0"]);
    go();
    const outcome = await slow;
    assert.ok(outcome.outcome === "done" && outcome.left.length === 0);
    assert.deepEqual(run.output("out"), [1, 0]);
  });

  test("a race that is lost after a part was committed: that part is not taken in again", async () => {
    const run = await start(new Mortals());
    const bytes = encodeValue({ ids: ["m0", "m1"], until: 0 });
    await run.ports.journal.post(task, { name: deliveriesMessage("in shard-0", "dead"), version: 1, bytes });
    const other = run.environment("other");
    const { journal } = run.ports;
    const write = journal.write.bind(journal);
    let writes = 0;
    journal.write = async (to, entry) => {
      if (to === task && ++writes === 2) await other.turn(bellOf([recordOf({ id: "x", n: 99, times: 1 })]));
      return write(to, entry);
    };
    const all = messages(6, []).map((message) => recordOf({ ...message, times: 1 }));
    const outcome = await run.environment("one").turn(bellOf(all));
    assert.deepEqual(run.output("out"), [0, 99, 2, 3, 4, 5]);
    assert.ok(outcome.outcome === "done");
    assert.deepEqual(outcome.left, ["m1"]);
  });
});

describe("decideDeliveries", () => {
  const record = (name: string, group?: string) => ({ delivery: { id: name, times: 3, group } }) as SourceRecord;
  const ids = (records: readonly SourceRecord[] = []) => records.map(({ delivery }) => delivery!.id);
  const nothing = { deaths: [], occupied: new Set<string>(), risked: undefined, comesOften: () => false };
  const abcd = ["a", "b", "c", "d"].map((name) => record(name));

  test("risks half of the smallest set, then takes in what nobody has died of, and leaves the rest", () => {
    const deaths = [new Set(["a", "b", "c", "d"]), new Set(["b", "c", "x"])];
    const first = decideDeliveries(abcd, { ...nothing, deaths });
    assert.deepEqual([ids(first?.records), first?.isRisk], [["b"], true]);
    const plain = decideDeliveries([...abcd, record("e")], { ...nothing, deaths, risked: "passed" });
    assert.deepEqual([ids(plain?.records), plain?.isRisk], [["e"], false]);
    assert.equal(decideDeliveries(abcd, { ...nothing, deaths, risked: "passed" }), undefined);
    assert.equal(decideDeliveries(abcd, { ...nothing, risked: "passed", comesOften: () => true }), undefined);
    assert.equal(decideDeliveries(abcd, { ...nothing, risked: "found" }), undefined);
  });

  test("leaves to others what they are at, and takes in the rest", () => {
    const step = decideDeliveries(abcd, { ...nothing, deaths: [new Set(["a"])], occupied: new Set(["a", "b"]) });
    assert.deepEqual(ids(step?.records), ["c", "d"]);
  });

  test("takes in nothing of a group before what comes first there", () => {
    const batch = [record("a", "g"), record("b", "h"), record("c", "g"), record("d", "h")];
    const before = decideDeliveries(batch, { ...nothing, deaths: [new Set(["c"])] });
    assert.deepEqual([ids(before?.records), before?.isRisk], [["a"], true]);
    const after = decideDeliveries(batch, { ...nothing, deaths: [new Set(["a"])], risked: "passed" });
    assert.deepEqual(ids(after?.records), ["b", "d"]);
    const held = decideDeliveries(batch, { ...nothing, deaths: [new Set(["c"])], occupied: new Set(["a"]) });
    assert.deepEqual(ids(held?.records), ["b", "d"]);
  });
});
