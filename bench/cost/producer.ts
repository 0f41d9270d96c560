/** Events of 200 bytes over 100,000 keys at so many a second: each a record, or many in one as the Kinesis Producer Library packs them. */
import { AggregateWriter } from "../../runtime/connectors/kinesis/aggregate-writer.ts";
import { encodeEvent } from "../turn/kinesis-records.ts";
import type { SimulatedServices } from "./simulated-services.ts";

export const keyCount = 100_000;
/** From so many events a second on they are packed. */
export const packedFrom = 1_000;
/** What a put unit of Kinesis holds. */
const putUnitBytes = 25_600;

export class Producer {
  readonly eventsPerSecond: number;
  putUnits = 0;
  events = 0;
  readonly #services: SimulatedServices;

  constructor(eventsPerSecond: number, services: SimulatedServices) {
    this.eventsPerSecond = eventsPerSecond;
    this.#services = services;
  }

  /** The events of one second from `now` on. */
  produce(now: number): void {
    const events = Array.from({ length: this.eventsPerSecond }, (_, n) => {
      const key = `user-${keyAt(this.events)}`;
      return { key, bytes: encodeEvent(key, now + Math.floor((n * 1_000) / this.eventsPerSecond), this.events++) };
    });
    if (this.eventsPerSecond < packedFrom) for (const { key, bytes } of events) this.#put(key, bytes);
    else this.#putPacked(events);
  }

  #putPacked(events: readonly { readonly key: string; readonly bytes: Uint8Array }[]): void {
    // Of a record's own: its key's entry in the table, its lengths and tags.
    const perRecord = Math.floor((putUnitBytes - 64) / 232);
    for (let from = 0; from < events.length; from += perRecord) {
      const writer = new AggregateWriter();
      for (const { key, bytes } of events.slice(from, from + perRecord)) writer.add(key, bytes);
      this.#put("packed", writer.toBytes());
    }
  }

  #put(key: string, bytes: Uint8Array): void {
    this.#services.put(key, bytes);
    this.putUnits += Math.ceil((bytes.length + key.length) / putUnitBytes);
  }
}

/** Whole numbers below `keyCount`, evenly strewn. Deterministic. */
function keyAt(n: number): number {
  let mixed = Math.imul(n ^ (n >>> 16), 0x45d9f3b);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x45d9f3b);
  return ((mixed ^ (mixed >>> 16)) >>> 0) % keyCount;
}
