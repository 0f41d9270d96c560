/** What a test can make go wrong with a call: decided by a function of the call, so that a seed can decide it. */
import type { Input } from "./input.ts";
import type { KinesisErrorType } from "./kinesis-error.ts";

/** `dropBefore` and `dropAfter` cut the connection before the call took effect, and after it did. */
export type Fault =
  | { readonly kind: "delay"; readonly ms: number }
  | { readonly kind: "refuse"; readonly type: KinesisErrorType; readonly message?: string }
  | { readonly kind: "dropBefore" }
  | { readonly kind: "dropAfter" }
  /** PutRecords and PutRecord: refuses the records that the function picks, by their place in the request, as throttled. */
  | { readonly kind: "throttleRecords"; readonly picks: (index: number) => boolean };

export interface FaultyCall {
  readonly operation: string;
  readonly input: Input;
}

/** Undefined: the call goes well. A list: all of them, in the order given. */
export type Faults = (call: FaultyCall) => Fault | readonly Fault[] | undefined;
