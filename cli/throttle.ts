/** Slows a reader down to so many records a second: for watching a job at work, and for tests that need it to take its time. */
import type { SourceRecord } from "../runtime/api/connector.ts";
import type { Position, ShardId } from "../runtime/base/ids.ts";
import type { SourceReader } from "../runtime/connectors/source-reader.ts";
import type { Clock } from "../runtime/ports/clock.ts";
import type { ReadLimit, ReadResult, Shard } from "../runtime/ports/log.ts";

/** What one rate allows: shared by all readers it stands for. */
export class Pace {
  readonly #perSecond: number;
  readonly #clock: Pick<Clock, "now">;
  #allowed = 0;
  #at: number;

  constructor(perSecond: number, clock: Pick<Clock, "now">) {
    this.#perSecond = perSecond;
    this.#clock = clock;
    this.#at = clock.now();
  }

  /** How many records may be read now; what is not used within half a second is gone. */
  allowed(): number {
    const now = this.#clock.now();
    const earned = (Math.max(0, now - this.#at) * this.#perSecond) / 1000;
    this.#at = now;
    this.#allowed = Math.min(this.#allowed + earned, Math.max(1, this.#perSecond / 2));
    return Math.floor(this.#allowed);
  }

  use(records: number): void {
    this.#allowed -= records;
  }
}

export class ThrottledReader implements SourceReader {
  readonly #reader: SourceReader;
  readonly #pace: Pace;

  constructor(reader: SourceReader, pace: Pace) {
    this.#reader = reader;
    this.#pace = pace;
  }

  shards(stream: string): Promise<readonly Shard[]> {
    return this.#reader.shards(stream);
  }

  async read(stream: string, shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    const allowed = this.#pace.allowed();
    if (allowed < 1) return { records: [], next: after, behindMs: 1, gap: false };
    const result = await this.#reader.read(stream, shard, after, { ...limit, records: Math.min(limit.records, allowed) });
    this.#pace.use(result.records.length);
    return result;
  }

  async withSchemas(records: readonly SourceRecord[]): Promise<readonly SourceRecord[]> {
    return (await this.#reader.withSchemas?.(records)) ?? records;
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}
