/**
 * Handles of state that expires (E1). After Flink's TtlValueState, TtlListState, TtlMapState, TtlReducingState, TtlAggregatingState.
 *
 * H1 A read that finds something expired drops it; of a list that is read without relaxed visibility only when half of it has expired,
 *    so that dropping costs no more than adding did.
 * H2 A read that prolongs life is a write; within one turn only the first.
 */
import type { KeyPart } from "../api/key.ts";
import type { Fold, FoldingState, ListState, MapState, StateDeclaration, TtlDeclaration, ValueState } from "../api/state.ts";
import type { Cell } from "./cell.ts";
import { type CurrentNamespace, FoldingHandle, Handle, type KeyedAccess, ListHandle } from "./keyed-access.ts";
import type { Namespace } from "./namespace.ts";
import { isExpired, type Timed } from "./ttl.ts";

class TtlValueHandle extends Handle implements ValueState<any> {
  private readonly ttl: TtlDeclaration;

  constructor(access: KeyedAccess, state: number, at: CurrentNamespace, ttl: TtlDeclaration) {
    super(access, state, at);
    this.ttl = ttl;
  }

  get(): any {
    const cell = this.cell();
    if (cell === undefined) return undefined;
    const { now } = this.access.clock;
    const [writtenAt, value] = cell.value as Timed;
    if (isExpired(cell.value, this.ttl, now)) {
      this.clear();
      return this.ttl.returnExpired ? value : undefined;
    }
    if (this.ttl.refreshOnRead && writtenAt !== now) this.write(cell, value, now);
    return value;
  }

  set(value: any): void {
    const { now } = this.access.clock;
    const cell = this.cell();
    if (cell === undefined) this.change(this.access.row.make(this.state, this.at.namespace, "value", [now, value]));
    else this.write(cell, value, now);
  }

  private write(cell: Cell, value: any, now: number): void {
    cell.value = [now, value];
    this.change(cell);
  }
}

class TtlListHandle extends ListHandle implements ListState<any> {
  private readonly ttl: TtlDeclaration;

  constructor(access: KeyedAccess, state: number, at: CurrentNamespace, ttl: TtlDeclaration) {
    super(access, state, at);
    this.ttl = ttl;
  }

  override get(): readonly any[] {
    const cell = this.cell();
    if (cell === undefined) return [];
    const { ttl } = this;
    const { now } = this.access.clock;
    const items: readonly Timed[] = cell.value;
    const alive = items.filter((item) => !isExpired(item, ttl, now));
    const given = ttl.returnExpired ? items : alive;
    const result = given.map(([, value]) => value);
    if (alive.length === 0) this.clear();
    else if (this.mustReplace(items, alive, now))
      this.replace(cell, ttl.refreshOnRead ? alive.map(([, value]) => [now, value] as const) : alive);
    return result;
  }

  private mustReplace(items: readonly Timed[], alive: readonly Timed[], now: number): boolean {
    const expired = items.length - alive.length;
    if (this.ttl.refreshOnRead && alive.some(([writtenAt]) => writtenAt !== now)) return true;
    return this.ttl.returnExpired ? expired > 0 : expired >= alive.length;
  }

  private replace(cell: Cell, items: readonly Timed[]): void {
    cell.value = [...items];
    cell.replaced = true;
    this.change(cell);
  }

  override peek(): readonly any[] {
    return this.get();
  }

  override add(value: any): void {
    super.add([this.access.clock.now, value]);
  }

  override update(values: Iterable<any>): void {
    const { now } = this.access.clock;
    super.update([...values].map((value) => [now, value]));
  }
}

class TtlMapHandle extends Handle implements MapState<KeyPart, any> {
  private readonly ttl: TtlDeclaration;

  constructor(access: KeyedAccess, state: number, at: CurrentNamespace, ttl: TtlDeclaration) {
    super(access, state, at);
    this.ttl = ttl;
  }

  get(key: KeyPart): any {
    return this.read(key)?.[1];
  }

  has(key: KeyPart): boolean {
    return this.read(key) !== undefined;
  }

  /** The entry as a reader may see it. */
  private read(key: KeyPart): Timed | undefined {
    const cell = this.cell();
    const item: Timed | undefined = cell?.value.get(key);
    if (cell === undefined || item === undefined) return undefined;
    const { now } = this.access.clock;
    if (isExpired(item, this.ttl, now)) {
      this.delete(key);
      return this.ttl.returnExpired ? item : undefined;
    }
    if (this.ttl.refreshOnRead && item[0] !== now) this.write(cell, key, [now, item[1]]);
    return item;
  }

