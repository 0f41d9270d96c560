/** Part of a batch that is tried as a whole, and how it is split. */
import type { Delivery } from "./batch.ts";

export interface Attempt {
  /** None: a window's last invocation. */
  readonly deliveries: readonly Delivery[];
  /** The window that it ends, or whose state has grown too large. */
  readonly ends?: "window" | "windowEarly";
  readonly retries: number;
  /** How often the function was invoked with it. */
  readonly invocations: number;
  /** Of the last invocation: false after a partial response, undefined without any. */
  readonly hasFunctionError: boolean | undefined;
}

export function firstAttempt(deliveries: readonly Delivery[]): Attempt {
  return { deliveries, retries: 0, invocations: 0, hasFunctionError: undefined };
}

/** First to last; both keep the retries of the whole. */
export function halves(tried: Attempt): readonly Attempt[] {
  const middle = Math.ceil(tried.deliveries.length / 2);
  return [
    { ...tried, deliveries: tried.deliveries.slice(0, middle) },
    { ...tried, deliveries: tried.deliveries.slice(middle) },
  ];
}
