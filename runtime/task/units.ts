/**
 * Units of work: what one input record or one timer does. A unit that fails leaves no half-applied change.
 *
 * Two modes. *Plain*: nothing is copied; a unit that fails before it touched anything goes to the dead letters at once, any other
 * breaks the task, and the driver runs the batch again guarded. *Guarded*: rows are copied when first touched and outputs are
 * marked, so each failing unit is taken back by itself and its record goes to the dead letters (DESIGN §7, L14).
 *
 * U1 In guarded mode a unit that waits for state is finished before the next one begins (`interrupted`), and a record's unit begins
 *    only when nothing waits: a watermark that waits for timers cannot pass an open unit.
 */
import type { Key } from "../api/key.ts";
import type { MillraceError } from "../base/errors.ts";
import type { Activity } from "../state/activity.ts";
import { isPoison } from "./blame.ts";

/** Who is to blame when the unit fails: an input record, or a timer. */
export type UnitOrigin =
  | { readonly kind: "record"; readonly shard: string; readonly position: () => string; readonly bytes: () => Uint8Array }
  | { readonly kind: "timer"; readonly operator: string; readonly key: Key; readonly at: number; readonly domain: string };

/** What the task does for its units. */
export interface UnitKeeper {
  /** From now on changes can be taken back. */
  mark(): void;
  takeBack(): void;
  /** Throws, blamed on an operator, when what the unit has done cannot be stored. */
  check(): void;
  forget(): void;
  /** True when records wait for state somewhere in the chain. */
  waiting(): boolean;
  deadLetter(origin: UnitOrigin, error: MillraceError): void;
}

export class Units {
  readonly activity: Activity;
  guarded = false;
  private readonly keeper: UnitKeeper;
  private readonly failOnUserError: boolean;
  private open: UnitOrigin | undefined;
  private readonly following: (() => void)[] = [];

  constructor(activity: Activity, keeper: UnitKeeper, failOnUserError: boolean) {
    this.activity = activity;
    this.keeper = keeper;
    this.failOnUserError = failOnUserError;
  }

  /** True while a guarded unit waits for state: nothing else may run. */
  get interrupted(): boolean {
    return this.open !== undefined;
  }

  timer(timer: Omit<UnitOrigin & { kind: "timer" }, "kind">, work: () => void): void {
    if (!this.guarded || this.open !== undefined) return work();
    this.guard({ kind: "timer", ...timer }, work);
  }

  /** Does this once the open unit is closed, whatever becomes of it; at once when none is open. */
  afterwards(work: () => void): void {
    if (this.open === undefined) work();
    else this.following.push(work);
  }

  private follow(): void {
    for (let next = this.following.shift(); next !== undefined; next = this.following.shift()) next();
  }

  /** Runs the work of one input record. */
  record(origin: UnitOrigin, work: () => void): void {
    if (this.guarded) return this.guard(origin, work);
    const before = this.activity.count;
    try {
      work();
    } catch (error) {
      if (!this.mayDrop(error) || this.activity.count !== before) throw error;
      this.keeper.deadLetter(origin, error);
    }
  }

  private guard(origin: UnitOrigin, work: () => void): void {
    this.keeper.mark();
    this.open = origin;
    this.attempt(work);
  }

  /** Goes on with the open unit after a load. */
  proceed(work: () => void): void {
    if (this.open === undefined) return work();
    this.attempt(work);
  }

  private attempt(work: () => void): void {
    let waiting = false;
    try {
      work();
      waiting = this.keeper.waiting();
      if (!waiting) this.keeper.check();
    } catch (error) {
      if (!this.mayDrop(error)) throw error;
      const origin = this.open as UnitOrigin;
      this.open = undefined;
      this.keeper.takeBack();
      this.keeper.deadLetter(origin, error);
      return this.follow();
    }
    if (waiting) return;
    this.open = undefined;
    this.keeper.forget();
    this.follow();
  }

  private mayDrop(error: unknown): error is MillraceError {
    return isPoison(error) && !(this.failOnUserError && error.kind === "user");
  }
}
