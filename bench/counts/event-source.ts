/** Events as a source whose records are decoded already: what is measured is the engine, not a format. */
import type { Source } from "../../runtime/index.ts";
import { id, type Position, type ShardId } from "../../runtime/base/ids.ts";
import type { LogReader } from "../../runtime/ports/log.ts";
import { fullRange } from "../../runtime/streaming/hash-range.ts";
import type { Event } from "./events.ts";

const shard = id<ShardId>("events");
export function eventSource(): Source<Event> {
  return {
    kind: "events",
    name: "events",
    bounded: true,
    options: {},
    decode: (record, target) => target.accept(record),
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
    const records = this.take(limit.records);
    this.taken += records.length;
    const next = records.length < limit.records ? undefined : id<Position>(String(this.taken));
    return { records, next, behindMs: 0, gap: false };
  }

  private take(count: number): readonly Event[] {
    if (!("next" in this.events)) return this.events.slice(this.taken, this.taken + count);
    const records: Event[] = [];
    while (records.length < count) {
      const next = this.events.next();
      if (next.done === true) break;
      records.push(next.value);
    }
    return records;
  }
}
