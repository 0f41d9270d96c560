/** What a window holds: one value folded from its records, or the records themselves. */
import type { WindowContents } from "../../api/graph.ts";
import { aggregateFold, type Fold, reduceFold } from "../../api/state.ts";
import { type CurrentNamespace, type KeyedAccess, ListHandle, ValueHandle } from "../../state/keyed-access.ts";

/** Contents of the window that the namespace stands at. */
export interface Contents {
  /** True when there were none before. */
  add(value: unknown): boolean;
  readonly empty: boolean;
  /** What the result function sees: the folded result, or the list. */
  result(): unknown;
  /** Takes contents that were read by `raw` under another namespace. */
  merge(other: unknown): void;
  raw(): unknown;
  /** Empties the contents, but keeps the window. */
  purge(): void;
  clear(): void;
}

export function contentsOf(spec: WindowContents, access: KeyedAccess, state: number, at: CurrentNamespace): Contents {
  if (spec.kind === "list") return new CollectedContents(new ListHandle(access, state, at));
  const value = new ValueHandle(access, state, at);
  return new FoldedContents(value, spec.kind === "reduce" ? reduceFold(spec.reduce) : aggregateFold(spec.aggregator));
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
