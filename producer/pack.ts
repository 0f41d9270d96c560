/**
 * Events of one shard that travel in one record of the stream.
 *
 * P1 A pack is written once and put again as it is; what changes it writes it anew.
 * P2 A single event travels as itself, unless it would be read as a pack.
 */
import { AggregateWriter } from "../runtime/connectors/kinesis/aggregate-writer.ts";
import { beginsAsAggregate } from "../runtime/connectors/kinesis/kpl.ts";
import type { Event } from "./event.ts";
import { explicitHashKey } from "./shard-map.ts";

/** A record as it is put. */
export interface PackedRecord {
  readonly partitionKey: string;
  /** Undefined: the partition key's own. */
  readonly explicitHashKey: string | undefined;
  readonly bytes: Uint8Array;
}

export class Pack {
  #events: Event[] = [];
  #writer = new AggregateWriter();
  #record: PackedRecord | undefined;
  #expiresAt = Infinity;

  static of(events: readonly Event[]): Pack {
    const pack = new Pack();
    for (const event of events) pack.add(event);
    return pack;
  }

  get events(): readonly Event[] {
    return this.#events;
  }

  /** The one that was put first. */
  get first(): Event | undefined {
    return this.#events[0];
  }

  /** Of its record with the partition key, at most. */
  get sizeBytes(): number {
    return this.#writer.sizeBytes + (this.first === undefined ? 0 : Buffer.byteLength(this.first.key));
  }

  /** Whether its record would stay within `bytes` with the event. */
  hasRoom({ key, bytes }: Event, bytesMax: number): boolean {
    return this.first === undefined || this.sizeBytes + this.#writer.growthOf(key, bytes) <= bytesMax;
  }

  add(event: Event): void {
    this.#events.push(event);
    this.#writer.add(event.key, event.bytes);
    this.#expiresAt = Math.min(this.#expiresAt, event.expiresAt);
    this.#record = undefined;
  }

  /** Takes out the events whose time is over, and gives them. */
  expire(now: number): readonly Event[] {
    if (this.#expiresAt > now) return [];
    const events = this.#events;
    this.#events = [];
    this.#writer = new AggregateWriter();
    this.#expiresAt = Infinity;
    for (const event of events) if (event.expiresAt > now) this.add(event);
    return events.filter(({ expiresAt }) => expiresAt <= now);
  }

  /** Its record. Must have events. */
  get record(): PackedRecord {
    return (this.#record ??= this.#write(this.#events[0]!));
  }

  /** By the first event's hash key: wherever the record goes, that event is at home there. */
  #write({ key, hash, bytes }: Event): PackedRecord {
    if (this.#events.length === 1 && !beginsAsAggregate(bytes)) return { partitionKey: key, explicitHashKey: undefined, bytes };
    return { partitionKey: key, explicitHashKey: explicitHashKey(hash), bytes: this.#writer.toBytes() };
  }
}
