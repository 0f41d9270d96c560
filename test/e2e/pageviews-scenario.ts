/** A: the page views example at parallelism 1 on a stream of four shards. */
import { join } from "node:path";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { pageviewsOnAws } from "../../examples/pageviews/on-aws.ts";
import { millis } from "../../runtime/index.ts";
import { expectPageviews } from "./pageviews-oracle.ts";
import type { Act, PutRecord, Scenario } from "./scenario.ts";

const shards = 4;
const stream = "page-views";
const startAt = Date.UTC(2025, 2, 3, 8);
const minuteMs = 60_000;
/** The first act is longer than a session's gap and the time that late records are of, so that all of that is over at its end. */
const actMs = [90 * minuteMs, 240 * minuteMs] as const;
/** When the early users come, on time in the first act and late in the second. */
const earlyMs = 9 * minuteMs;
/** Less than the bound of the job's watermarks. */
const disorderMs = 50_000;

export const pageviewsScenario: Scenario = {
  name: "a",
  module: join(import.meta.dirname, "../../examples/pageviews/on-aws.ts"),
  maker: "pageviewsOnAws",
  job: ({ checkpointInterval, ...options }) => pageviewsOnAws({ ...options, checkpointInterval: millis(checkpointInterval) }),
  outside: {
    streams: { [stream]: { shardCount: shards } },
    tables: {
      "views-per-minute": { partitionKey: { name: "page", type: "S" }, sortKey: { name: "start", type: "N" } },
      sessions: { partitionKey: { name: "user", type: "S" }, sortKey: { name: "start", type: "N" } },
    },
    buckets: ["late-views"],
  },
  parallelisms: [1, 2],
  places: {
    views: { kind: "table", table: "views-per-minute" },
    sessions: { kind: "table", table: "sessions" },
    lateForMinute: { kind: "objects", bucket: "late-views", prefix: "for-minute/" },
    lateForSession: { kind: "objects", bucket: "late-views", prefix: "for-session/" },
  },
  acts: (seed, records) => {
    const input = new MadeUpInput(seed);
    const inFirst = Math.round(records * 0.4);
    return [input.first(inFirst), input.second(records - inFirst), input.closing()];
  },
  expected: (acts) => ({ ...expectPageviews(acts, shards) }),
};

class MadeUpInput {
  readonly #random: SeededRandom;
  #serial = 0;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  first(count: number): Act {
    return this.#act(count, startAt, actMs[0], () => undefined);
  }

  /** A twentieth is late, for minute and session or, at the act's beginning, for the minute alone. */
  second(count: number): Act {
    const from = startAt + actMs[0];
    return this.#act(count, from, actMs[1], (share) => {
      const kind = this.#random.next();
      if (kind < 0.04) return this.#view(`early-${this.#random.int(20)}`, startAt + this.#random.int(earlyMs));
      const isSoon = share * actMs[1] < 10 * minuteMs;
      return isSoon && kind < 0.3 ? this.#view(`straggler-${this.#serial}`, from - 16 * minuteMs) : undefined;
    });
  }

  /** One view for each shard, a day later. */
  closing(): Act {
    return Array.from({ length: shards }, (_, shard) => {
      return { stream, shard, bytes: jsonBytes({ user: `last-${shard}`, page: "/last", at: startAt + 24 * 60 * minuteMs }) };
    });
  }

  #act(count: number, from: number, lengthMs: number, special: (share: number) => Uint8Array | undefined): Act {
    return Array.from({ length: count }, (_, n): PutRecord => {
      this.#serial++;
      const share = n / count;
      const bytes = this.#broken() ?? special(share) ?? this.#onTime(Math.floor(from + share * lengthMs));
      return { stream, shard: this.#random.int(shards), bytes };
    });
  }

  #onTime(time: number): Uint8Array {
    const at = time - this.#random.int(disorderMs);
    const isEarly = time < startAt + earlyMs && this.#random.chance(0.3);
    const quarter = Math.floor((time - startAt) / (15 * minuteMs));
    return this.#view(isEarly ? `early-${this.#random.int(20)}` : `user-${quarter}-${this.#random.int(40)}`, at);
  }

  #view(user: string, at: number): Uint8Array {
    const page = `/page-${this.#random.int(12)}${this.#random.chance(0.2) ? `?n=${this.#serial}` : ""}`;
    return jsonBytes({ user, page, at: this.#random.chance(0.1) ? new Date(at).toISOString() : at });
  }

  /** One in fifty is no view; no two are alike. */
  #broken(): Uint8Array | undefined {
    if (!this.#random.chance(0.02)) return undefined;
    const user = `broken-${this.#serial}`;
    return this.#random.pick([
      () => Buffer.from(`{"user":"${user}","page":"/docs","at":`),
      () => Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(user)]),
      () => jsonBytes({ user, at: startAt }),
      () => jsonBytes({ user, page: "/docs", at: "yesterday" }),
      () => jsonBytes({ user, page: "/docs", at: 9e15 }),
    ])();
  }
}

function jsonBytes(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
