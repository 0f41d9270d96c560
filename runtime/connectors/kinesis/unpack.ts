/**
 * What a record of a Kinesis stream holds: itself, or many that its producer packed into it; each gets a position of its own, so that a
 * batch can stop within a pack, and a record that fails takes none of its neighbours with it.
 *
 * P1 A position is the sequence number of the stream's record and seven digits: the number of the record within the pack, all nines for
 *    the last one, and for a record that is no pack. So all nines say that the stream's record is complete, and positions of one shard
 *    are ordered as text of the same length.
 * P2 This is the one place that knows how records are packed: another packing is another case in `contentsOf`.
 * P3 A user record that is routed elsewhere than to the shard it lies in was sent again by its producer, which had not heard of a
 *    change of the shards yet: it is left out here, as by Amazon's own libraries, and counted.
 */
import type { SourceRecord } from "../../api/connector.ts";
import { id, type Position } from "../../base/ids.ts";
import { beginsAsAggregate, hashKeyOf, readAggregate, type UserRecord } from "./kpl.ts";

/** The part of the hash space that a shard has; both ends inclusive. */
export interface ShardRange {
  readonly from: bigint;
  readonly to: bigint;
}

const hashKeyMax = (1n << 128n) - 1n;
const digits = 7;
const whole = "9".repeat(digits);

export interface Unpacked {
  readonly records: readonly SourceRecord[];
  /** How many lie in the shard and do not belong there (P3). */
  readonly foreign: number;
}

/** The records of a shard where each holds itself alone, as nearly always; undefined: one may be a pack. */
export function wholeRecords(packed: readonly SourceRecord[]): readonly SourceRecord[] | undefined {
  const records: SourceRecord[] = [];
  for (const record of packed) {
    if (beginsAsAggregate(record.bytes)) return undefined;
    records.push(wholeRecord(record));
  }
  return records;
}

/** The records that those of a shard hold, in their order. */
export function unpack(packed: readonly SourceRecord[], range: ShardRange): Unpacked {
  const records: SourceRecord[] = [];
  let foreign = 0;
  for (const record of packed) {
    if (!beginsAsAggregate(record.bytes)) {
      records.push(wholeRecord(record));
      continue;
    }
    const contents = contentsOf(record);
    if ("position" in contents) {
      records.push(contents);
      continue;
    }
    const own = isWhole(range) ? contents : contents.filter((user) => isOwn(user, range));
    foreign += contents.length - own.length;
    pushAll(records, record, own);
  }
  return { records, foreign };
}

/** The record itself, or those in it. */
function contentsOf(record: SourceRecord): SourceRecord | readonly UserRecord[] {
  const aggregate = readAggregate(record.bytes);
  if (aggregate.kind === "plain") return wholeRecord(record);
  if (aggregate.kind === "broken") return { ...wholeRecord(record), rejected: aggregate.reason };
  return aggregate.records;
}

/** Field by field, since nearly all records are such: copying whatever a record may have takes several times as long. */
function wholeRecord({ position, partitionKey, arrivalTime, bytes, text, header, rejected }: SourceRecord): SourceRecord {
  return { position: position + whole, partitionKey, arrivalTime, bytes, text, header, rejected };
}

/** A stream's only shard: all belongs there, so nothing need be hashed to know it. */
function isWhole({ from, to }: ShardRange): boolean {
  return from === 0n && to === hashKeyMax;
}

function isOwn(user: UserRecord, { from, to }: ShardRange): boolean {
  const hashKey = hashKeyOf(user);
  return from <= hashKey && hashKey <= to;
}

function pushAll(into: SourceRecord[], { position, arrivalTime }: SourceRecord, own: readonly UserRecord[]): void {
  for (const [n, { partitionKey, bytes }] of own.entries()) {
    const within = n === own.length - 1 ? whole : String(n).padStart(digits, "0");
    into.push({ position: position + within, partitionKey, arrivalTime, bytes });
  }
}

/** A position taken apart. `complete`: nothing of the stream's record comes after it. */
export function placeOf(position: Position): { readonly sequenceNumber: Position; readonly complete: boolean } {
  return { sequenceNumber: id<Position>(position.slice(0, -digits)), complete: position.endsWith(whole) };
}
