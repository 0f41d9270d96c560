/**
 * The stream of an emulated table, as a mapping reads it.
 *
 * Source: the example in https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
 */
import { MillraceError } from "../../runtime/base/errors.ts";
import { streamShard, type TableChange, type TableStream } from "../dynamodb/table-streams.ts";
import type { EventIdentity } from "../event-source-mapping/kinesis-event.ts";
import type { ReadBatch, ReadFrom, SourceStream, StreamRecord, StreamShard } from "../event-source-mapping/source-stream.ts";

/** As DynamoDB has it for every stream. */
const retentionMs = 24 * 3_600_000;

export class TableChanges implements SourceStream {
  readonly #table: string;
  readonly #find: () => TableStream | undefined;

  /** `find`: looks for the stream each time: it goes with its table. */
  constructor(table: string, find: () => TableStream | undefined) {
    this.#table = table;
    this.#find = find;
  }

  async describe(): Promise<{ readonly arn: string; readonly retentionMs: number }> {
    return { arn: this.#stream().head.arn, retentionMs };
  }

  async listShards(): Promise<readonly StreamShard[]> {
    this.#stream();
    return [{ shardId: streamShard, parents: [], isOpen: true }];
  }

  async getIterator(_shardId: string, from: ReadFrom): Promise<string> {
    const stream = this.#stream();
    switch (from.kind) {
      case "trimHorizon":
        return "0";
      case "latest":
        return String(stream.length);
      case "afterSequenceNumber":
        return String(stream.placeOf(from.sequenceNumber, true));
      case "atTimestamp":
        throw new MillraceError("invalid", `a mapping of a table's changes does not start at a time: ${this.#table}`);
    }
  }

  async getRecords(iterator: string, limit: number): Promise<ReadBatch> {
    const stream = this.#stream();
    const from = Number(iterator);
    const records = stream.read(from, limit).map(recordOf);
    const next = from + records.length;
    return { records, nextIterator: String(next), millisBehindLatest: next < stream.length ? 1 : 0 };
  }

  eventRecord({ streamArn }: EventIdentity, _shardId: string, { data }: StreamRecord): string {
    const change = JSON.parse(Buffer.from(data).toString()) as TableChange;
    return JSON.stringify({ ...change, eventSourceARN: streamArn });
  }

  #stream(): TableStream {
    const stream = this.#find();
    if (stream === undefined) throw new MillraceError("invalid", `the table has no stream: ${this.#table}`);
    return stream;
  }
}

/** What mappings filter by is the change itself. */
function recordOf(change: TableChange): StreamRecord {
  const { Keys, SequenceNumber, ApproximateCreationDateTime } = change.dynamodb;
  return {
    sequenceNumber: SequenceNumber,
    partitionKey: JSON.stringify(Keys),
    data: Buffer.from(JSON.stringify(change)),
    arrivedAt: ApproximateCreationDateTime * 1_000,
  };
}
