/** Flink's expectations of its timer service, of the node that runs an operator with keys: timers by key, namespace, time and domain. */
import { ByteWriter } from "../../../runtime/base/byte-writer.ts";
import type { Operator } from "../../../runtime/operators/operator.ts";
import { Activity } from "../../../runtime/state/activity.ts";
import { KeyedAccess } from "../../../runtime/state/keyed-access.ts";
import { compareRows, KeyedStore } from "../../../runtime/state/keyed-store.ts";
import type { Namespace } from "../../../runtime/state/namespace.ts";
import { RowWriter } from "../../../runtime/state/row-writer.ts";
import type { ProcessingRow, Row } from "../../../runtime/state/row.ts";
import type { Timer, TimerDomain } from "../../../runtime/state/timer.ts";
import { fullRange } from "../../../runtime/streaming/hash-range.ts";
import { ChainNode, type NodeState, type TaskShared } from "../../../runtime/task/chain-node.ts";
import { NodeOutput } from "../../../runtime/task/node-output.ts";
import { Units } from "../../../runtime/task/units.ts";
import { TimerQueue } from "../../../runtime/time/timer-queue.ts";
import { largestTime } from "../../../runtime/time/windows.ts";
import { compare } from "../compare.ts";
import { isInternal, pointOf, timeOf, type Failure, type Vector } from "../vector.ts";

interface Fired {
  readonly key: string;
  readonly namespace: string;
  readonly time: number;
}

export function runTimerService(vector: Vector): Failure | undefined {
  const service = new TimerService(vector.config.onTimer);
  const { pendingAfterStep = {}, nextWakeUpAfterStep = {} } = vector.expected;
  const { currentWatermarkAfterStep = {}, currentProcessingTimeAfterStep = {} } = vector.expected;
  for (let done = 0; done <= vector.input.length; done++) {
    if (done > 0) service.step(vector.input[done - 1]);
    const { all: allPending, ...pendingOf } = countsOf(pendingAfterStep[done]);
    const checks: readonly (readonly [string, any, unknown])[] = [
      ["pending", allPending, service.pending],
      ...Object.entries(pendingOf).map(([name, count]) => [`pending of ${name}`, count, service.pendingOf(name)] as const),
      ["next wake-up", nextWakeUpAfterStep[done], service.nextWakeUp],
      ["watermark", currentWatermarkAfterStep[done], service.watermark],
      ["processing time", currentProcessingTimeAfterStep[done], service.now],
    ];
    for (const [what, expected, actual] of checks) {
      if (expected === undefined) continue;
      // None: no wake-up.
      const wanted = expected === null ? Infinity : typeof expected === "string" ? timeOf(expected) : expected;
      const failure = compare(actual, wanted, `${what} after step ${done}`);
      if (failure !== undefined) return failure;
    }
  }
  return checkFired(service, vector.expected);
}

/** A number is of all timers; a map, by namespace. */
function countsOf(counts: any): Readonly<Record<string, number | undefined>> {
  return typeof counts === "object" && counts !== null ? counts : { all: counts };
}

const looked: ReadonlySet<string> = new Set(["order", "currentWatermarkAfterStep", "currentProcessingTimeAfterStep"]);

