/**
 * SubscribeToShard: records are pushed as they arrive, for five minutes at most.
 *
 * B1 Each event's ContinuationSequenceNumber is where a later subscription goes on without a gap and, if after it, without a repeat.
 * B2 The last event of a closed shard has its children and no ContinuationSequenceNumber.
 */
import { id, type Position, type ShardId } from "../../../runtime/base/ids.ts";
import { KinesisError } from "../kinesis-error.ts";
import { mib, sizeOf } from "../limits.ts";
import { SecondsQuota } from "../seconds-quota.ts";
import { numbering } from "../sequence-number.ts";
import { type Call, consumerArn, type EventOutput, type Output, type Service, shardIdOf, shardNamed } from "../service.ts";
import type { StreamEntry } from "../stream-registry.ts";
import { activeConsumerOf } from "./consumers.ts";
import { checkDryRun } from "./dry-run.ts";
import { behindMs, childrenOf, describeRecords, placeOf, readStart, readUnexpired } from "./get-records.ts";

const subscriptionMs = 300_000;
/** How often an event comes while nothing arrives, and how late records are seen that another process put into the log. */
const idleMs = 1000;
const bytesPerEvent = mib;

interface Subscriber {
  readonly entry: StreamEntry;
  readonly shard: ShardId;
  readonly from: Position | "horizon";
  /** Aborted when another took the subscription over. */
  readonly taken: AbortSignal;
}

export async function subscribeToShard(service: Service, { input }: Call): Promise<EventOutput> {
  input.requiredText("ConsumerARN");
  const shard = shardIdOf(input);
  const position = input.member("StartingPosition");
  if (position === undefined) throw new KinesisError("ValidationException", "StartingPosition must not be null");
  const start = readStart(position, "Type", "SequenceNumber");
  const { entry, consumer } = await activeConsumerOf(service, input);
  await shardNamed(service, entry, shard);
  checkDryRun(input);
  const from = await placeOf(service, entry, shard, start);
  const taken = service.subscriptions.begin(consumerArn(service, entry, consumer), shard, service.clock.now());
  return { events: (closed) => events(service, { entry, shard, from, taken }, closed) };
}

async function* events(service: Service, subscriber: Subscriber, closed: AbortSignal): AsyncGenerator<Output> {
  const { entry, shard, taken } = subscriber;
  const until = service.clock.now() + subscriptionMs;
  const done = AbortSignal.any([closed, taken]);
  const quota = new SecondsQuota();
  const number = numbering(entry.createdAt, shard);
  let after = subscriber.from;
  while (!done.aborted && service.clock.now() < until) {
    const waking = new AbortController();
    const arrival = service.arrivals.next(entry.name, AbortSignal.any([done, waking.signal]));
    const result = await readUnexpired(service, entry, shard, after, { records: 10_000, bytes: bytesPerEvent });
    const isEnd = result.next === undefined;
    after = result.next === "horizon" ? await service.log.lastPosition(entry.name, shard) : (result.next ?? after);
    yield {
      Records: describeRecords(entry, shard, result),
      ContinuationSequenceNumber: isEnd ? undefined : number(id<Position>(after)),
      MillisBehindLatest: behindMs(result, service.clock.now()),
      ChildShards: isEnd ? await childrenOf(service, entry, shard) : undefined,
    };
    if (isEnd) return;
    quota.take(result.records.reduce((sum, record) => sum + sizeOf(record), 0));
    if (result.behindMs === 0) await Promise.race([arrival, service.clock.sleep(idleMs, AbortSignal.any([done, waking.signal]))]);
    waking.abort();
    while (!done.aborted && !quota.isOpen(service.clock.now(), service.throttle.limits.readBytesPerSecond)) {
      await service.clock.sleep(100, done);
    }
  }
  if (taken.aborted) throw taken.reason;
}
