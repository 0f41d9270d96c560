/**
 * Sources of simulated jobs as changes of tables: each record an item that was put. A mapping brings them as events, by which tasks are rung; they
 * read for themselves.
 */
import type { Source } from "../../runtime/api/connector.ts";
import { dynamodbStream } from "../../runtime/connectors/dynamodb/dynamodb-stream.ts";
import { json } from "../../runtime/connectors/formats/json.ts";
import type { SimRecord } from "../../runtime/testing/simulation/workload.ts";
import type { EventIdentity } from "../event-source-mapping/kinesis-event.ts";
import type { SourceStream, StreamRecord } from "../event-source-mapping/source-stream.ts";

interface Change {
  readonly dynamodb: { readonly NewImage: { readonly record: { readonly S: string } } };
}

const account = "arn:aws:dynamodb:us-east-1:000000000000";

export function streamArnOf(table: string): string {
  return `${account}:table/${table}/stream/2026-01-01T00:00:00.000`;
}

export function tableOf(arn: string): string {
  return arn.split("/")[1]!;
}

export function keysOf(bytes: Uint8Array): object {
  return { id: { N: String((JSON.parse(Buffer.from(bytes).toString()) as SimRecord).id) } };
}

export function imageOf(bytes: Uint8Array): object {
  return { ...keysOf(bytes), record: { S: Buffer.from(bytes).toString() } };
}

/** In the place of a source that is simulated itself. */
export function tableSource(name: string): Source<SimRecord> {
  const { kind, bounded, options, decode } = dynamodbStream({ table: name, format: json<Change>() });
  return {
    ...{ kind, name, bounded, options },
    decode: (record, target) =>
      decode(record, {
        accept: ({ dynamodb }) => target.accept(JSON.parse(dynamodb.NewImage.record.S) as SimRecord),
        reject: (reason, bytes) => target.reject(reason, bytes),
      }),
  };
}

/** The bytes of the record that a change has; of anything else its own. */
export function recordIn(bytes: Uint8Array): Uint8Array {
  if (bytes[0] !== 0x7b) return bytes;
  const { dynamodb } = JSON.parse(Buffer.from(bytes).toString()) as Partial<Change>;
  return dynamodb === undefined ? bytes : Buffer.from(dynamodb.NewImage.record.S);
}

/** What a mapping reads of a table: the stream that its changes lie in. */
export class TableEvents implements SourceStream {
  readonly #table: string;
  readonly #stream: SourceStream;

  constructor(table: string, stream: SourceStream) {
    this.#table = table;
    this.#stream = stream;
  }

  async describe(): Promise<{ readonly arn: string; readonly retentionMs: number }> {
    return { ...(await this.#stream.describe()), arn: streamArnOf(this.#table) };
  }

  listShards() {
    return this.#stream.listShards();
  }

  getIterator(...asked: Parameters<SourceStream["getIterator"]>) {
    return this.#stream.getIterator(...asked);
  }

  getRecords(...asked: Parameters<SourceStream["getRecords"]>) {
    return this.#stream.getRecords(...asked);
  }

  eventRecord({ streamArn: eventSourceARN }: EventIdentity, _shard: string, record: StreamRecord): string {
    const dynamodb = { Keys: keysOf(record.data), NewImage: imageOf(record.data), SequenceNumber: record.sequenceNumber };
    return JSON.stringify({ eventSource: "aws:dynamodb", eventName: "INSERT", eventSourceARN, dynamodb });
  }
}
