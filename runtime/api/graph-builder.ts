/**
 * Collects the nodes that streams append while a job is being defined.
 *
 * Owns: the order and uniqueness of nodes (G1, G2), which options `.with()` set. Does not own: what the streams look like.
 */
import { checkOperator } from "./check-operator.ts";
import { DataStream } from "./data-stream.ts";
import type { LogicalEdge, LogicalNode, OperatorOptions, OperatorSpec, Side } from "./graph.ts";
import { invalid } from "./invalid.ts";
import { checkName } from "./names.ts";
import { outputOf, type Origin } from "./origin.ts";
import { SourceStream } from "./source-stream.ts";

function asInput(input: Side, origins: readonly Origin[]): readonly LogicalEdge[] {
  return origins.map((origin) => ({ ...origin, input }));
}

export class GraphBuilder {
  readonly #nodes = new Map<string, LogicalNode>();
  #closed = false;

  /** Throws `invalid` for a uid that is taken or odd, and for an operator that cannot work. */
  addSource(uid: string, spec: OperatorSpec & { kind: "source" }): SourceStream<any> {
    this.#add({ uid, spec, inputs: [], sideOutputs: [], options: {} });
    return new SourceStream(this, uid);
  }

  /** Appends an operator with one input, which `origins` feed; the result is its main output. Throws as `addSource`. */
  addOperator(uid: string, spec: OperatorSpec, origins: readonly Origin[], sideOutputs: readonly string[] = []): DataStream<any> {
    return this.#append(uid, spec, asInput(0, origins), sideOutputs);
  }

  /** Appends an operator that keeps its two sides apart. Throws as `addSource`. */
  addTwoInputOperator(
    uid: string,
    spec: OperatorSpec,
    { left, right }: { readonly left: readonly Origin[]; readonly right: readonly Origin[] },
    sideOutputs: readonly string[] = [],
  ): DataStream<any> {
    return this.#append(uid, spec, [...asInput(0, left), ...asInput(1, right)], sideOutputs);
  }

  #append(uid: string, spec: OperatorSpec, inputs: readonly LogicalEdge[], sideOutputs: readonly string[]): DataStream<any> {
    this.#add({ uid, spec, inputs, sideOutputs: [...new Set(sideOutputs)], options: {} });
    return new DataStream(this, [outputOf(uid)]);
  }

  node(uid: string): LogicalNode | undefined {
    return this.#nodes.get(uid);
  }

  /** Lays `options` over those that the operator has. */
  setOptions(uid: string, options: OperatorOptions): void {
    const node = this.#nodes.get(uid);
    if (node) this.#nodes.set(uid, { ...node, options: { ...node.options, ...options } });
  }

  /** The nodes in the order they were added. Nothing can be added afterwards. */
  close(): readonly LogicalNode[] {
    this.#closed = true;
    return [...this.#nodes.values()];
  }

  #add(node: LogicalNode): void {
    const operator = node.uid;
    checkName("operator", operator);
    if (this.#closed) throw invalid("the job is defined already: add operators inside defineJob only", { operator });
    if (this.#nodes.has(operator)) throw invalid("a uid names one source, operator or sink: choose another", { operator });
    checkOperator(node);
    this.#nodes.set(operator, node);
  }
}
