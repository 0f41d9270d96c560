/**
 * Units of work: what one input record or one timer does. A unit that fails leaves no half-applied change.
 *
 * Two modes. *Plain*: nothing is copied; a unit that fails before it touched anything goes to the dead letters at once, any other
 * breaks the task, and the driver runs the batch again guarded. *Guarded*: rows are copied when first touched and outputs are
 * marked, so each failing unit is taken back by itself and its record goes to the dead letters (DESIGN §7, L14).
 *
 * After environments have died of something in a batch (L14), units of guarded mode are *watched* as well: they are counted, begin
 * only as far as they are allowed to, and those that are known to kill go to the dead letters in place of being run.
 *
 * U1 In guarded mode a unit that waits for state is finished before the next one begins (`interrupted`), and a record's unit begins
 *    only when nothing waits: a watermark that waits for timers cannot pass an open unit.
 */
import type { Key } from "../api/key.ts";
import { MillraceError } from "../base/errors.ts";
import type { Activity } from "../state/activity.ts";
import type { GivenBack } from "../api/given-back.ts";
import type { Namespace } from "../state/namespace.ts";
import type { TimerDomain } from "../state/timer.ts";
import { isPoison } from "./blame.ts";

/** Who is to blame when the unit fails: an input record, or a timer. */
export type UnitOrigin =
  | {
      readonly kind: "record";
      /** The operator that takes the record in. */
      readonly operator: () => string;
      readonly shard: string;
      readonly position: () => string;
      readonly bytes: () => Uint8Array;
      /** Of a record as it was read: the source. */
      readonly source?: string;
      /** What it is known by each time that it comes, where that is not its position. */
      readonly delivery?: () => string | undefined;
      /** Of a record of a file: the line that names its fields. */
      readonly header?: () => string | undefined;
      /** How it is given back, where its bytes are not a source's. */
      readonly back?: () => GivenBack | undefined;
    }
  | {
      readonly kind: "timer";
      readonly operator: string;
      readonly key: Key;
      readonly at: number;
      readonly domain: TimerDomain;
      /** Undefined: it cannot be given back, since its key's state goes. */
      readonly namespace?: Namespace;
    };

/** A unit that has killed environments: the `n`-th of what is watched, under this name. */
export interface Killer {
  readonly n: number;
  readonly name: string;
  readonly times: number;
}

/**
 * What tells units apart that have the same place among others: of a timer operator, key and time, of a record its position, or what it is
 * known by.
 */
export function nameOfUnit(origin: UnitOrigin): string {
  if (origin.kind === "record") return `record ${origin.shard} ${origin.delivery?.() ?? origin.position()}`;
  return `timer ${origin.operator} ${JSON.stringify(origin.key)} ${origin.domain} ${origin.at}`;
}

/** An error that stops the job, with the record or the timer that it came of: whoever reads it has no dead letter that says so. */
function located(error: MillraceError, origin: UnitOrigin): MillraceError {
  if (origin.kind === "timer") {
    const { key, at } = origin;
    const what = `timer of key ${JSON.stringify(key)} at ${at}`;
    return new MillraceError(error.kind, `${error.message}: ${what}`, {
      cause: error.cause,
      context: { ...error.context, key, at },
    });
  }
  const { shard } = origin;
  const position = origin.position();
  const what = `record at position ${position} of ${shard}`;
  return new MillraceError(error.kind, `${error.message}: ${what}`, {
    cause: error.cause,
    context: { ...error.context, shard, position },
  });
}

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
  /** How many have begun since `watch`. */
  begun = 0;
  /** The name of the one that waits for `allow`. */
  held: string | undefined;
  private allowed = Infinity;
  private killers: readonly Killer[] = [];
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

  /** Counts anew: guarded units from number `allowed` on wait for `allow`. */
  watch(allowed: number, killers: readonly Killer[]): void {
    this.begun = 0;
    this.held = undefined;
    this.allowed = allowed;
    this.killers = killers;
  }

  /** Lets units up to this number begin. */
  allow(allowed: number): void {
    this.held = undefined;
    this.allowed = allowed;
  }

  /** To be asked before a guarded unit begins. False: it waits, and its name is in `held`. */
  mayBegin(origin: UnitOrigin): boolean {
    if (this.begun < this.allowed) return true;
    this.held = nameOfUnit(origin);
    return false;
  }

  /** Puts the next unit into the dead letters if it is a known killer: it must not be touched again. */
  bury(origin: UnitOrigin): boolean {
    if (this.killers.length === 0) return false;
    const killer = this.killers.find(({ n, name }) => n === this.begun && name === nameOfUnit(origin));
    if (killer === undefined) return false;
    this.begun++;
    const operator = origin.kind === "record" ? origin.operator() : origin.operator;
    const what = `${killer.name} has killed the environment ${killer.times} times: out of memory, out of time, or an exit`;
    const error = new MillraceError("user", what, { context: { operator } });
    if (this.failOnUserError) throw error;
    this.keeper.deadLetter(origin, error);
    return true;
  }

  timer(origin: UnitOrigin & { kind: "timer" }, work: () => void): void {
    if (!this.guarded || this.open !== undefined) return work();
    this.guard(origin, work);
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
    if (this.bury(origin)) return;
    this.begun++;
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
      const origin = this.open as UnitOrigin;
      if (!this.mayDrop(error)) throw isPoison(error) ? located(error, origin) : error;
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