function checkFired(service: TimerService, expected: any): Failure | undefined {
  const lists: Readonly<Record<string, () => unknown>> = {
    fired: () => service.fired("eventTime", "processingTime"),
    firedEvent: () => service.fired("eventTime"),
    firedProcessing: () => service.fired("processingTime"),
    remaining: () => service.pending,
  };
  const others = Object.keys(expected).filter((name) => lists[name] === undefined && !looked.has(name) && !isInternal(name));
  const unknown = others.filter((name) => !expected[name]?.[0]?.namespace);
  if (unknown.length > 0) return { expected, actual: `nothing looks at ${unknown.join(", ")}` };
  // Any other list of timers is of those that are set at the end.
  for (const name of others) {
    const failure = compare(inOrder(service.timers(name)), inOrder(expected[name]), name);
    if (failure !== undefined) return failure;
  }

  for (const [name, of] of Object.entries(lists)) {
    if (expected[name] === undefined) continue;
    const [actual, wanted] = [of(), expected[name]].map((list) => (expected.order === "any" ? inOrder(list) : list));
    const failure = compare(actual, wanted, name);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

function inOrder(list: unknown): unknown {
  return Array.isArray(list) ? list.map((item) => JSON.stringify(item)).sort() : list;
}

/** What a timer function does: at its own time plus something, or at the times it lists, one at each firing. */
const registering = /register\w* an? (event|processing)[- ](?:time )?timer (?:(?:for|at) its own time \+ (\d+)|(.*\d.*))/;

/** The node of an operator that does with timers what it is told. */
export class TimerService {
  readonly #onTimer: string | undefined;
  readonly #fired: (Fired & { readonly domain: TimerDomain })[] = [];
  readonly #namespaces = new Map<string, Namespace>();
  readonly #shared: TaskShared;
  #node: ChainNode;
  #seq = 0;

  constructor(onTimer: string | undefined) {
    this.#onTimer = onTimer;
    const units = new Units(new Activity(), { ...noKeeper }, true);
    this.#shared = {
      units,
      now: 0,
      get passed() {
        return this.now;
      },
      pauses: () => false,
      partitionKey: () => "",
      count: () => undefined,
    };
    this.#node = this.#begin();
  }

  #begin(): ChainNode {
    const eventTimers = new TimerQueue<Row>(compareRows);
    const processingTimers = new TimerQueue<ProcessingRow>(compareRows);
    const options = { operator: "timers", states: new Map(), keyGroups: 128, hashing: "murmur3", range: fullRange } as const;
    const { activity } = this.#shared.units;
    const store = new KeyedStore({ ...options, eventTimers, processingTimers, activity });
    const keyed: NodeState = { store, access: new KeyedAccess(store), eventTimers, processingTimers };
    const node = new ChainNode("timers", new NodeOutput(), { keyed, operator: undefined }, this.#shared);
    node.run(this.#operator(node));
    return node;
  }

  #operator(node: ChainNode): Operator {
    return {
      onRecord: (step) => {
        const domain = `${step.register ?? step.delete}Time` as TimerDomain;
        const namespace = this.#namespace(step.namespace ?? "");
        if (step.register) node.access.setTimer(domain, pointOf(step.time, largestTime), namespace);
        else node.access.cancelTimer(domain, pointOf(step.time, largestTime), namespace);
      },
      onTimer: (timer) => this.#fire(node, timer),
    };
  }

  #fire(node: ChainNode, { domain, at, namespace }: Timer): void {
    const [name] = [...this.#namespaces].find(([, known]) => known === namespace || known.start === namespace.start)!;
    this.#fired.push({ domain, key: node.access.row.key as string, namespace: name, time: at });
    const [, of, by, listed = ""] = registering.exec(this.#onTimer ?? "") ?? [];
    if (of === undefined && this.#onTimer !== undefined) throw new Error(`no timer function: ${this.#onTimer}`);
    const fixed = listed.match(/\d+/g)?.map(Number) ?? [];
    const then = by === undefined ? fixed[this.#fired.length - 1] : at + Number(by);
    if (then !== undefined) node.access.setTimer(`${of}Time` as TimerDomain, then, namespace);
  }

  #namespace(name: string): Namespace {
    const known = this.#namespaces.get(name);
    if (known !== undefined) return known;
    const start = 1e12 + this.#namespaces.size;
    const namespace = { start, end: start + 1 };
    this.#namespaces.set(name, namespace);
    return namespace;
  }

  step(step: any): void {
    if (step.register !== undefined || step.delete !== undefined) this.#node.record(step, NaN, 0, step.key);
    else if (step.wm !== undefined) this.#node.advance(timeOf(step.wm));
    else if (step.pt !== undefined) {
      this.#shared.now = timeOf(step.pt);
      this.#node.passTime();
    } else if (step.snapshotRestore) this.#restore();
    else if (step.forEach !== undefined) return;
    else throw new Error(`no step: ${JSON.stringify(step)}`);
  }

  /** Writes all rows down and reads them into another node. */
  #restore(): void {
    const { store } = this.#node.state!;
    const writer = new RowWriter(new ByteWriter());
    store.writeChanges(writer, ++this.#seq);
    this.#written.push(writer.out.take());
    this.#node = this.#begin();
    this.#written.forEach((bytes, n) => this.#node.state!.store.applyChanges(n + 1, store.schema, bytes));
  }

  readonly #written: Uint8Array[] = [];

  get watermark(): number {
    return this.#node.watermark();
  }

  get now(): number {
    return this.#shared.now;
  }

  get nextWakeUp(): number {
    return this.#node.state!.store.earliestTimer("processingTime");
  }

  get pending(): number {
    return this.#timers().length;
  }

  pendingOf(namespace: string): number {
    const { start } = this.#namespace(namespace);
    return this.#timers().filter((timer) => timer.namespace.start === start).length;
  }

  /** Those of the domain that the word names, or all. */
  timers(word: string): readonly Fired[] {
    const timers: Fired[] = [];
    for (const group of this.#node.state!.store.groupsInOrder())
      for (const { key, timers: set } of group.rows)
        for (const {
          domain,
          namespace: { start },
          at: time,
        } of set) {
          const [namespace] = [...this.#namespaces].find(([, known]) => known.start === start)!;
          const named = /event/i.test(word) ? "eventTime" : /processing/i.test(word) ? "processingTime" : domain;
          if (named === domain) timers.push({ key: key as string, namespace, time });
        }
    return timers;
  }

  #timers(): readonly Timer[] {
    const timers: Timer[] = [];
    for (const group of this.#node.state!.store.groupsInOrder()) for (const row of group.rows) timers.push(...row.timers);
    return timers;
  }

  fired(...domains: readonly TimerDomain[]): readonly Fired[] {
    return this.#fired
      .filter(({ domain }) => domains.includes(domain))
      .map(({ key, namespace, time }) => ({ key, namespace, time }));
  }
}

const noKeeper = {
  mark: () => undefined,
  takeBack: () => undefined,
  check: () => undefined,
  forget: () => undefined,
  waiting: () => false,
  deadLetter: () => undefined,
};
