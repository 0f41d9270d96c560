import { type Namespace, sameNamespace } from "./namespace.ts";

export type TimerDomain = "eventTime" | "processingTime";

/** Whether the timer is the event-time one at its window's last millisecond: those may be flags of cells. */
export function isEndTimer(domain: TimerDomain, at: number, namespace: Namespace): boolean {
  return at === namespace.end - 1 && domain === "eventTime";
}

/** A timer of one key: one per domain, time and window (Flink: key, namespace, time and domain). */
export class Timer {
  readonly domain: TimerDomain;
  /** Epoch ms. */
  at: number;
  namespace: Namespace;
  live = true;
  /** The durable state has it. */
  stored = false;
  /** Set or cancelled since the last commit. */
  touched = false;

  constructor(domain: TimerDomain, at: number, namespace: Namespace) {
    this.domain = domain;
    this.at = at;
    this.namespace = namespace;
  }

  is(domain: TimerDomain, at: number, namespace: Namespace): boolean {
    return this.at === at && this.domain === domain && sameNamespace(this.namespace, namespace);
  }

  copy(): Timer {
    const copy = new Timer(this.domain, this.at, this.namespace);
    copy.live = this.live;
    copy.stored = this.stored;
    copy.touched = this.touched;
    return copy;
  }
}
