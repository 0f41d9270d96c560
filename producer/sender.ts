/**
 * Brings events into the stream: sorts them by shard, packs them, puts the packs, puts again what was refused, and follows the stream when
 * its shards change.
 *
 * Owns the events from `take` on, until each is settled: resolved with its place, or rejected with the reason. Does not own how much may
 * wait (producer.ts).
 *
 * Q1 Events of one key are put in the order in which they were taken: they are in one lane, and a lane has one record under way.
 * Q2 When a record went to another shard than was meant, nothing is put until the shards are known anew and no request is under way: then
 *    what waits for shards that are no more is sorted anew, in its order.
 * Q3 Of a record that went to another shard, the events whose keys belong there are settled; the others are put again, since readers leave
 *    them out where they lie.
 * Q4 Every event is settled, at the latest some seconds after it has expired.
 */
import { isKind, messageOf, MillraceError } from "../runtime/base/errors.ts";
import type { Clock } from "../runtime/ports/clock.ts";
import type { Epoch, Event, Placement } from "./event.ts";
import { Lane } from "./lane.ts";
import type { Pack } from "./pack.ts";
import { contains, ShardMap } from "./shard-map.ts";
import type { PutResult, Stream } from "./stream.ts";

export interface SenderOptions {
  readonly stream: Stream;
  readonly clock: Pick<Clock, "now" | "sleep">;
  /** From 0 to below 1: how long to wait before what was refused is put again. */
  readonly random: () => number;
  readonly recordBytesMax: number;
  readonly onSettled: (event: Event) => void;
}

/** What a producer has done, since it was opened. */
export interface ProducerCounts {
  /** Events that are in the stream. */
  events: number;
  /** Events that were given up or could not be put. */
  failed: number;
  /** Records put, and what a stream with provisioned shards bills for them: units of 25 KB. */
  records: number;
  putUnits: number;
  requests: number;
  /** Records that were refused since their shard had no throughput left. */
  throttled: number;
  /** Events that were put again since their record had gone to a shard that does not take their key. */
  foreign: number;
}

/** A record that went to another shard than was meant. */
interface Astray extends Placement {
  readonly lane: Lane;
  readonly pack: Pack;
  /** Where in the hash space it was sent. */
  readonly hash: string;
}

/** What PutRecords takes is twice as much; requests are sent as base64. */
const bytesPerRequest = 5 << 20;
const recordsPerRequest = 500;
const requestsMax = 4;
const putUnitBytes = 25 * 1024;
const firstBackOffMs = 50;
const longestBackOffMs = 5_000;

export class Sender {
  readonly counts: ProducerCounts = { events: 0, failed: 0, records: 0, putUnits: 0, requests: 0, throttled: 0, foreign: 0 };
  readonly #options: SenderOptions;
  #map: ShardMap | undefined;
  /** As `#map.open`. */
  #lanes: readonly Lane[] = [];
  /** Taken before the shards were known. */
  #unrouted: Event[] = [];
  #astray: Astray[] = [];
  #requests = 0;
  /** Called when no request is under way. */
  #onQuiet: (() => void) | undefined;
  #isRefreshing = false;
  /** The lane that the next request begins with, so that each gets its turn. */
  #next = 0;
  #isPumpQueued = false;
  #wakeAt = Infinity;
  #timer: AbortController | undefined;
  #epoch: Epoch = { unsettled: 0 };
  /** Those that are waited for, oldest first. */
  readonly #flushing: { readonly epoch: Epoch; readonly done: () => void }[] = [];

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** The epoch of events that are taken now. */
  get epoch(): Epoch {
    return this.#epoch;
  }

