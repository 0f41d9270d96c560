/** Builds the chain of a task: its nodes, their states, and the edges between them and into channels. */
import { isKeyed, operatorStatesOf, retentionOf, statesOf } from "../api/operator-states.ts";
import type { OperatorSpec, Partitioning, Side } from "../api/graph.ts";
import type { Key } from "../api/key.ts";
import { MillraceError } from "../base/errors.ts";
import type { TaskId } from "../base/ids.ts";
import { createOperator } from "../operators/create-operator.ts";
import { SinkOperator } from "../operators/sink.ts";
import type { OperatorPlan, OutputEdge } from "../plan/job-graph.ts";
import { KeyedAccess } from "../state/keyed-access.ts";
import { compareRows, KeyedStore } from "../state/keyed-store.ts";
import { OperatorState, operatorStoreName } from "../state/operator-state.ts";
import type { ProcessingRow, Row } from "../state/row.ts";
import type { TaskIndex } from "../state/state-index.ts";
import { hashKeyOf } from "../state/key.ts";
import { noWatermarks } from "../time/watermark-generator.ts";
import type { ChannelWriter } from "../streaming/channel-writer.ts";
import { fullRange } from "../streaming/hash-range.ts";
import { KeyRouter } from "../streaming/router.ts";
import { TimerQueue } from "../time/timer-queue.ts";
import { AssignerNode } from "./assigner-node.ts";
import { ChainNode, type NodeState, type NodeStates, type TaskShared } from "./chain-node.ts";
import { SortingNode } from "./sorting-node.ts";
import { ChainedEdge, ExchangeEdge, NodeOutput, type Spread } from "./node-output.ts";
import type { TaskPlan } from "./task-plan.ts";
import type { TaskStart } from "./task-start.ts";

/** An input of a node, by the name under which its valve knows it. */
export interface NodeInput {
  readonly name: string;
  readonly side: Side;
}

export interface Chain {
  /** In topological order; sources are not among them. */
  readonly nodes: readonly ChainNode[];
  readonly byUid: ReadonlyMap<string, ChainNode>;
  readonly stores: readonly KeyedStore[];
  readonly sinks: ReadonlyMap<string, SinkOperator>;
  /** Where records of a source go. */
  readonly sourceOutputs: ReadonlyMap<string, NodeOutput>;
  /** Each node's inputs that come from within the task. */
  readonly chainedInputs: ReadonlyMap<string, readonly NodeInput[]>;
}

export interface ChainParts {
  readonly plan: TaskPlan;
  readonly index: TaskIndex;
  readonly shares: TaskStart["shares"];
  /** Of an earlier instance of the same task, which stood at a commit: its states go on. */
  readonly earlier: Chain | undefined;
  readonly shared: TaskShared;
  readonly writer: (downstream: TaskId) => ChannelWriter;
  readonly seq: () => number;
}

function hashOfRow(row: { readonly hash: number }): number {
  return row.hash;
}

/** How records without a key go over an exchange. */
function spreadOf(kind: Partitioning["kind"]): Spread {
  return kind === "rebalance" ? "inTurn" : kind === "broadcast" ? "toAll" : "toFirst";
}

/** The name of a chained edge at its receiver. */
function inputName(from: string, edge: OutputEdge): string {
  return `${from}:${edge.tag ?? ""}:${edge.input}`;
}

function isChained({ exchange }: OutputEdge): boolean {
  return exchange === undefined;
}

export function buildChain(parts: ChainParts): Chain {
  return new ChainBuilder(parts).build();
}

class ChainBuilder {
  private readonly parts: ChainParts;
  private readonly byUid = new Map<string, ChainNode>();
  private readonly outputs = new Map<string, NodeOutput>();
  private readonly sinks = new Map<string, SinkOperator>();
  private readonly chainedInputs = new Map<string, NodeInput[]>();

  constructor(parts: ChainParts) {
    this.parts = parts;
  }

