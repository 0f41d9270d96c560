/**
 * State of an operator outside keys: one row of one key group, in a keyed store of its own under the operator's second name, so that
 * commits, bases, pages, catch-up and loading treat it as any other row.
 *
 * Owns what becomes of it when tasks are others than those that wrote it. The store keeps the parts of all tasks before as they are
 * (version 0 of its only index entry) until the next base; whoever loads them makes the same of them.
 *
 * O1 Taking over is a function of the stored parts, in their order, and of the task's share: every environment comes to the same.
 * O2 A list state's items are dealt out over its tasks without loss or copy; a union's go to all; of broadcast state one copy does.
 */
import type { StateDeclaration, StateKind } from "../api/state.ts";
import { assert } from "../base/assert.ts";
import { fullRange } from "../streaming/hash-range.ts";
import type { Activity } from "./activity.ts";
import { CurrentNamespace, KeyedAccess, ListHandle, MapHandle } from "./keyed-access.ts";
import { KeyedStore, type TimerSchedule } from "./keyed-store.ts";
import { type Namespace, voidNamespace } from "./namespace.ts";
import type { Row } from "./row.ts";
import type { IndexEntry, OperatorIndex } from "./state-index.ts";

/** The key of the only row, and its key group. */
export const operatorKey = 0;
const suffix = ":operator";

/** Under which the state outside keys is stored; no uid has a colon. */
export function operatorStoreName(uid: string): string {
  return uid + suffix;
}

/** The operator that a store belongs to. */
export function ownerOf(store: string): string {
  return store.endsWith(suffix) ? store.slice(0, -suffix.length) : store;
}

/**
 * What a task takes over of a list that tasks before it kept. `own`: the part of the task that it goes on from, if that had any.
 * `dealt`: of all items together, every `of`-th from `index` on.
 */
export type Share =
  | { readonly kind: "own"; readonly part: number | undefined }
  | { readonly kind: "dealt"; readonly index: number; readonly of: number };

const nothing: Share = { kind: "own", part: undefined };

/** Under which a union's row keeps what came with a restore and was not touched since. */
const inherited: Namespace = { start: 0, end: 0 };

const noTimers: TimerSchedule<any> = { schedule: () => {}, remove: () => {}, peek: () => Infinity };

export interface OperatorStoreOptions {
  readonly operator: string;
  readonly states: ReadonlyMap<string, StateDeclaration>;
  readonly share: Share | undefined;
  readonly activity: Activity;
}

/** The state outside keys of one operator in one task. */
export class OperatorState {
  readonly access: KeyedAccess;

  constructor({ operator, states, share = nothing, activity }: OperatorStoreOptions, index?: OperatorIndex) {
    const store = new KeyedStore(
      {
        operator: operatorStoreName(operator),
        states,
        keyGroups: 1,
        hashing: "murmur3",
        range: fullRange,
        eventTimers: noTimers,
        processingTimers: noTimers,
        activity,
        takeOver: (parts, row) => takeOver([...states.values()], parts, share, row),
      },
      index,
    );
    this.access = new KeyedAccess(store);
  }

  get store(): KeyedStore {
    return this.access.store;
  }

  /** To be called before each use. False: the state must be loaded first, the store names it as missing. */
  open(): boolean {
    const row = this.access.store.find(operatorKey);
    if (row === undefined) return false;
    this.access.setRow(row);
    return true;
  }

  /** By name: list handles, and map handles of broadcast state. */
  handles(): Record<string, ListHandle | MapHandle> {
    const { access } = this;
    const at = new CurrentNamespace();
    const handle = (kind: StateKind, state: number) =>
      kind === "broadcast"
        ? new MapHandle(access, state, at)
        : kind === "union"
          ? new UnionHandle(access, state, at)
          : new ListHandle(access, state, at);
    return Object.fromEntries([...access.store.states].map(([name, { kind }], state) => [name, handle(kind, state)]));
  }
}

/**
 * The index of state that several tasks kept, to be taken over by others: their entries as one, in the order of the tasks. `copyOf`: of
 * which of them a copy is taken.
 */
export function joinOperatorEntries(
  entries: readonly IndexEntry[],
  states: ReadonlyMap<string, StateDeclaration>,
  copyOf: (entries: readonly IndexEntry[]) => IndexEntry | undefined,
): IndexEntry | undefined {
  const [first] = entries;
  if (first === undefined) return undefined;
  assert(
    entries.every((entry) => entry.parts.length === 1),
    "a base writes all state outside keys as one part",
  );
  // Copies of a broadcast state are all the same, but for what one of the tasks could not take in.
  const onlyCopies = [...states.values()].every(({ kind }) => kind === "broadcast");
  const sizeBytes = entries.reduce((sum, entry) => sum + entry.sizeBytes, 0);
  if (!onlyCopies) return { ...first, version: 0, sizeBytes, parts: entries.flatMap((entry) => entry.parts) };
  const copy = copyOf(entries);
  return copy && { ...first, version: 0, sizeBytes, parts: copy.parts };
}

function takeOver(states: readonly StateDeclaration[], parts: readonly Row[], share: Share, row: Row): void {
  states.forEach(({ kind }, state) => {
    if (kind === "broadcast") takeCopy(parts, state, row);
    else if (kind === "union") takeAll(parts, state, row);
    else takeShare(parts, state, share, row);
  });
}

function takeCopy(parts: readonly Row[], state: number, row: Row): void {
  const copy = parts.find((part) => part.find(state, voidNamespace) !== undefined)?.find(state, voidNamespace);
  if (copy !== undefined) row.make(state, voidNamespace, "map", copy.value);
}

function itemsOf(part: Row | undefined, state: number, namespace: Namespace): readonly unknown[] {
  return part?.find(state, namespace)?.value ?? [];
}

function takeShare(parts: readonly Row[], state: number, share: Share, row: Row): void {
  const items =
    share.kind === "own"
      ? itemsOf(share.part === undefined ? undefined : parts[share.part], state, voidNamespace)
      : parts.flatMap((part) => itemsOf(part, state, voidNamespace)).filter((_, place) => place % share.of === share.index);
  if (items.length > 0) row.make(state, voidNamespace, "list", [...items]);
}

/** What all tasks had been given before counts once; what they added since, each. */
function takeAll(parts: readonly Row[], state: number, row: Row): void {
  const before = parts.find((part) => part.find(state, inherited) !== undefined);
  const items = [...itemsOf(before, state, inherited), ...parts.flatMap((part) => itemsOf(part, state, voidNamespace))];
  if (items.length > 0) row.make(state, inherited, "list", items);
}

/** A union's list: what came with a restore, then what the task has added. */
export class UnionHandle extends ListHandle {
  private readonly given: ListHandle;

  constructor(access: KeyedAccess, state: number, at: CurrentNamespace) {
    super(access, state, at);
    const before = new CurrentNamespace();
    before.namespace = inherited;
    this.given = new ListHandle(access, state, before);
  }

  override get(): readonly any[] {
    const given = this.given.get();
    return given.length === 0 ? super.get() : [...given, ...super.get()];
  }

  override update(values: Iterable<any>): void {
    const items = [...values];
    this.given.clear();
    super.update(items);
  }

  override clear(): void {
    this.given.clear();
    super.clear();
  }
}
