/** Lets the first value of each key pass: what a source delivers at least once comes out once. */
import type { Duration } from "./duration.ts";
import type { KeyedProcessFunction, Type } from "./functions.ts";
import { invalid } from "./invalid.ts";
import type { Key } from "./key.ts";
import { type StateDescriptor, value } from "./state.ts";

export interface FirstOfKeyOptions {
  /** So long, in processing time, a key is remembered after its first value; what comes later passes again. */
  readonly within: Duration;
}

/**
 * For `process` of a stream that is keyed by what tells repetitions: `.keyBy(({ id }) => id).process("once", firstOfKey({ within: days(1) }))`.
 * Costs a row of state for each key of that time. Throws `invalid` for a time that is none.
 */
export function firstOfKey<T, K extends Key = Key>({
  within,
}: FirstOfKeyOptions): KeyedProcessFunction<K, T, T, { readonly seen: StateDescriptor<any> }> {
  if (!(within > 0)) throw invalid("firstOfKey remembers keys for a time above zero", { within });
  return {
    output: {} as Type<T>,
    state: { seen: value<true>({ ttl: within }) },
    onRecord: (given, ctx) => {
      const seen = ctx.state.seen as { get(): true | undefined; set(value: true): void };
      if (seen.get() !== undefined) return;
      seen.set(true);
      ctx.emit(given);
    },
  };
}
