/**
 * What a window holds: one value folded from its records, the records themselves, or the records with their timestamps, where an
 * evictor chooses among them.
 */
import type { EvictorSpec } from "../../api/evictors.ts";
import type { WindowContents, WindowSpec } from "../../api/graph.ts";
import { aggregateFold, type Fold, reduceFold } from "../../api/state.ts";
import { type CurrentNamespace, type KeyedAccess, ListHandle, ValueHandle } from "../../state/keyed-access.ts";
import { type Evict, evictorOf, type WindowElement } from "./evictor.ts";

/** The result of a reduce of no records: all were evicted. */
export const nothingLeft = Symbol("nothing left");

/** Contents of the window that the namespace stands at. */
export interface Contents {
  /** True when there were none before. `timestamp`: NaN when the record has none. */
  add(value: unknown, timestamp: number): boolean;
  readonly empty: boolean;
  /** What the result function sees: the folded result, or the list; `nothingLeft`. */
  result(): unknown;
  /** The window's results have been given. */
  given(): void;
  /** Takes contents that were read by `raw` under another namespace. */
  merge(other: unknown): void;
  raw(): unknown;
  /** Empties the contents, but keeps the window. */
  purge(): void;
  clear(): void;
}

export function contentsOf(spec: WindowSpec, access: KeyedAccess, state: number, at: CurrentNamespace): Contents {
  const { contents, evictor } = spec;
  if (evictor !== undefined) {
    const keepsEmpty = spec.assigner.kind === "session";
    return new EvictedContents(new ListHandle(access, state, at), evictor, contents, keepsEmpty);
  }
  if (contents.kind === "list") return new CollectedContents(new ListHandle(access, state, at));
  return new FoldedContents(new ValueHandle(access, state, at), foldOf(contents));
}

function foldOf(contents: Exclude<WindowContents, { kind: "list" }>): Fold {
  return contents.kind === "reduce" ? reduceFold(contents.reduce) : aggregateFold(contents.aggregator);
}

class FoldedContents implements Contents {
  private readonly state: ValueHandle;
  private readonly fold: Fold;

  constructor(state: ValueHandle, fold: Fold) {
    this.state = state;
    this.fold = fold;
  }

  add(value: unknown): boolean {
    return this.state.fold(value, this.fold);
  }

  get empty(): boolean {
    return this.state.get() === undefined;
  }

  result(): unknown {
    return this.fold.result(this.state.get());
  }

  given(): void {}

  raw(): unknown {
    return this.state.get();
  }

  merge(other: unknown): void {
    const own = this.state.get();
    this.state.set(own === undefined ? other : this.fold.merge?.(own, other));
  }

  purge(): void {
    this.state.set(undefined);
  }

  clear(): void {
    this.state.clear();
  }
}

class CollectedContents implements Contents {
  private readonly state: ListHandle;

  constructor(state: ListHandle) {
    this.state = state;
  }

  add(value: unknown): boolean {
    this.state.add(value);
    return this.state.peek().length === 1;
  }

  get empty(): boolean {
    return this.state.peek().length === 0;
  }

  result(): unknown {
    return this.state.peek();
  }

  given(): void {}

  raw(): unknown {
    return this.state.peek();
  }

  merge(other: unknown): void {
    this.state.addAll(other as readonly unknown[]);
  }

  purge(): void {
    this.state.empty();
  }

  clear(): void {
    this.state.clear();
  }
}

/** After Flink's EvictingWindowOperator: a fold is done over what is left when the window fires. */
class EvictedContents implements Contents {
  private readonly state: ListHandle;
  private readonly before: Evict;
  private readonly after: Evict;
  private readonly spec: WindowContents;
  private readonly keepsEmpty: boolean;
  /** What the firing that is under way has left. */
  private left: readonly WindowElement[] = [];

  constructor(state: ListHandle, evictor: EvictorSpec, spec: WindowContents, keepsEmpty: boolean) {
    const evict = evictorOf(evictor);
    const none: Evict = (elements) => elements;
    this.state = state;
    this.before = evictor.after ? none : evict;
    this.after = evictor.after ? evict : none;
    this.spec = spec;
    this.keepsEmpty = keepsEmpty;
  }

  add(value: unknown, timestamp: number): boolean {
    const element: WindowElement = [value, Number.isNaN(timestamp) ? null : timestamp];
    this.state.add(element);
    return this.state.peek().length === 1;
  }

  get empty(): boolean {
    return this.state.peek().length === 0;
  }

  result(): unknown {
    this.left = this.before(this.state.peek());
    const values = this.left.map(([value]) => value);
    if (this.spec.kind === "list") return values;
    return foldAll(this.spec, values);
  }

  given(): void {
    const left = this.after(this.left);
    this.left = [];
    if (left.length === this.state.peek().length) return;
    if (left.length === 0) this.drop();
    else this.state.update(left);
  }

  private drop(): void {
    if (this.keepsEmpty) this.state.empty();
    else this.state.clear();
  }

  raw(): unknown {
    return this.state.peek();
  }

  merge(other: unknown): void {
    this.state.addAll(other as readonly unknown[]);
  }

  purge(): void {
    this.state.empty();
  }

  clear(): void {
    this.state.clear();
  }
}

function foldAll(spec: Exclude<WindowContents, { kind: "list" }>, values: readonly unknown[]): unknown {
  if (spec.kind === "reduce") {
    const { reduce } = spec;
    return values.length === 0 ? nothingLeft : values.reduce((a, b) => reduce(a, b));
  }
  const { aggregator } = spec;
  let accumulator = aggregator.create();
  for (const value of values) accumulator = aggregator.add(accumulator, value);
  return aggregator.result(accumulator);
}
