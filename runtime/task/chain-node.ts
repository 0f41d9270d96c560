/**
 * One operator in the chain of a task: sets the key, fires timers, keeps the watermark, and waits where state is not loaded.
 *
 * Owns the operator's input order. Does not own state (keyed store), outputs beyond the chain, or time's source.
 *
 * N1 An operator sees its elements in the order in which they arrived: once it waits for a key group, everything behind waits too,
 *    while the rest of the task goes on, so that one load serves a whole batch.
 * N2 Event-time timers fire before the watermark is passed on, with the new watermark already in force (Flink's InternalTimerServiceImpl).
 * N3 At a commit nothing waits.
 * N4 Records may be taken in some at a time (lookahead.ts): before anything else comes to the operator, and at the end of each step of
 *    the task. Only where nothing can tell: no other operator of the task sees the same records, or meets the results further on.
 */
import type { Key } from "../api/key.ts";
import { maxWatermark, minWatermark } from "../time/watermark.ts";
import type { TwoInputChange, TwoInputValve } from "../time/two-input-valve.ts";
import type { WatermarkValve } from "../time/watermark-valve.ts";
import type { TimerQueue } from "../time/timer-queue.ts";
import type { Operator, KeyedOperatorHost } from "../operators/operator.ts";
import type { KeyedAccess } from "../state/keyed-access.ts";
import type { KeyedStore } from "../state/keyed-store.ts";
import { timerOf } from "../snapshots/given-letters.ts";
import { keptNamespace, type Namespace, voidNamespace } from "../state/namespace.ts";
import type { OperatorState } from "../state/operator-state.ts";
import { type ProcessingRow, Row } from "../state/row.ts";
import { Timer, type TimerDomain } from "../state/timer.ts";
import { blame } from "./blame.ts";
import { Lookahead } from "./lookahead.ts";
import type { NodeOutput } from "./node-output.ts";
import type { UnitOrigin, Units } from "./units.ts";

type Waiting =
  | {
      readonly kind: "record";
      readonly value: unknown;
      readonly timestamp: number;
      readonly input: number;
      readonly key: Key | undefined;
    }
  | { readonly kind: "watermark"; readonly at: number }
  | { readonly kind: "status"; readonly active: boolean }
  | { readonly kind: "time" }
  /** What failed once, and was given back. */
  | { readonly kind: "again"; readonly value: unknown; readonly timestamp: number; readonly key: Key | undefined };

/** Keyed state and timers of a node. */
export interface NodeState {
  readonly store: KeyedStore;
  readonly access: KeyedAccess;
  readonly eventTimers: TimerQueue<Row>;
  readonly processingTimers: TimerQueue<ProcessingRow>;
}

/** What a node keeps: by key, and for its task. */
export interface NodeStates {
  readonly keyed?: NodeState | undefined;
  readonly operator?: OperatorState | undefined;
}

/** What a node shares with its task. */
export interface TaskShared {
  readonly units: Units;
  now: number;
  /** Processing-time timers up to here are due: up to `now`, or a little before. */
  readonly passed: number;
  /** In guarded mode: nodes after this one wait for state, so no new unit of work may begin here (U1). */
  pauses(node: ChainNode): boolean;
  /** Of the source record that is being taken in. */
  partitionKey(): string;
  count(operator: string, name: string, n: number): void;
}

export class ChainNode implements KeyedOperatorHost {
  readonly uid: string;
  readonly output: NodeOutput;
  readonly state: NodeState | undefined;
  readonly operatorState: OperatorState | undefined;
  /** Set when the node has more than one input. */
  valve: WatermarkValve | TwoInputValve | undefined;
  current = minWatermark;
  private operator: Operator | undefined;
  private ahead: Lookahead | undefined;
  protected readonly shared: TaskShared;
  private waiting: Waiting[] = [];
  /** The timer that fires, where it is the only one of its row: an object for each would be thrown away at once. */
  /** Of no use but that looks at rows are not optimised away. */
  protected seen = 0;
  private readonly windowEnd = new Timer("eventTime", 0, voidNamespace);

  constructor(uid: string, output: NodeOutput, states: NodeStates, shared: TaskShared) {
    this.uid = uid;
    this.output = output;
    this.state = states.keyed;
    this.operatorState = states.operator;
    this.shared = shared;
    if (this.state !== undefined) this.state.access.clock = shared;
  }

  /** Called once, after construction: the operator is made with this node as its host. */
  run(operator: Operator): void {
    this.operator = operator;
  }

  /** Called once, before the first element: records may be taken in some at a time. */
  lookAhead(): void {
    this.ahead = new Lookahead();
  }

