/**
 * Appends records to a Kinesis stream: requests within the limits of PutRecords, and what a request leaves out sent again in its order,
 * ever slower, as long as the invocation's time allows.
 *
 * A1 A record lies where it was meant to: the shard that Kinesis names has the record's hash key in its range (L16).
 * A2 A request that got no answer is repeated by the SDK, so a record may be there twice: receivers drop what they have (R4).
 */
import { type KinesisClient, PutRecordsCommand, type PutRecordsRequestEntry } from "@aws-sdk/client-kinesis";
import { MillraceError } from "../../base/errors.ts";
import { id, type ShardId } from "../../base/ids.ts";
import type { AppendResult, Shard } from "../../ports/log.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { fullRange, inRange } from "../../streaming/hash-range.ts";
import type { KeyedRecordToAppend } from "../log-provisioning.ts";
import { awsError, isThrottled } from "./aws-error.ts";
import { backOff, type Pace } from "./back-off.ts";
import { listShards } from "./kinesis-shards.ts";

const recordsPerRequest = 500;
/** Half of what is allowed: a request is sent as base64, and one that is repeated costs as much again. A single record may be larger. */
const bytesPerRequest = 5 * 1024 * 1024;
/** What a provisioned stream bills: units of 25 KB; one on demand: KB, each record rounded up. */
const putUnitBytes = 25 * 1024;

/** A record with its place in the append. */
interface Waiting {
  readonly place: number;
  readonly entry: PutRecordsRequestEntry;
  readonly sizeBytes: number;
}

export interface WriteLimits {
  /** With the partition key. */
  readonly recordBytesMax: number;
  /** The stream's shards are never split or merged: a record in one that was, is read by nobody. */
  readonly fixedShards: boolean;
}

export class KinesisWriter {
  readonly #client: KinesisClient;
  readonly #telemetry: Telemetry;
  readonly #pace: Pace;
  readonly #shards = new Map<string, readonly Shard[]>();

  constructor(client: KinesisClient, telemetry: Telemetry, pace: Pace) {
    this.#client = client;
    this.#telemetry = telemetry;
    this.#pace = pace;
  }

  /** As `Log.append`; `stream` is the name in Kinesis. */
  async append(
    stream: string,
    records: readonly KeyedRecordToAppend[],
    { recordBytesMax, fixedShards }: WriteLimits,
  ): Promise<readonly AppendResult[]> {
    const waiting = records.map((record, place) => waitingOf(stream, record, place, recordBytesMax));
    const results = new Array<AppendResult>(records.length).fill({ outcome: "throttled" });
    const sent = await Promise.allSettled(requestsOf(waiting).map((request) => this.#send(stream, request, results)));
    const failed = sent.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    await this.#checkShards(stream, records, results);
    if (fixedShards) this.#checkFixed(stream, results);
    return results;
  }

  /** Must be called when shards were split or merged. */
  forget(stream: string): void {
    this.#shards.delete(stream);
  }

  /** What stays out has its result left at "throttled". */
  async #send(stream: string, request: readonly Waiting[], results: AppendResult[]): Promise<void> {
    let waiting = request;
    for (let attempt = 1; ; attempt++) {
      const left = await this.#sendOnce(stream, waiting, results);
      if (left.length === 0) return;
      if (left.length < waiting.length) attempt = 1;
      waiting = left;
      if (!(await backOff(this.#pace, attempt))) return;
    }
  }

  async #sendOnce(stream: string, waiting: readonly Waiting[], results: AppendResult[]): Promise<readonly Waiting[]> {
    try {
      const command = new PutRecordsCommand({ StreamName: stream, Records: waiting.map(({ entry }) => entry) });
      const answers = (await this.#client.send(command)).Records ?? [];
      const left = waiting.filter((_, n) => answers[n]?.ShardId === undefined);
      for (const [n, { place, sizeBytes }] of waiting.entries()) {
        const shard = answers[n]?.ShardId;
        if (shard === undefined) continue;
        results[place] = { outcome: "appended", shard: id<ShardId>(shard) };
        this.#telemetry.add("kinesis.putUnits", Math.max(1, Math.ceil(sizeBytes / putUnitBytes)), { stream });
        this.#telemetry.add("kinesis.inKb", Math.max(1, Math.ceil(sizeBytes / 1024)), { stream });
      }
      if (left.length > 0) this.#telemetry.add("kinesis.throttled", left.length, { stream });
      return left;
    } catch (error) {
      if (!isThrottled(error)) throw awsError(error, `writing to stream ${stream}`);
      return waiting;
    }
  }

  async #checkShards(stream: string, records: readonly KeyedRecordToAppend[], results: readonly AppendResult[]): Promise<void> {
    if (!results.some(({ outcome }) => outcome === "appended")) return;
    const astray = async () => {
      const shards = this.#shards.get(stream) ?? (await listShards(this.#client, stream));
      this.#shards.set(stream, shards);
      const ranges = new Map(shards.map((shard) => [shard.id, shard.range]));
      return results.find((result, n) => {
        if (result.outcome !== "appended") return false;
        const range = ranges.get(result.shard);
        return range === undefined || !inRange(range, records[n]!.hashKey);
      });
    };
    if ((await astray()) === undefined) return;
    this.forget(stream);
    const found = await astray();
    if (found?.outcome !== "appended") return;
    const advice = "the stream does not keep to hash keys, its record distribution must not be AUTO";
    throw new MillraceError("invalid", `${advice}: ${stream}, a record went to ${found.shard}`);
  }

  #checkFixed(stream: string, results: readonly AppendResult[]): void {
    const shard = wasMade(results, this.#shards.get(stream) ?? []);
    if (shard === undefined) return;
    const advice = "an inbox stream was split or merged, only a restore at another parallelism may change it: restore the job";
    throw new MillraceError(
      "corrupt",
      `${advice}: ${stream}, a frame went to ${shard.id}, made of ${shard.parents.join(" and ")}`,
    );
  }
}

function wasMade(results: readonly AppendResult[], shards: readonly Shard[]): Shard | undefined {
  const used = new Set(results.map((result) => (result.outcome === "appended" ? result.shard : undefined)));
  return shards.find(({ id: shard, parents }) => parents.length > 0 && used.has(shard));
}

function waitingOf(stream: string, record: KeyedRecordToAppend, place: number, recordBytesMax: number): Waiting {
  const hashKey = String(record.hashKey);
  if (!inRange(fullRange, record.hashKey)) {
    throw new MillraceError("invalid", `hash key outside the 128-bit hash space: ${stream}, ${hashKey}`);
  }
  const PartitionKey = record.partitionKey ?? hashKey;
  const sizeBytes = record.bytes.length + Buffer.byteLength(PartitionKey);
  if (sizeBytes > recordBytesMax) {
    throw new MillraceError(
      "invalid",
      `record above the limit of ${recordBytesMax} bytes with its key: ${stream}, ${sizeBytes} bytes`,
    );
  }
  return { place, entry: { PartitionKey, ExplicitHashKey: hashKey, Data: record.bytes }, sizeBytes };
}

function requestsOf(waiting: readonly Waiting[]): readonly (readonly Waiting[])[] {
  const requests: Waiting[][] = [];
  let bytes = Infinity;
  for (const record of waiting) {
    const last = requests.at(-1);
    if (last === undefined || last.length === recordsPerRequest || bytes + record.sizeBytes > bytesPerRequest) {
      requests.push([record]);
      bytes = record.sizeBytes;
    } else {
      last.push(record);
      bytes += record.sizeBytes;
    }
  }
  return requests;
}