  build(): Chain {
    const operators = this.parts.plan.stage.operators.map((uid) => this.planOf(uid));
    for (const operator of operators) this.addNode(operator);
    for (const operator of operators) for (const edge of operator.outputs) this.addEdge(operator, edge);
    const nodes = [...this.byUid.values()];
    if (!this.batch) for (const node of nodes) if (this.standsAlone(node)) node.lookAhead();
    return {
      nodes,
      byUid: this.byUid,
      stores: nodes.flatMap(({ state, operatorState }) =>
        [state?.store, operatorState?.store].filter((store) => store !== undefined),
      ),
      sinks: this.sinks,
      sourceOutputs: new Map([...this.outputs].filter(([uid]) => !this.byUid.has(uid))),
      chainedInputs: this.chainedInputs,
    };
  }

  /**
   * Whether nothing can tell when a keyed operator sees its records: they come to it on one way alone, from outside the task, and to no
   * other operator. What it gives on can then meet only what came later than all of them, or earlier.
   */
  private standsAlone({ uid, state }: ChainNode): boolean {
    if (state === undefined) return false;
    const { job, stage } = this.parts.plan;
    const exchanges = job.exchanges.filter(({ to }) => stage.operators.includes(to));
    for (let to = uid; ;) {
      const inputs = stage.operators.filter((from) =>
        this.planOf(from).outputs.some((edge) => isChained(edge) && edge.to === to),
      );
      const [from] = inputs;
      if (from === undefined) return exchanges.length === 1 || this.planOf(to).node.spec.kind === "source";
      const { outputs } = this.planOf(from);
      if (inputs.length > 1 || outputs.length > 1 || exchanges.some((exchange) => exchange.to === to)) return false;
      to = from;
    }
  }

  private planOf(uid: string): OperatorPlan {
    return this.parts.plan.job.operators.get(uid) as OperatorPlan;
  }

  private addNode(operator: OperatorPlan): void {
    const { uid, spec } = operator.node;
    const output = new NodeOutput();
    this.outputs.set(uid, output);
    if (spec.kind === "source") return;
    if (spec.kind === "assignTimestamps") return this.addAssigner(uid, output, spec);
    const keyed = isKeyed(spec) ? this.createState(uid, spec, operator) : undefined;
    const node = this.createNode(uid, output, { keyed, operator: this.createOperatorState(uid, spec) });
    node.run(spec.kind === "sink" ? this.createSink(uid, spec) : createOperator(spec, node, this.batch));
    this.byUid.set(uid, node);
  }

  private get batch(): boolean {
    return this.parts.plan.job.options.mode === "batch";
  }

  private createNode(uid: string, output: NodeOutput, states: NodeStates): ChainNode {
    const { shared } = this.parts;
    return this.batch && states.keyed !== undefined
      ? new SortingNode(uid, output, states, shared)
      : new ChainNode(uid, output, states, shared);
  }

  private addAssigner(uid: string, output: NodeOutput, spec: OperatorSpec & { kind: "assignTimestamps" }): void {
    const { plan, shared } = this.parts;
    const watermarks = this.batch ? noWatermarks : spec.watermarks;
    this.byUid.set(uid, new AssignerNode(uid, output, shared, { ...spec, watermarks }, plan.job.options.watermarkStepMs));
  }

  private createState(uid: string, spec: OperatorSpec, operator: OperatorPlan): NodeState {
    const { plan, index, shared } = this.parts;
    const known = this.parts.earlier?.byUid.get(uid)?.state;
    if (known !== undefined) return known;
    const retentionMs = this.batch ? Infinity : retentionOf(spec);
    const eventTimers = new TimerQueue<Row>(compareRows, hashOfRow, retentionMs);
    const processingTimers = new TimerQueue<ProcessingRow>(compareRows, hashOfRow);
    const store = new KeyedStore(
      {
        operator: uid,
        states: statesOf(spec),
        keyGroups: plan.job.options.keyGroups,
        hashing: operator.hash ?? "murmur3",
        range: plan.range,
        retentionMs,
        since: plan.since,
        eventTimers,
        processingTimers,
        activity: shared.units.activity,
      },
      index.operators.get(uid),
    );
    return { store, access: new KeyedAccess(store), eventTimers, processingTimers };
  }