  entries(): Iterable<readonly [KeyPart, any]> {
    const entries: [KeyPart, any][] = [];
    for (const key of [...((this.cell()?.value as Map<KeyPart, Timed> | undefined)?.keys() ?? [])]) {
      const item = this.read(key);
      if (item !== undefined) entries.push([key, item[1]]);
    }
    return entries;
  }

  /** Looks without reading: nothing is prolonged, nothing dropped. */
  isEmpty(): boolean {
    const { now } = this.access.clock;
    const items = (this.cell()?.value as Map<KeyPart, Timed> | undefined)?.values() ?? [];
    for (const item of items) if (this.ttl.returnExpired || !isExpired(item, this.ttl, now)) return false;
    return true;
  }

  set(key: KeyPart, value: any): void {
    const cell = this.cell() ?? this.access.row.make(this.state, this.at.namespace, "map", new Map());
    this.write(cell, key, [this.access.clock.now, value]);
  }

  private write(cell: Cell, key: KeyPart, item: Timed): void {
    cell.value.set(key, item);
    this.note(cell, key);
  }

  private note(cell: Cell, key: KeyPart): void {
    (cell.changed ??= new Set()).add(key);
    this.change(cell);
  }

  delete(key: KeyPart): void {
    const cell = this.cell();
    if (!cell?.value.delete(key)) return;
    if (cell.value.size === 0) this.clear();
    else this.note(cell, key);
  }
}

class TtlFoldingHandle extends FoldingHandle implements FoldingState<any, any> {
  private readonly ttl: TtlDeclaration;

  constructor(access: KeyedAccess, state: number, at: CurrentNamespace, fold: Fold, ttl: TtlDeclaration) {
    super(access, state, at, fold);
    this.ttl = ttl;
  }

  override get(): any {
    const cell = this.cell();
    if (cell === undefined) return undefined;
    const { now } = this.access.clock;
    const [writtenAt, accumulator] = cell.value as Timed;
    if (isExpired(cell.value, this.ttl, now)) {
      this.clear();
      return this.ttl.returnExpired ? this.fold.result(accumulator) : undefined;
    }
    if (this.ttl.refreshOnRead && writtenAt !== now) this.write(cell, accumulator);
    return this.fold.result(accumulator);
  }

  override add(value: any): void {
    const cell = this.cell();
    if (cell === undefined) return this.make(this.at.namespace, [this.access.clock.now, this.fold.first(value)]);
    const known = this.visible(cell.value);
    this.write(cell, known === undefined ? this.fold.first(value) : this.fold.add(known[1], value));
  }

  /** What can still be folded into. */
  private visible(item: Timed): Timed | undefined {
    return this.ttl.returnExpired || !isExpired(item, this.ttl, this.access.clock.now) ? item : undefined;
  }

  private write(cell: Cell, accumulator: any): void {
    cell.value = [this.access.clock.now, accumulator];
    this.change(cell);
  }

  /** What has expired is left out; what two have become is written now. */
  protected override mergeIn(into: Namespace, item: any): void {
    const { merge } = this.fold;
    if (merge === undefined) return super.mergeIn(into, item);
    const cell = this.access.row.find(this.state, into);
    const [known, added] = [cell && this.visible(cell.value), this.visible(item)];
    if (cell === undefined) {
      if (added !== undefined) this.make(into, added);
    } else if (known !== undefined && added !== undefined) this.write(cell, merge(known[1], added[1]));
    else if (added !== undefined) {
      cell.value = added;
      this.change(cell);
    }
  }
}

export type TtlHandle = TtlValueHandle | TtlListHandle | TtlMapHandle | TtlFoldingHandle;

/** The handle of a state with a ttl. */
export function ttlHandle(
  { kind, fold }: StateDeclaration,
  ttl: TtlDeclaration,
  access: KeyedAccess,
  state: number,
  at: CurrentNamespace,
): TtlHandle {
  if (kind === "list") return new TtlListHandle(access, state, at, ttl);
  if (kind === "map") return new TtlMapHandle(access, state, at, ttl);
  if (fold !== undefined) return new TtlFoldingHandle(access, state, at, fold, ttl);
  return new TtlValueHandle(access, state, at, ttl);
}