  take(event: Event): void {
    event.epoch.unsettled++;
    if (this.#map === undefined) {
      this.#unrouted.push(event);
      this.#refresh();
      return;
    }
    const lane = this.#lanes[this.#map.placeOf(event.hash)]!;
    if (lane.add(event, this.#options.recordBytesMax)) this.#onNewPack(lane);
  }

  /** Puts at once what waits; ends when all that was taken before is settled. */
  flush(): Promise<void> {
    const epoch = this.#epoch;
    this.#epoch = { unsettled: 0 };
    const flushed = new Promise<void>((done) => this.#flushing.push({ epoch, done }));
    this.#endFlushes();
    this.#queuePump();
    return flushed;
  }

  /** Nothing may be taken afterwards. */
  stop(): void {
    this.#timer?.abort();
  }

  // ---- when ----

  #onNewPack(lane: Lane): void {
    if (lane.underWay) return;
    const dueAt = lane.dueAt(this.#epoch);
    if (dueAt <= this.#now()) this.#queuePump();
    else this.#wakeBy(dueAt);
  }

  /** Once for all that is taken in one go. */
  #queuePump(): void {
    if (this.#isPumpQueued) return;
    this.#isPumpQueued = true;
    queueMicrotask(() => {
      this.#isPumpQueued = false;
      this.#pump();
    });
  }

  #wakeBy(at: number): void {
    if (at >= this.#wakeAt) return;
    this.#timer?.abort();
    this.#wakeAt = at;
    const timer = (this.#timer = new AbortController());
    void this.#options.clock.sleep(Math.max(0, at - this.#now()), timer.signal).then(() => {
      if (timer.signal.aborted) return;
      this.#wakeAt = Infinity;
      this.#pump();
    });
  }

  /** Puts what is due, as far as requests may be under way. */
  #pump(): void {
    if (this.#isRefreshing) return;
    const now = this.#now();
    const due: Lane[] = [];
    let next = Infinity;
    for (let n = 0; n < this.#lanes.length; n++) {
      const lane = this.#lanes[(this.#next + n) % this.#lanes.length]!;
      if (lane.underWay) continue;
      const dueAt = lane.dueAt(this.#epoch);
      if (dueAt > now) next = Math.min(next, dueAt);
      else if (this.#expire(lane, now)) due.push(lane);
    }
    for (const request of requestsOf(due)) {
      if (this.#requests >= requestsMax) break;
      this.#next = (this.#lanes.indexOf(request.at(-1)!) + 1) % this.#lanes.length;
      void this.#put(request);
    }
    this.#wakeBy(next);
  }

  // ---- putting ----

  async #put(lanes: readonly Lane[]): Promise<void> {
    const { stream } = this.#options;
    for (const lane of lanes) lane.underWay = true;
    this.#requests++;
    this.counts.requests++;
    let outcome: readonly PutResult[] | MillraceError;
    try {
      outcome = await stream.put(lanes.map((lane) => lane.first!.record));
    } catch (error) {
      outcome = error instanceof MillraceError ? error : new MillraceError("internal", messageOf(error), { cause: error });
    }
    this.#requests--;
    for (const [n, lane] of lanes.entries()) {
      if (outcome instanceof MillraceError) this.#onError(lane, outcome);
      else this.#onResult(lane, outcome[n]!);
    }
    if (this.#requests === 0) this.#onQuiet?.();
    if (this.#astray.length > 0) this.#refresh();
    this.#pump();
  }

  #onResult(lane: Lane, result: PutResult): void {
    if (result.outcome === "refused") {
      if (result.isThrottled) this.counts.throttled++;
      return this.#putAgain(lane, result.reason);
    }
    const pack = lane.first!;
    const { partitionKey, bytes } = pack.record;
    const { shardId, sequenceNumber } = result;
    this.counts.records++;
    this.counts.putUnits += Math.ceil((bytes.length + Buffer.byteLength(partitionKey)) / putUnitBytes);
    if (shardId === lane.span.shardId) {
      lane.settleFirst([]);
      this.#resolve(pack.events, { shardId, sequenceNumber });
    } else this.#astray.push({ lane, pack, hash: pack.first!.hash, shardId, sequenceNumber });
  }

  #onError(lane: Lane, error: MillraceError): void {
    if (error.kind !== "invalid") return this.#putAgain(lane, `${error.message}; the event may be there all the same`);
    const { events } = lane.first!;
    lane.settleFirst([]);
    this.#reject(events, error);
  }

  #putAgain(lane: Lane, reason: string): void {
    lane.fail(reason, this.#now() + this.#backOffMs(lane.failures));
  }

  #backOffMs(failures: number): number {
    return Math.ceil(this.#options.random() * Math.min(longestBackOffMs, firstBackOffMs * 2 ** failures));
  }

  // ---- shards ----

  #refresh(): void {
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    void this.#refreshUntilKnown().then(() => {
      this.#isRefreshing = false;
      this.#pump();
    });
  }

  async #refreshUntilKnown(): Promise<void> {
    for (let failures = 0; ; failures++) {
      if (this.#requests > 0) await new Promise<void>((quiet) => (this.#onQuiet = quiet));
      this.#onQuiet = undefined;
      const reason = await this.#refreshOnce();
      if (reason === undefined || !this.#expireAll(reason)) return;
      await this.#options.clock.sleep(this.#backOffMs(failures));
    }
  }

  /** Why the shards are not known yet; undefined: they are, or cannot be. */
  async #refreshOnce(): Promise<string | undefined> {
    try {
      const map = ShardMap.of(await this.#options.stream.shards());
      if (map === undefined || this.#astray.some(({ shardId }) => map.spanOf(shardId) === undefined))
        return "the listing of its shards is not whole yet";
      this.#settleAstray(map);
      this.#adopt(map);
      return undefined;
    } catch (error) {
      if (!isKind(error, "invalid")) return messageOf(error);
      this.#reject(this.#takeAll(), error);
      return undefined;
    }
  }

  #settleAstray(map: ShardMap): void {
    for (const { lane, pack, hash, shardId, sequenceNumber } of this.#astray) {
      const span = map.spanOf(shardId)!;
      // All its events have expired in the meantime.
      if (lane.first !== pack) continue;
      if (!contains(span, hash)) {
        lane.settleFirst([]);
        this.#reject(pack.events, keepsToNoKeys(this.#options.stream.name, shardId));
        continue;
      }
      const foreign = pack.events.filter((event) => !contains(span, event.hash));
      this.counts.foreign += foreign.length;
      lane.settleFirst(foreign);
      this.#resolve(foreign.length === 0 ? pack.events : pack.events.filter((event) => contains(span, event.hash)), {
        shardId,
        sequenceNumber,
      });
    }
    this.#astray = [];
  }

  /** Lanes of shards that are still open stay as they are; what waits in others is sorted anew (Q2). */
  #adopt(map: ShardMap): void {
    const known = new Map(this.#lanes.map((lane) => [lane.span.shardId, lane]));
    const lanes = map.open.map((span) => known.get(span.shardId) ?? new Lane(span));
    const kept = new Set(lanes);
    const loose = this.#lanes.filter((lane) => !kept.has(lane)).flatMap((lane) => lane.takeAll());
    for (const event of [...loose, ...this.#unrouted]) lanes[map.placeOf(event.hash)]!.add(event, this.#options.recordBytesMax);
    this.#map = map;
    this.#lanes = lanes;
    this.#unrouted = [];
    this.#next = 0;
  }

  #takeAll(): readonly Event[] {
    const events = [...this.#lanes.flatMap((lane) => lane.takeAll()), ...this.#unrouted];
    this.#map = undefined;
    this.#lanes = [];
    this.#unrouted = [];
    this.#astray = [];
    return events;
  }

  // ---- settling ----

  #resolve(events: readonly Event[], placement: Placement): void {
    this.counts.events += events.length;
    for (const event of events) {
      this.#release(event);
      event.resolve(placement);
    }
    this.#endFlushes();
  }

  #reject(events: readonly Event[], error: unknown): void {
    this.counts.failed += events.length;
    for (const event of events) {
      this.#release(event);
      event.reject(error);
    }
    this.#endFlushes();
  }

  #release(event: Event): void {
    event.epoch.unsettled--;
    this.#options.onSettled(event);
  }

