/**
 * What waits for one shard, in its order.
 *
 * L1 The first pack is put again until its events are settled; no other is put before that.
 * L2 At most one pack is under way: a request keeps no order among its records, nor do several requests.
 */
import type { Epoch, Event } from "./event.ts";
import { Pack } from "./pack.ts";
import type { HashSpan } from "./shard-map.ts";

export class Lane {
  readonly span: HashSpan;
  #packs: Pack[] = [];
  /** The first pack is in a request, or was put and is not settled: nothing is added to it. */
  underWay = false;
  /** How often the first pack has failed in a row, and why the last time. */
  failures = 0;
  reason = "";
  /** Epoch ms before which nothing is put. */
  notBefore = 0;

  constructor(span: HashSpan) {
    this.span = span;
  }

  get isEmpty(): boolean {
    return this.#packs.length === 0;
  }

  get first(): Pack | undefined {
    return this.#packs[0];
  }

  /** True when the event has begun a pack, or closed one: when something is due must be worked out anew. */
  add(event: Event, recordBytesMax: number): boolean {
    const last = this.#packs.at(-1);
    const isOpen = last !== undefined && !(this.underWay && this.#packs.length === 1) && last.hasRoom(event, recordBytesMax);
    if (isOpen) last.add(event);
    else this.#packs.push(Pack.of([event]));
    return !isOpen;
  }

  /** The first pack was not put, or nobody knows. It is put again as it is, from `notBefore` on (epoch ms). */
  fail(reason: string, notBefore: number): void {
    this.underWay = false;
    this.failures++;
    this.reason = reason;
    this.notBefore = notBefore;
  }

  /** The first pack is settled but for `left`, which comes first of all that waits. */
  settleFirst(left: readonly Event[]): void {
    this.underWay = false;
    this.#packs.shift();
    if (left.length > 0) this.#packs.unshift(Pack.of(left));
    this.failures = 0;
    this.notBefore = 0;
  }

  /**
   * Epoch ms from which on the first pack may be put: at once when it was put before, is full, or is of an epoch that is being flushed.
   * Infinity: nothing waits.
   */
  dueAt(current: Epoch): number {
    const [first] = this.#packs;
    if (first?.first === undefined) return Infinity;
    const isWaited = this.failures > 0 || this.#packs.length > 1 || first.first.epoch !== current;
    return Math.max(this.notBefore, isWaited ? 0 : first.first.dueAt);
  }

  /** Takes out what has expired. Not to be called while a request is under way. */
  expire(now: number): readonly Event[] {
    const [first] = this.#packs;
    const expired = this.#packs.flatMap((pack) => pack.expire(now));
    if (expired.length > 0) this.#packs = this.#packs.filter((pack) => pack.first !== undefined);
    if (this.first !== first) this.underWay = false;
    return expired;
  }

  /** All that waits, in its order; nothing does afterwards. */
  takeAll(): readonly Event[] {
    const events = this.#packs.flatMap((pack) => pack.events);
    this.#packs = [];
    return events;
  }
}