  get access(): KeyedAccess {
    return (this.state as NodeState).access;
  }

  watermark(): number {
    return this.current;
  }

  processingTime(): number {
    return this.shared.now;
  }

  count(name: string, n: number): void {
    this.shared.count(this.uid, name, n);
  }

  /** True when elements wait for key groups. */
  get blocked(): boolean {
    return this.waiting.length > 0;
  }

  record(value: unknown, timestamp: number, input: number, key: Key | undefined): void {
    const { ahead } = this;
    if (ahead === undefined || key === undefined) return this.takeRecord(value, timestamp, input, key);
    const { units } = this.shared;
    // A unit of work that is guarded ends with its record.
    if (typeof key !== "string" || units.guarded) {
      this.catchUp();
      return this.takeRecord(value, timestamp, input, key);
    }
    units.activity.count++;
    if (ahead.add(key, value, timestamp, input)) this.catchUp();
  }

  /** Takes in the records that it has been given and not yet seen (N4). */
  catchUp(): void {
    const { ahead } = this;
    if (ahead === undefined || ahead.count === 0) return;
    const { keys, values, timestamps, inputs } = ahead;
    const count = ahead.take();
    const { store } = this.state as NodeState;
    store.lookAhead(keys, count);
    for (let i = 0; i < count; i++) {
      const value = values[i];
      const timestamp = timestamps[i] as number;
      const input = inputs[i] as number;
      const row = this.waiting.length > 0 ? undefined : store.findAhead(keys[i] as string, i);
      if (row === undefined || !this.tryRow(row, value, timestamp, input)) this.takeRecord(value, timestamp, input, keys[i]);
    }
  }

  /** It has been given records that it has not seen. */
  get keepsBack(): boolean {
    return this.ahead !== undefined && this.ahead.count > 0;
  }

  private takeRecord(value: unknown, timestamp: number, input: number, key: Key | undefined): void {
    if (this.waiting.length > 0) {
      if (key !== undefined) this.state?.store.want(key);
      this.shared.units.activity.count++;
      this.waiting.push({ kind: "record", value, timestamp, input, key });
      return;
    }
    if (!this.tryRecord(value, timestamp, input, key)) this.waiting.push({ kind: "record", value, timestamp, input, key });
  }

  private tryRecord(value: unknown, timestamp: number, input: number, key: Key | undefined): boolean {
    if (this.state === undefined || key === undefined) return this.tryRow(undefined, value, timestamp, input);
    const row = this.state.store.find(key);
    return row !== undefined && this.tryRow(row, value, timestamp, input);
  }

  private tryRow(row: Row | undefined, value: unknown, timestamp: number, input: number): boolean {
    this.state?.access.setRow(row);
    if (this.operatorState?.open() === false) return false;
    try {
      (this.operator as Operator).onRecord(value, timestamp, input);
    } catch (error) {
      throw blame(error, this.uid);
    }
    return true;
  }

  /** What failed once comes again: a timer of the key, or what its sink is given back. */
  again(value: unknown, timestamp: number, key: Key | undefined): void {
    this.catchUp();
    if (this.waiting.length > 0) {
      if (key !== undefined) this.state?.store.want(key);
      this.waiting.push({ kind: "again", value, timestamp, key });
    } else if (!this.tryAgain(value, timestamp, key)) this.waiting.push({ kind: "again", value, timestamp, key });
  }

  private tryAgain(value: unknown, timestamp: number, key: Key | undefined): boolean {
    if (this.state === undefined || key === undefined) return this.tryOnAgain(value, timestamp);
    const row = this.state.store.find(key);
    if (row === undefined || this.operatorState?.open() === false) return false;
    const timer = timerOf(value);
    this.state.store.use(row);
    this.access.setRow(row);
    // Set once more meanwhile, it is the same timer.
    this.access.cancelTimer(timer.domain, timer.at, timer.namespace);
    try {
      if (this.operator?.onTimerAgain !== undefined) this.operator.onTimerAgain(timer);
      else this.operator?.onTimer?.(timer);
    } catch (error) {
      throw blame(error, this.uid);
    }
    this.state.store.schedule(row);
    return true;
  }

  private tryOnAgain(value: unknown, timestamp: number): boolean {
    try {
      this.operator?.onAgain?.(value, timestamp);
    } catch (error) {
      throw blame(error, this.uid);
    }
    return true;
  }

  /** Who is to blame when a timer that was given back fails again. */
  originAgain(value: unknown, key: Key): UnitOrigin {
    const { domain, at, namespace } = timerOf(value);
    return { kind: "timer", operator: this.uid, key, at, domain, namespace };
  }

