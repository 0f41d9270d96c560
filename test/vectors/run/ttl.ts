/**
 * Flink's expectations of state that expires, in a job: a keyed process function with the one state, whose records are the vector's
 * operations. A namespace is part of the key, which is what it comes to.
 */
import {
  aggregating,
  type Aggregator,
  type Duration,
  keyedProcess,
  list,
  map,
  millis,
  reducing,
  type,
  value,
  type Job,
  type StateDescriptor,
  type Ttl,
} from "../../../runtime/index.ts";
import { harness, type HarnessSnapshot } from "../../../runtime/testing/index.ts";
import { pipeline } from "../../operators/pipeline.ts";
import { compare } from "../compare.ts";
import { noDriver } from "../run-vector.ts";
import { type Failure, timeOf, type Vector } from "../vector.ts";

export async function run(vector: Vector): Promise<Failure | undefined> {
  if (vector.config.driver !== "ttlState") return noDriver(vector);
  return compare(await gets(vector), vector.expected.gets);
}

/** The results of all reads. */
async function gets({ config, input }: Vector): Promise<readonly unknown[]> {
  const job = jobOf(config);
  const found: unknown[] = [];
  const snapshots = new Map<string, HarnessSnapshot>();
  let running = await harness(job);
  const restore = async (from: HarnessSnapshot) => {
    found.push(...running.output("out"));
    running = await harness(job, { from });
  };
  for (const { op, at, name, key, namespace, value: written } of input) {
    if (at !== undefined) await running.advanceProcessingTime(millis(Math.max(0, timeOf(at) - running.processingTime)));
    if (op === "snapshotRestore") await restore(await running.snapshot());
    else if (op === "snapshot") snapshots.set(name, await running.snapshot());
    else if (op === "restore") await restore(snapshots.get(name) as HarnessSnapshot);
    else if (op === "get" || op === "write")
      await running.push("in", { value: { key: [key ?? "", namespace ?? ""].join(" "), at: 0, op, written } });
    else throw new Error(`no operation ${op}`);
  }
  return [...found, ...running.output("out")];
}

interface Kind {
  readonly state: StateDescriptor<any>;
  write(state: any, written: any): void;
  get(state: any): unknown;
}

function jobOf(config: Vector["config"]): Job {
  const { ttlMs, updateType, visibility } = config;
  const after = ttlMs === "MAX" ? (Number.MAX_SAFE_INTEGER as Duration) : millis(ttlMs);
  const kind = kindOf(config, { after, update: updateType, visibility });
  return pipeline((events) =>
    events
      .keyBy((e) => e.key as string)
      .process(
        "state",
        keyedProcess({
          state: { one: kind.state },
          output: type<unknown>(),
          onRecord(event, ctx) {
            const { op, written } = event as unknown as { op: string; written: unknown };
            if (op === "write") kind.write(ctx.state.one, written);
            else ctx.emit(kind.get(ctx.state.one) ?? null);
          },
        }),
      ),
  );
}

function kindOf({ state, writeOp }: Vector["config"], ttl: Ttl): Kind {
  switch (state.kind) {
    case "value":
      return { state: value({ ttl }), write: (one, written) => one.set(written), get: (one) => one.get() };
    case "list":
      return { state: list({ ttl }), write: (one, written) => one[writeOp](written), get: (one) => one.get() };
    case "map":
      return { state: map({ ttl }), ...mapAccess(state.get, writeOp) };
    case "reducing":
      return { state: reducing((a: any, b: any) => a + b, { ttl }), ...foldAccess };
    case "aggregating":
      return { state: aggregating(fromThree, { ttl }), ...foldAccess };
    default:
      throw new Error(`no state of kind ${state.kind}`);
  }
}

const foldAccess: Omit<Kind, "state"> = { write: (one, written) => one.add(written), get: (one) => one.get() };

const fromThree: Aggregator<number, number, string> = {
  create: () => 3,
  add: (accumulator, n) => accumulator + n,
  result: (accumulator) => String(accumulator),
  merge: (a, b) => a + b,
};

/** All entries, or those of the key that the vector names. */
function mapAccess(get: string, writeOp: string): Omit<Kind, "state"> {
  const [, written] = /^put key (.+)$/.exec(writeOp) ?? [];
  const [, read] = /^entry of key (.+)$/.exec(get) ?? [];
  return {
    write(one, entries) {
      if (written !== undefined) one.set(written, entries);
      else for (const [key, item] of Object.entries(entries)) one.set(key, item);
    },
    get: (one) => (read === undefined ? Object.fromEntries(one.entries()) : one.get(read)),
  };
}
