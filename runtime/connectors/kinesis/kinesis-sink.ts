/**
 * A Kinesis stream as a sink: the declaration and its pure half. The runtime half is adapters/aws/kinesis-sink.ts.
 *
 * K1 What a stream would never take (a record above the limit, a partition key that is none) is refused here: its row goes to the dead
 *    letters, and no commit holds what can never be written.
 */
import type { Sink, SinkWriter, SinkWriterContext } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import { decodeValue, encodeValue } from "../../base/message-pack.ts";
import * as is from "../../base/shape.ts";
import { checkWritesRecords, encodeRecord, type Format, formatOptions } from "../formats/format.ts";

export interface KinesisSinkOptions<T> {
  /** The stream's logical name: a deployment binds it, else it is the stream's own. */
  readonly stream: string;
  /** What a record holds; without the line end. */
  readonly format: Format<T>;
  /** Records of one partition key are put in their order, and lie in one shard: text of 1 to 256 characters. */
  readonly partitionKey: (value: T) => string;
  /**
   * The field that is added to each row, which must be an object, with a name of the record that is the same whenever it is put again after
   * a crash: for readers that leave out what they have. After a restore the same row has another. Default: none.
   */
  readonly idField?: string;
  /** What a record may have with its key: 1 MiB (default), or what the stream was set to, to 10 MiB. */
  readonly maxRecordBytes?: number;
}

/** A record as it stands in a payload. */
export type StoredRecord = readonly [partitionKey: string, bytes: Uint8Array];

const defaultMaxRecordBytes = 1 << 20;
const maxRecordBytesMax = 10 << 20;
const partitionKeyLengthMax = 256;
const recordsPerPayload = 5_000;
const bytesPerPayload = 4 << 20;

/**
 * Records of a stream, in the order of each partition key. At least once: those of a commit whose effects were not seen to finish are put
 * again, and after a restore those since its checkpoint. Throws `invalid` for options that cannot be.
 */
export function kinesisSink<T>(options: KinesisSinkOptions<T>): Sink<T> {
  const { stream, format, partitionKey, idField, maxRecordBytes = defaultMaxRecordBytes } = options;
  if (stream === "") throw new MillraceError("invalid", "a Kinesis sink needs the name of a stream");
  checkWritesRecords(format, "a Kinesis sink");
  if (typeof partitionKey !== "function") throw new MillraceError("invalid", `a Kinesis sink needs a partitionKey: ${stream}`);
  if (!(maxRecordBytes >= 1 && maxRecordBytes <= maxRecordBytesMax))
    throw new MillraceError("invalid", `maxRecordBytes is a number from 1 to ${maxRecordBytesMax}: ${maxRecordBytes}`);
  return {
    kind: "kinesis",
    name: stream,
    guarantee: "atLeastOnce",
    options: { stream, idField, maxRecordBytes, format: formatOptions(format) },
    createWriter: (context) => new RecordWriter({ ...options, maxRecordBytes }, context),
  };
}

const recordsShape = is.listOf(is.tuple(is.text, is.bytes));

/** The records of a payload. Throws `corrupt`. */
export function decodeRecords(payload: Uint8Array): readonly StoredRecord[] {
  const records = decodeValue(payload);
  is.checkShape("a payload of a Kinesis sink", records, recordsShape);
  return records as readonly StoredRecord[];
}

class RecordWriter implements SinkWriter<any> {
  readonly #options: KinesisSinkOptions<any> & { readonly maxRecordBytes: number };
  readonly #context: SinkWriterContext;
  #records: StoredRecord[] = [];
  #recordsBytes = 0;
  #payloads: Uint8Array[] = [];
  /** How many records this commit has, for their names. */
  #count = 0;

  constructor(options: KinesisSinkOptions<any> & { readonly maxRecordBytes: number }, context: SinkWriterContext) {
    this.#options = options;
    this.#context = context;
  }

  add(value: unknown): void {
    const { partitionKey, stream, maxRecordBytes } = this.#options;
    const key = checkPartitionKey(partitionKey(value));
    const bytes = this.#encode(value);
    const sizeBytes = bytes.length + Buffer.byteLength(key);
    if (sizeBytes > maxRecordBytes)
      throw new MillraceError(
        "invalid",
        `a record with its key is above the limit of ${maxRecordBytes} bytes: ${stream}, ${sizeBytes} bytes`,
      );
    if (this.#records.length >= recordsPerPayload || this.#recordsBytes + sizeBytes > bytesPerPayload) this.#pack();
    this.#records.push([key, bytes]);
    this.#recordsBytes += sizeBytes;
    this.#count++;
  }

  flush(): readonly Uint8Array[] {
    this.#pack();
    const payloads = this.#payloads;
    this.#payloads = [];
    this.#count = 0;
    return payloads;
  }

  state(): undefined {
    return undefined;
  }

  restore(): void {
    this.#records = [];
    this.#recordsBytes = 0;
    this.#payloads = [];
    this.#count = 0;
  }

  #encode(value: unknown): Uint8Array {
    const { format, idField } = this.#options;
    return encodeRecord(format, idField === undefined ? value : { ...fieldsOf(value), [idField]: this.#id() });
  }

  #id(): string {
    const { generation, task, operator } = this.#context;
    return `${generation}/${task}/${operator}/${this.#context.seq()}/${this.#count}`;
  }

  #pack(): void {
    if (this.#records.length > 0) this.#payloads.push(encodeValue(this.#records));
    this.#records = [];
    this.#recordsBytes = 0;
  }
}

function checkPartitionKey(key: unknown): string {
  if (typeof key === "string" && key !== "" && [...key].length <= partitionKeyLengthMax) return key;
  const given = typeof key === "string" ? `text of ${key.length}` : typeof key;
  throw new MillraceError("invalid", `a partition key is text of 1 to ${partitionKeyLengthMax} characters: ${given}`);
}

function fieldsOf(value: unknown): object {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new MillraceError("invalid", `a row is given an idField only where it is an object: ${typeof value}`);
}