  #endFlushes(): void {
    while (this.#flushing[0]?.epoch.unsettled === 0) this.#flushing.shift()!.done();
  }

  /** Gives up what has expired; false: nothing is left to be put. */
  #expire(lane: Lane, now: number): boolean {
    this.#giveUp(lane.expire(now), lane.reason);
    return !lane.isEmpty;
  }

  /** The same of all that waits. No request may be under way. */
  #expireAll(reason: string): boolean {
    const now = this.#now();
    for (const lane of this.#lanes) this.#giveUp(lane.expire(now), reason);
    this.#giveUp(
      this.#unrouted.filter(({ expiresAt }) => expiresAt <= now),
      reason,
    );
    this.#unrouted = this.#unrouted.filter(({ expiresAt }) => expiresAt > now);
    return this.#unrouted.length > 0 || this.#lanes.some((lane) => !lane.isEmpty);
  }

  #giveUp(events: readonly Event[], reason: string): void {
    const { name } = this.#options.stream;
    const why = reason === "" ? "it waited for its turn: the stream has too few shards" : reason;
    for (const event of events)
      this.#reject(
        [event],
        new MillraceError("unavailable", `the event is given up, put it again: ${name}, ${event.key}: ${why}`),
      );
  }

  #now(): number {
    return this.#options.clock.now();
  }
}

/** The first record of a request may be larger than a request should be. */
function requestsOf(lanes: readonly Lane[]): readonly (readonly Lane[])[] {
  const requests: Lane[][] = [];
  let bytes = Infinity;
  for (const lane of lanes) {
    const { sizeBytes } = lane.first!;
    const last = requests.at(-1);
    if (last === undefined || last.length === recordsPerRequest || bytes + sizeBytes > bytesPerRequest) {
      requests.push([lane]);
      bytes = sizeBytes;
    } else {
      last.push(lane);
      bytes += sizeBytes;
    }
  }
  return requests;
}

function keepsToNoKeys(stream: string, shard: string): MillraceError {
  const message = "the stream does not keep to hash keys, its record distribution must not be AUTO";
  return new MillraceError("invalid", `${message}: ${stream}, a record went to ${shard}`);
}
