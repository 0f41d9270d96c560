/**
 * What an operator is to the task that runs it.
 *
 * O1 An operator is synchronous and has no state but its handles: what it must remember goes through keyed state.
 * O2 Inside handlers a missing timestamp is NaN; authors see undefined.
 * O3 The host has set the current key before `onRecord` and `onTimer` of a keyed operator.
 */
import type { KeyedAccess } from "../state/keyed-access.ts";
import type { OperatorState } from "../state/operator-state.ts";
import type { Timer } from "../state/timer.ts";

/** Where results go. */
export interface Output {
  emit(value: unknown, timestamp: number): void;
  emitTo(tag: string, value: unknown, timestamp: number): void;
}

/** What the task gives an operator; valid for the operator's life. */
export interface OperatorHost {
  readonly uid: string;
  readonly output: Output;
  /** Current watermark, epoch ms; -Infinity before the first. */
  watermark(): number;
  /** The turn's processing time, epoch ms. */
  processingTime(): number;
  count(name: string, n: number): void;
  /** Of an operator that declares state outside keys. The host has opened it before any handler runs. */
  readonly operatorState?: OperatorState | undefined;
}

/** What a keyed operator has beside it. */
export interface KeyedOperatorHost extends OperatorHost {
  readonly access: KeyedAccess;
}

export interface Operator {
  onRecord(value: any, timestamp: number, input: number): void;
  onTimer?(timer: Timer): void;
  /** A timer's callback has failed, and what it did is taken back; the timer has gone. */
  onTimerFailed?(timer: Timer): void;
  /** Such a timer is given back; default: `onTimer`. */
  onTimerAgain?(timer: Timer): void;
  /** Of a sink: what it is given back (snapshots/given-letters.ts). */
  onAgain?(value: unknown, timestamp: number): void;
  /** Batch mode: the current key has had all its records, and its timers have fired. */
  onKeyEnd?(): void;
}