  /** The callback of a timer has failed, and what it did is taken back. */
  timerFailed({ key, domain, at, namespace }: UnitOrigin & { readonly kind: "timer" }): void {
    const row = namespace && this.operator?.onTimerFailed && this.state?.store.find(key);
    if (row === undefined) return;
    (this.state as NodeState).store.use(row);
    this.access.setRow(row);
    this.operator?.onTimerFailed?.(new Timer(domain, at, namespace as Namespace));
  }

  /** Takes a watermark of one input. */
  receiveWatermark(input: string, at: number): void {
    this.catchUp();
    if (this.valve === undefined) return this.advance(at);
    if (at === maxWatermark) return this.applyChange(this.valve.finish(input));
    const output = this.valve.advance(input, at);
    if (output !== undefined) this.advance(output);
  }

  /** Takes the status of one input: idle inputs do not hold the watermark back. */
  receiveStatus(input: string, active: boolean): void {
    this.catchUp();
    if (this.valve === undefined) return this.passStatus(active);
    this.applyChange(this.valve.setStatus(input, active));
  }

  /** Passes on what became of a change of the valve: "active" before the watermark, "idle" after it. */
  applyChange({ status, flushed, watermark }: TwoInputChange): void {
    if (status === "active") this.passStatus(true);
    if (flushed !== undefined) this.advance(flushed);
    if (watermark !== undefined) this.advance(watermark);
    if (status === "idle") this.passStatus(false);
  }

  protected passStatus(active: boolean): void {
    if (this.waiting.length > 0) this.waiting.push({ kind: "status", active });
    else this.output.status(active);
  }

  advance(at: number): void {
    if (at <= this.current && this.waiting.length === 0) this.output.watermark(at);
    else if (this.waiting.length > 0 || !this.tryAdvance(at)) this.waiting.push({ kind: "watermark", at });
  }

  private tryAdvance(at: number): boolean {
    if (this.state !== undefined) {
      const { store, eventTimers } = this.state;
      if (store.wantDue("eventTime", at) || this.operatorState?.open() === false) return false;
      this.current = Math.max(this.current, at);
      if (!this.fire("eventTime", eventTimers, at)) return false;
    }
    this.current = Math.max(this.current, at);
    this.output.watermark(at);
    return true;
  }

  /** Fires the processing-time timers that are due now. */
  passTime(): void {
    if (this.state === undefined) return;
    if (this.waiting.length > 0 || !this.tryTime()) this.waiting.push({ kind: "time" });
  }

  private tryTime(): boolean {
    const { store, processingTimers } = this.state as NodeState;
    const { passed } = this.shared;
    if (store.wantDue("processingTime", passed) || this.operatorState?.open() === false) return false;
    return this.fire("processingTime", processingTimers, passed);
  }

  /** Fires all timers up to `upTo`, also those set meanwhile. False: it must go on after a load (only when units are guarded). */
  protected fire(domain: TimerDomain, queue: TimerQueue<Row> | TimerQueue<ProcessingRow>, upTo: number): boolean {
    for (let due = queue.popDue(upTo); due !== undefined; due = queue.popDue(upTo)) {
      const { at, rows } = due;
      for (let i = 0; i < rows.length; i++) {
        if (i % rowsAhead === 0) this.seen = lookAtRows(rows, i);
        if (this.fireRow(domain, rowOf(rows[i] as Row | ProcessingRow), at)) continue;
        for (const queued of rows.slice(i)) (this.state as NodeState).store.schedule(rowOf(queued));
        return false;
      }
      if (this.shared.pauses(this)) return false;
    }
    return true;
  }

  private fireRow(domain: TimerDomain, row: Row, at: number): boolean {
    const { store } = this.state as NodeState;
    const retains = domain === "eventTime" && store.retentionMs < Infinity;
    if (retains) store.dropOver(row, this.current);
    const window = domain === "eventTime" ? row.onlyWindowEndingAt(at, store.retentionMs) : undefined;
    if (window === undefined ? !this.fireAll(domain, row, at) : !this.fireOnly(row, at, window)) return false;
    if (retains && at + store.retentionMs <= this.current) store.dropOver(row, this.current);
    store.schedule(row);
    return true;
  }

  private fireAll(domain: TimerDomain, row: Row, at: number): boolean {
    const due = row.timersAt(domain, at);
    for (let i = 0; i < due.length; i++) {
      if (this.shared.pauses(this)) return false;
      const timer = due[i] as Timer;
      // One that fired before it at the same time may have cancelled it.
      if (i > 0 && !row.hasTimer(domain, at, timer.namespace)) continue;
      if (this.isHeld(row, timer)) return false;
      this.fireTimer(row, timer);
    }
    return true;
  }

