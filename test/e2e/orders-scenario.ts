/** B: orders and payments, two streams of four shards, an exchange to four tasks. */
import { join } from "node:path";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { millis } from "../../runtime/index.ts";
import { ordersJob } from "./orders-job.ts";
import { expectOrders } from "./orders-oracle.ts";
import type { Act, PutRecord, Scenario } from "./scenario.ts";

const shards = 4;
const startAt = Date.UTC(2025, 2, 3, 8);
const minuteMs = 60_000;
const actMs = [20 * minuteMs, 60 * minuteMs] as const;
/** What is late is of this time. */
const earlyMs = 5 * minuteMs;
/** Less than the bound of the job's watermarks. */
const disorderMs = 8_000;
/** A payment comes at most so long before or after its order. */
const apartMs = 20_000;

export const ordersScenario: Scenario = {
  name: "b",
  module: join(import.meta.dirname, "orders-job.ts"),
  maker: "ordersJob",
  job: ({ checkpointInterval, ...options }) => ordersJob({ ...options, checkpointInterval: millis(checkpointInterval) }),
  outside: {
    streams: { orders: { shardCount: shards }, payments: { shardCount: shards } },
    tables: { orders: { partitionKey: { name: "order", type: "S" } } },
    buckets: ["ledger"],
  },
  parallelisms: [4, 3],
  places: {
    orders: { kind: "table", table: "orders" },
    ledger: { kind: "objects", bucket: "ledger", prefix: "rows/" },
    late: { kind: "objects", bucket: "ledger", prefix: "late/" },
  },
  acts: (seed, records) => {
    const input = new MadeUpOrders(seed);
    const inFirst = Math.round(records * 0.4);
    return [input.act(inFirst, 0, false), input.act(records - inFirst, 1, true), input.closing()];
  },
  expected: (acts) => ({ ...expectOrders(acts, shards) }),
};

class MadeUpOrders {
  readonly #random: SeededRandom;
  #serial = 0;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  act(count: number, number: 0 | 1, withLate: boolean): Act {
    const from = startAt + (number === 0 ? 0 : actMs[0]);
    const records: { readonly at: number; readonly record: PutRecord }[] = [];
    while (records.length < count) {
      this.#serial++;
      const time = Math.floor(from + (records.length / count) * actMs[number]);
      const kind = this.#random.next();
      if (kind < 0.02) records.push({ at: time, record: this.#broken() });
      else if (withLate && kind < 0.06) records.push({ at: time, record: this.#late() });
      else records.push(...this.#pair(time));
    }
    return records.sort((a, b) => a.at - b.at).map(({ record }) => record);
  }

  /** One order and one payment for each shard, a day later: nothing comes of them. */
  closing(): Act {
    const at = startAt + 24 * 60 * minuteMs;
    return Array.from({ length: shards }, (_, shard) =>
      ["orders", "payments"].map((stream) => {
        return { stream, shard, bytes: jsonBytes({ order: `last-${stream}-${shard}`, at, cents: 1 }) };
      }),
    ).flat();
  }

  /** An order and its payment; one in ten is alone, one in twenty is paid wrongly. `at`: when it is put. */
  #pair(time: number) {
    const order = `order-${this.#serial}`;
    const cents = 100 + this.#random.int(10_000);
    const kind = this.#random.next();
    const paidAt = time + this.#random.int(2 * apartMs) - apartMs;
    const pair = [
      { at: time, record: this.#entry("orders", order, time, cents) },
      { at: paidAt, record: this.#entry("payments", order, paidAt, kind < 0.15 && kind >= 0.1 ? cents + 1 : cents) },
    ];
    return kind < 0.07 ? pair.slice(0, 1) : kind < 0.1 ? pair.slice(1) : pair;
  }

  #entry(stream: string, order: string, time: number, cents: number): PutRecord {
    const at = time - this.#random.int(disorderMs);
    return { stream, shard: this.#random.int(shards), bytes: jsonBytes({ order, at, cents }) };
  }

  #late(): PutRecord {
    const at = startAt + this.#random.int(earlyMs);
    return this.#entry(this.#random.pick(["orders", "payments"]), `late-${this.#serial}`, at, 1);
  }

  #broken(): PutRecord {
    const order = `broken-${this.#serial}`;
    const bytes = this.#random.pick([
      () => Buffer.from(`{"order":"${order}","at":`),
      () => Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(order)]),
      () => jsonBytes({ order, at: startAt }),
      () => jsonBytes({ order, at: 9e15, cents: 1 }),
    ])();
    return { stream: this.#random.pick(["orders", "payments"]), shard: this.#random.int(shards), bytes };
  }
}

function jsonBytes(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
