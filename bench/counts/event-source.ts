/** Events as a source whose records are decoded already: what is measured is the engine, not a format. */
import type { SourceRecord } from "../../runtime/api/connector.ts";
import type { Source } from "../../runtime/index.ts";
import { id, type Position, type ShardId } from "../../runtime/base/ids.ts";
import type { LogReader } from "../../runtime/ports/log.ts";
import { fullRange } from "../../runtime/streaming/hash-range.ts";
import type { Event } from "./events.ts";

const shard = id<ShardId>("events");
const none = new Uint8Array(0);

class EventRecord implements SourceRecord {
  readonly value: Event;
  private readonly index: number;

  constructor(value: Event, index: number) {
    this.value = value;
    this.index = index;
  }

  get position(): string {
    return String(this.index + 1);
  }
  get partitionKey(): string {
    return "";
  }
  get arrivalTime(): number {
    return 0;
  }
  get bytes(): Uint8Array {
    return none;
  }
}

export function eventSource(): Source<Event> {
  return {
    kind: "events",
    name: "events",
    bounded: true,
    options: {},
    decode: (record, target) => target.accept((record as EventRecord).value),
  };
}

/** Reads events as they are made, from the first to the last: nothing holds them all. */
export class EventReader implements LogReader {
  private readonly events: Iterator<Event, unknown, void> | readonly Event[];
  private taken = 0;

  constructor(events: Iterable<Event>) {
    this.events = Array.isArray(events)
      ? (events as readonly Event[])
      : (events[Symbol.iterator]() as Iterator<Event, unknown, void>);
  }

  async shards() {
    return [{ id: shard, range: fullRange, parents: [], closed: true }];
  }

  async read(_stream: string, _shard: ShardId, after: Position | "horizon", limit: { readonly records: number }) {
    if (this.taken !== (after === "horizon" ? 0 : Number(after))) throw new Error("events are read in order, once");
    const records: EventRecord[] = [];
    while (records.length < limit.records) {
      const event = this.next();
      if (event === undefined) return { records, next: undefined, behindMs: 0, gap: false };
      records.push(new EventRecord(event, this.taken++));
    }
    return { records, next: id<Position>(String(this.taken)), behindMs: 0, gap: false };
  }

  private next(): Event | undefined {
    return "next" in this.events ? (this.events.next().value as Event | undefined) : this.events[this.taken];
  }
}