  private createOperatorState(uid: string, spec: OperatorSpec): OperatorState | undefined {
    const { earlier, index, shared, shares } = this.parts;
    const known = earlier?.byUid.get(uid)?.operatorState;
    const states = operatorStatesOf(spec);
    if (known !== undefined || states.size === 0) return known;
    const { activity } = shared.units;
    return new OperatorState(
      { operator: uid, states, share: shares?.get(uid), activity },
      index.operators.get(operatorStoreName(uid)),
    );
  }

  private createSink(uid: string, spec: OperatorSpec & { kind: "sink" }): SinkOperator {
    const { plan, shared, seq } = this.parts;
    const writer = spec.sink.createWriter({
      generation: plan.generation,
      task: plan.task,
      operator: uid,
      seq,
      now: () => shared.now,
    });
    const sink = new SinkOperator({
      ...{ writer, seq, key: spec.sink.key, changelog: spec.changelog !== undefined },
      ...{ generation: plan.generation, task: plan.task },
      onWritten: () => shared.units.activity.count++,
    });
    this.sinks.set(uid, sink);
    return sink;
  }

  private addEdge(operator: OperatorPlan, edge: OutputEdge): void {
    const from = operator.node.uid;
    const output = this.outputs.get(from) as NodeOutput;
    output.add(edge.tag, edge.exchange === undefined ? this.chainedEdge(from, edge) : this.exchangeEdge(edge, edge.exchange));
  }

  private chainedEdge(from: string, edge: OutputEdge): ChainedEdge {
    const name = inputName(from, edge);
    this.chainedInputs.set(edge.to, [...(this.chainedInputs.get(edge.to) ?? []), { name, side: edge.input }]);
    const { partitioning } = edge;
    let key = partitioning.kind === "keyed" || partitioning.kind === "global" ? partitioning.key : undefined;
    if (partitioning.kind === "assumeKeyed") key = this.assumedKey(partitioning.key);
    return new ChainedEdge(this.byUid.get(edge.to) as ChainNode, edge.input, name, key);
  }

  /**
   * The key of a source that is keyed already, held against what the source says: a row of another shard's key would be lost when
   * its key group is loaded. Sources without partition keys (files) are held against the task's own range.
   */
  private assumedKey(key: (value: any) => Key): (value: any) => Key {
    const { plan, shared } = this.parts;
    const { from, to } = plan.range;
    const whole = from === fullRange.from && to === fullRange.to;
    const owns = (result: string) => {
      if (whole) return true;
      const hash = hashKeyOf(result, "md5");
      return hash >= from && hash <= to;
    };
    return (value) => {
      const result = key(value);
      const partitionKey = shared.partitionKey();
      if (typeof result !== "string" || result === partitionKey || (partitionKey === "" && owns(result))) return result;
      throw new MillraceError("invalid", `assumeKeyed: the key is not the record's partition key "${partitionKey}": "${result}"`);
    };
  }

  private exchangeEdge(edge: OutputEdge, number: number): ExchangeEdge {
    const { plan, writer, shared } = this.parts;
    const tasks = plan.downstream.find((downstream) => downstream.exchange === number)?.tasks ?? [];
    return new ExchangeEdge({
      number,
      to: edge.to,
      writers: tasks.map(({ task }) => writer(task)),
      router: new KeyRouter(tasks.map(({ range }) => range)),
      key: edge.partitioning.kind === "keyed" || edge.partitioning.kind === "global" ? edge.partitioning.key : undefined,
      spread: spreadOf(edge.partitioning.kind),
      activity: shared.units.activity,
    });
  }
}
