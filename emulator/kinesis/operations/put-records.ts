/**
 * PutRecord and PutRecords.
 *
 * U1 What is answered with a sequence number is in the log; what is refused is not.
 * U2 A request that breaks a rule of the API is refused whole; one over a shard's throughput is refused record by record.
 */
import { createHash } from "node:crypto";
import type { KeyedRecordToAppend } from "../../../runtime/adapters/log-provisioning.ts";
import type { Position, ShardId } from "../../../runtime/base/ids.ts";
import { fullRange, inRange } from "../../../runtime/streaming/hash-range.ts";
import type { Input } from "../input.ts";
import { constraintError, KinesisError } from "../kinesis-error.ts";
import { kib, mib, requestLimits, sizeOf } from "../limits.ts";
import { sweep } from "../retention.ts";
import { foreignSequenceNumber, numbering, readSequenceNumber, sequenceNumberPattern } from "../sequence-number.ts";
import { type Call, type Output, readyStreamOf, type Service } from "../service.ts";
import type { StreamEntry } from "../stream-registry.ts";
import { checkDryRun } from "./dry-run.ts";

type RecordToPut = Required<KeyedRecordToAppend>;

/** Without a position: refused, its shard has no throughput left. */
interface PutResult {
  readonly shard: ShardId;
  readonly position?: Position;
}

export async function putRecord(service: Service, { input, refuses }: Call): Promise<Output> {
  const record = readRecord(input);
  const entry = await readyStreamOf(service, input);
  checkRecord(entry, record);
  checkOrdering(entry, input);
  checkDryRun(input);
  const [result] = await putAll(service, entry, [record], refuses);
  const { shard, position } = result!;
  if (position === undefined) {
    throw new KinesisError("ProvisionedThroughputExceededException", rateExceeded(service, entry, shard));
  }
  return { ShardId: shard, SequenceNumber: numbering(entry.createdAt, shard)(position) };
}

export async function putRecords(service: Service, { input, refuses }: Call): Promise<Output> {
  const records = input.requiredList("Records", { min: 1, max: requestLimits.recordsPerPut }).map(readRecord);
  const entry = await readyStreamOf(service, input);
  for (const record of records) checkRecord(entry, record);
  const bytes = records.reduce((sum, record) => sum + sizeOf(record), 0);
  if (bytes > requestLimits.bytesPerPut) {
    throw new KinesisError("InvalidArgumentException", `Records size exceeds ${requestLimits.bytesPerPut / mib} MB limit`);
  }
  checkDryRun(input);
  const results = await putAll(service, entry, records, refuses);
  const numbers = new Map<ShardId, ReturnType<typeof numbering>>();
  return {
    FailedRecordCount: results.filter(({ position }) => position === undefined).length,
    Records: results.map(({ shard, position }) => {
      if (position === undefined) {
        return { ErrorCode: "ProvisionedThroughputExceededException", ErrorMessage: rateExceeded(service, entry, shard) };
      }
      let number = numbers.get(shard);
      if (number === undefined) numbers.set(shard, (number = numbering(entry.createdAt, shard)));
      return { ShardId: shard, SequenceNumber: number(position) };
    }),
  };
}

async function putAll(
  service: Service,
  entry: StreamEntry,
  given: readonly RecordToPut[],
  refuses: Call["refuses"],
): Promise<readonly PutResult[]> {
  const open = (await service.log.shards(entry.name)).filter((shard) => !shard.closed);
  const records = entry.distribution === "AUTO" ? given.map((record) => ({ ...record, hashKey: randomHashKey() })) : given;
  const now = service.clock.now();
  const shards = records.map(({ hashKey }) => open.find(({ range }) => inRange(range, hashKey))!.id);
  const admitted = records.map(
    (record, n) => refuses?.(n) !== true && service.throttle.admitsWrite(entry.name, shards[n]!, sizeOf(record), now),
  );
  const appended = await service.log.append(
    entry.name,
    records.filter((_, n) => admitted[n]),
  );
  service.arrivals.announce(entry.name);
  await sweep(service, entry);
  let next = 0;
  return shards.map((shard, n) => (admitted[n] ? appended[next++]! : { shard }));
}

/** What the API's model asks of a record, whatever the stream. */
function readRecord(input: Input): RecordToPut {
  const partitionKey = input.text("PartitionKey", { min: 1, max: requestLimits.partitionKeyLength }) ?? "";
  return { hashKey: hashKeyFor(input, partitionKey), partitionKey, bytes: input.requiredBytes("Data") };
}

/** What the stream asks of it. */
function checkRecord(entry: StreamEntry, record: RecordToPut): void {
  if (record.partitionKey === "" && entry.distribution !== "AUTO")
    throw constraintError("PartitionKey", undefined, "not be null");
  if (sizeOf(record) > entry.maxRecordKiB * kib) {
    throw new KinesisError(
      "InvalidArgumentException",
      `Record size exceeds the stream's limit of ${entry.maxRecordKiB} KiB: ${sizeOf(record)} bytes with its partition key.`,
    );
  }
}

function hashKeyFor(input: Input, partitionKey: string): bigint {
  const explicit = input.text("ExplicitHashKey", { pattern: /^(0|([1-9]\d{0,38}))$/ });
  if (explicit === undefined) return BigInt(`0x${createHash("md5").update(partitionKey).digest("hex")}`);
  const hashKey = BigInt(explicit);
  if (inRange(fullRange, hashKey)) return hashKey;
  const rule = "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1].";
  throw new KinesisError("InvalidArgumentException", `${rule} Specified value was ${explicit}`);
}

function checkOrdering(entry: StreamEntry, input: Input): void {
  const number = input.text("SequenceNumberForOrdering", { pattern: sequenceNumberPattern });
  if (number === undefined || number === "0" || readSequenceNumber(number)?.createdAt === entry.createdAt) return;
  throw foreignSequenceNumber("SequenceNumberForOrdering", number, `stream ${entry.name}`);
}

function randomHashKey(): bigint {
  return BigInt(Math.floor(Math.random() * 0x1_0000_0000)) << 96n;
}

function rateExceeded(service: Service, entry: StreamEntry, shard: ShardId): string {
  return `Rate exceeded for shard ${shard} in stream ${entry.name} under account ${service.account}.`;
}