  /** Nearly every row is one window with one timer. */
  private fireOnly(row: Row, at: number, window: Namespace): boolean {
    if (this.shared.pauses(this)) return false;
    const { windowEnd } = this;
    windowEnd.at = at;
    windowEnd.namespace = window;
    if (this.isHeld(row, windowEnd)) return false;
    this.fireTimer(row, windowEnd);
    return true;
  }

  private fireTimer(row: Row, timer: Timer): void {
    const { access } = this.state as NodeState;
    access.setRow(row);
    access.cancelTimer(timer.domain, timer.at, timer.namespace);
    if (this.shared.units.guarded) this.fireGuarded(row, timer.copy());
    else this.callOnTimer(row, timer);
  }

  private fireGuarded(row: Row, timer: Timer): void {
    this.shared.units.timer(this.originOf(row, timer), () => this.callOnTimer(row, timer));
  }

  /** True when the timer must not fire yet. */
  private isHeld(row: Row, timer: Timer): boolean {
    const { units } = this.shared;
    return units.guarded && !units.mayBegin(this.originOf(row, timer));
  }

  protected originOf(row: Row, { at, domain, namespace }: Timer): UnitOrigin & { kind: "timer" } {
    return { kind: "timer", operator: this.uid, key: row.key, at, domain, namespace: keptNamespace(namespace) };
  }

  private callOnTimer(row: Row, timer: Timer): void {
    const { access, store } = this.state as NodeState;
    store.use(row);
    access.setRow(row);
    try {
      this.operator?.onTimer?.(timer);
    } catch (error) {
      throw blame(error, this.uid);
    }
  }

  /** The key of the row has ended (batch mode). False: it must not be told yet. */
  protected fireKeyEnd(row: Row): boolean {
    const { operator } = this;
    if (operator?.onKeyEnd === undefined) return true;
    const { access, store } = this.state as NodeState;
    const { units } = this.shared;
    const origin = { kind: "timer", operator: this.uid, key: row.key, at: maxWatermark, domain: "eventTime" } as const;
    if (units.guarded && !units.mayBegin(origin)) return false;
    units.timer(origin, () => {
      store.use(row);
      access.setRow(row);
      try {
        operator.onKeyEnd?.();
      } catch (error) {
        throw blame(error, this.uid);
      }
    });
    return true;
  }

  /** Goes on with what waits, after a load. False: something waits again. */
  resume(): boolean {
    const waiting = this.waiting;
    this.waiting = [];
    for (let i = 0; i < waiting.length; i++) {
      if (this.take(waiting[i] as Waiting)) continue;
      this.waiting = [...waiting.slice(i), ...this.waiting];
      this.wantAll();
      return false;
    }
    return true;
  }

  private take(item: Waiting): boolean {
    if (!isOfUnit(item) && this.shared.pauses(this)) return false;
    switch (item.kind) {
      case "record":
        return this.tryRecord(item.value, item.timestamp, item.input, item.key);
      case "again":
        return this.tryAgain(item.value, item.timestamp, item.key);
      case "watermark":
        return this.tryAdvance(item.at);
      case "time":
        return this.tryTime();
      case "status":
        this.output.status(item.active);
        return true;
    }
  }

  private wantAll(): void {
    for (const item of this.waiting) if (isOfUnit(item) && item.key !== undefined) this.state?.store.want(item.key);
  }

  /** True when records wait: in guarded mode they are part of the open unit. */
  get holdsRecords(): boolean {
    return this.waiting.some(isOfUnit);
  }

  /** Forgets records that wait: they belong to a unit of work that is taken back. */
  dropWaitingRecords(): void {
    this.waiting = this.waiting.filter((item) => !isOfUnit(item));
  }
}

/** It is the open unit's. */
function isOfUnit(item: Waiting): item is Waiting & { readonly kind: "record" | "again" } {
  return item.kind === "record" || item.kind === "again";
}

/** So many rows are looked at before they fire: they lie scattered in memory, and are then fetched side by side. */
const rowsAhead = 16;

function lookAtRows(rows: readonly (Row | ProcessingRow)[], from: number): number {
  const to = Math.min(rows.length, from + rowsAhead);
  let seen = 0;
  for (let i = from; i < to; i++) {
    const { key, hash } = rows[i] as Row | ProcessingRow;
    seen += hash;
    if (typeof key === "string") seen += key.length;
  }
  for (let i = from; i < to; i++) seen += rowOf(rows[i] as Row | ProcessingRow).otherCount;
  return seen | 0;
}

function rowOf(queued: Row | ProcessingRow): Row {
  return queued instanceof Row ? queued : queued.row;
}
