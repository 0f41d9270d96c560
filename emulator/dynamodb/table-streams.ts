/**
 * The streams of tables: what changed, in its order. Each has one shard that never ends, and keeps all until it is thrown away.
 *
 * S1 A change has the item before and after it; what leaves an item as it was is no change.
 * S2 In a folder a stream goes on, when started again, with what was there: positions in it stay good.
 *
 * Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Types_Amazon_DynamoDB_Streams.html
 */
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";

/** Attributes as DynamoDB's JSON has them. */
export type Item = Readonly<Record<string, unknown>>;

export type StreamViewType = "NEW_AND_OLD_IMAGES" | "NEW_IMAGE" | "OLD_IMAGE" | "KEYS_ONLY";

/** A record of the stream, as JSON. */
export interface TableChange {
  readonly eventID: string;
  readonly eventName: "INSERT" | "MODIFY" | "REMOVE";
  readonly eventVersion: "1.1";
  readonly eventSource: "aws:dynamodb";
  readonly awsRegion: string;
  readonly dynamodb: {
    /** Epoch seconds. */
    readonly ApproximateCreationDateTime: number;
    readonly Keys: Item;
    readonly NewImage?: Item;
    readonly OldImage?: Item;
    readonly SequenceNumber: string;
    readonly SizeBytes: number;
    readonly StreamViewType: StreamViewType;
  };
}

/** What a stream is made with. */
interface Head {
  readonly table: string;
  readonly arn: string;
  readonly label: string;
  readonly view: StreamViewType;
  /** Names of the keys' attributes. */
  readonly keys: readonly string[];
}

/** DynamoDB names the streams of a table by the time at which they were turned on: here a table has one for good. */
export const streamLabel = "2026-01-01T00:00:00.000";
export const streamShard = "shardId-00000001000000000000-00000001";
/** Twenty-four digits, as DynamoDB's own. */
const firstNumber = 100_000_000_000_000_000_000_001n;
export const firstSequenceNumber = String(firstNumber);

export class TableStream {
  readonly head: Head;
  readonly #region: string;
  readonly #file: string | undefined;
  readonly #changes: TableChange[] = [];

  constructor(head: Head, file: string | undefined, changes: readonly TableChange[] = []) {
    this.head = head;
    this.#file = file;
    this.#region = head.arn.split(":")[3]!;
    this.#changes.push(...changes);
  }

  /** Of an item, or of what names one. */
  keysOf(item: Item): Item {
    return Object.fromEntries(this.head.keys.map((name) => [name, item[name]]));
  }

  /** S1. */
  note(keys: Item, before: Item | undefined, after: Item | undefined): void {
    if (isDeepStrictEqual(before, after)) return;
    const { view } = this.head;
    const SequenceNumber = String(firstNumber + BigInt(this.#changes.length));
    const images = {
      ...(after !== undefined && /NEW/.test(view) && { NewImage: after }),
      ...(before !== undefined && /OLD/.test(view) && { OldImage: before }),
    };
    const change: TableChange = {
      eventID: SequenceNumber,
      eventName: before === undefined ? "INSERT" : after === undefined ? "REMOVE" : "MODIFY",
      eventVersion: "1.1",
      eventSource: "aws:dynamodb",
      awsRegion: this.#region,
      dynamodb: {
        ApproximateCreationDateTime: Math.floor(Date.now() / 1_000),
        Keys: keys,
        ...images,
        SequenceNumber,
        SizeBytes: JSON.stringify([keys, images]).length,
        StreamViewType: view,
      },
    };
    if (this.#file !== undefined) appendFileSync(this.#file, `${JSON.stringify(change)}\n`);
    this.#changes.push(change);
  }

  /** How many there are. */
  get length(): number {
    return this.#changes.length;
  }

  /** From the n-th on. */
  read(from: number, limit: number): readonly TableChange[] {
    return this.#changes.slice(from, from + limit);
  }

  /** The place of the first change at or after a number; with `after`, behind it. */
  placeOf(sequenceNumber: string, after: boolean): number {
    const place = Number(BigInt(sequenceNumber) - firstNumber);
    return Math.min(this.#changes.length, Math.max(0, after ? place + 1 : place));
  }
}

export class TableStreams {
  readonly #directory: string | undefined;
  readonly #streams = new Map<string, TableStream>();

  /** `directory`: undefined keeps them in memory. */
  constructor(directory: string | undefined) {
    this.#directory = directory;
    if (directory === undefined) return;
    mkdirSync(directory, { recursive: true });
    for (const name of readdirSync(directory)) this.#load(join(directory, name));
  }

  /** Makes the stream of a table, unless it has one. */
  create(head: Omit<Head, "label">): TableStream {
    const { table } = head;
    const file = this.#fileOf(table);
    const stream = this.#streams.get(table) ?? new TableStream({ ...head, label: streamLabel }, file);
    if (file !== undefined && !existsSync(file)) appendFileSync(file, `${JSON.stringify(stream.head)}\n`);
    this.#streams.set(table, stream);
    return stream;
  }

  delete(table: string): void {
    this.#streams.delete(table);
    const file = this.#fileOf(table);
    if (file !== undefined) rmSync(file, { force: true });
  }

  of(table: string): TableStream | undefined {
    return this.#streams.get(table);
  }

  get all(): readonly TableStream[] {
    return [...this.#streams.values()];
  }

  #fileOf(table: string): string | undefined {
    return this.#directory === undefined ? undefined : join(this.#directory, `${table}.ndjson`);
  }

  /** A last line that was cut is of a change, or of a table, whose caller was not answered: what comes next has its place. */
  #load(file: string): void {
    const bytes = readFileSync(file);
    const whole = bytes.subarray(0, bytes.lastIndexOf("\n") + 1);
    if (whole.length === 0) return rmSync(file);
    if (whole.length < bytes.length) truncateSync(file, whole.length);
    const [head, ...changes] = whole.toString().trimEnd().split("\n") as [string, ...string[]];
    const loaded = JSON.parse(head) as Head;
    const stream = new TableStream(
      loaded,
      file,
      changes.map((line) => JSON.parse(line) as TableChange),
    );
    this.#streams.set(loaded.table, stream);
  }
}
