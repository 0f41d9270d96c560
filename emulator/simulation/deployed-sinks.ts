/**
 * The sinks of simulated jobs on AWS, by their real adapters: lists of rows as objects, or pushed to a stream or a queue; tables as items. Every
 * row stands as JSON in one field, so that any value can be one.
 */
import type { Sink, SinkWriter } from "../../runtime/api/connector.ts";
import type { LogicalNode } from "../../runtime/api/graph.ts";
import { dynamodb, type DynamodbSettings } from "../../runtime/connectors/dynamodb/dynamodb.ts";
import { json, ndjson } from "../../runtime/connectors/formats/json.ts";
import { kinesisSink } from "../../runtime/connectors/kinesis/kinesis-sink.ts";
import { s3 } from "../../runtime/connectors/s3/s3.ts";
import { sqsSink } from "../../runtime/connectors/sqs/sqs-sink.ts";
import { parsePartFileName } from "../../runtime/connectors/files/part-name.ts";
import { seconds } from "../../runtime/api/duration.ts";
import type { DeadLetterBatch } from "../../runtime/ports/sink-driver.ts";
import type { DeploymentSettings } from "./deployment-settings.ts";
import type { EndingLog } from "./ending-log.ts";
import { PushedLists, type PushedRow } from "./pushed-lists.ts";
import type { RowTables } from "./row-tables.ts";
import type { S3Service } from "./s3-service.ts";
import type { SqsService } from "./sqs-service.ts";

/** Of the objects of a list. */
const naming = { prefix: "", extension: "ndjson" };
const bucketName = "rows-bucket";
export const rowKey = "key";

type Lists = DeploymentSettings["lists"];

interface Row {
  readonly key?: string;
  readonly row: string;
  /** Of a record of a stream. */
  readonly id?: string;
}

/** In the place of a sink that is simulated itself; others stay as they are. */
export function deploySink(job: string, uid: string, sink: Sink<any, any>, lists: Lists): Sink<any, any> {
  if (!sink.kind.startsWith("simulated")) return sink;
  const place = placeOf(job, uid);
  const real: Sink<any, any> =
    sink.kind === "simulatedTable" ? dynamodb<Row>({ table: place, key: [rowKey as never] }) : listSink(place, lists);
  const { key: _key, ...rest } = real;
  return {
    ...rest,
    ...(sink.key !== undefined && { key: sink.key }),
    createWriter: (context) => writerOf(sink.createWriter(context), real.createWriter(context)),
  };
}

function listSink(place: string, lists: Lists): Sink<any, any> {
  switch (lists) {
    case "objects":
      return s3<Row>({
        bucket: bucketName,
        prefix: `${place}/`,
        format: ndjson(),
        rollAfter: seconds(20),
        rollBytes: 1 << 20,
      });
    case "stream":
      return kinesisSink<Row>({ stream: place, format: json(), partitionKey: groupOf, idField: "id" });
    case "queue":
      return sqsSink<Row>({ queue: place, format: json() });
    case "fifoQueue":
      return sqsSink<Row>({ queue: `${place}.fifo`, format: json(), messageGroup: groupOf });
  }
}

/** Some groups, of several rows each. */
function groupOf({ row }: Row): string {
  return `group-${row.length % 4}`;
}

/** Hands what the one makes of a row to the other. */
function writerOf(given: SinkWriter<any>, real: SinkWriter<any>): SinkWriter<any> {
  return {
    add: (value, timestamp, change) => {
      given.add(value, timestamp, change);
      for (const payload of given.flush("turn")) {
        const made: unknown = JSON.parse(Buffer.from(payload).toString());
        const rows = Array.isArray(made) ? made.map((row) => ({ row: JSON.stringify(row) })) : [rowOf(made as never)];
        for (const row of rows) real.add(row, timestamp, change);
      }
    },
    flush: (end) => real.flush(end),
    state: () => real.state(),
    restore: (state) => real.restore(state),
  };
}

function rowOf({ key, value }: { readonly key: string; readonly value: unknown }): Row {
  return { key, row: JSON.stringify(value) };
}

/** Each job writes to places of its own. */
export function placeOf(job: string, uid: string): string {
  return `${job}.${uid}`;
}

/** Sinks of AWS that stand in a job's own code, by uid: tables and objects. Each is bound to a place of its own. */
export type OwnSinks = ReadonlyMap<string, Sink<any, any>>;

export function ownSinksOf(nodes: readonly LogicalNode[]): OwnSinks {
  const own = nodes.flatMap(({ uid, spec }) => (spec.kind === "sink" && isOwn(spec.sink) ? [[uid, spec.sink] as const] : []));
  return new Map(own);
}

function isOwn({ kind }: Sink<any, any>): boolean {
  return kind === "dynamodb" || kind === "s3";
}

/** Makes the tables of a job's own sinks, with their keys. */
export function createOwnTables(tables: RowTables, job: string, own: OwnSinks): void {
  for (const [uid, { kind, options }] of own)
    if (kind === "dynamodb") tables.create(placeOf(job, uid), (options as unknown as DynamodbSettings).key);
}

/** What a job's lists are pushed to. */
export interface PushedTo {
  readonly log: EndingLog;
  readonly sqs: SqsService;
}

/** Makes what a list is pushed to. */
export async function createListPlace({ log, sqs }: PushedTo, job: string, uid: string, lists: Lists, shards: number) {
  const place = placeOf(job, uid);
  if (lists === "stream") await log.createStream(place, shards);
  if (lists === "queue") sqs.createQueue(place, receiversMs);
  if (lists === "fifoQueue") sqs.createQueue(`${place}.fifo`, receiversMs);
}

/** Nobody receives from what a job pushes to. */
const receiversMs = 0;

export interface DeployedSinksOptions {
  readonly job: string;
  readonly lists: Lists;
  readonly s3: S3Service;
  readonly tables: RowTables;
  readonly pushedTo: PushedTo;
  readonly ownSinks: OwnSinks;
}

/** What lies there in the end. */
export class DeployedSinks {
  readonly #options: DeployedSinksOptions;
  readonly pushed = new PushedLists();
  readonly deadLettersSeen: DeadLetterBatch[] = [];

  constructor(options: DeployedSinksOptions) {
    this.#options = options;
  }

  list(uid: string): string[] {
    const { lists, ownSinks, job } = this.#options;
    const own = ownSinks.get(uid);
    if (own !== undefined) return this.#lines(placeOf(job, uid), String(own.options.prefix ?? "")).sort();
    return (lists === "objects" ? this.#objectRows(uid) : this.pushed.rowsOf(uid, this.pushedRows(uid))).sort();
  }

  /** As they lie in the stream, shard by shard, or in the queue. */
  pushedRows(uid: string): readonly PushedRow[] {
    const { job, lists, pushedTo } = this.#options;
    const place = placeOf(job, uid);
    const read = (text: string, name?: string) => {
      const row = JSON.parse(text) as Row;
      return { name: name ?? row.id!, key: lists === "queue" ? String(name) : groupOf(row), row: row.row };
    };
    switch (lists) {
      case "objects":
        return [];
      case "stream":
        return pushedTo.log.appendedTo(place).map((bytes) => read(Buffer.from(bytes).toString()));
      case "queue":
      case "fifoQueue": {
        const { sent } = pushedTo.sqs.queue(lists === "queue" ? place : `${place}.fifo`);
        return sent.map(({ body, attributes }) => read(body, attributes!["millrace-id"]!));
      }
    }
  }

  #objectRows(uid: string): string[] {
    return this.#lines(bucketName, `${placeOf(this.#options.job, uid)}/`).map((line) => (JSON.parse(line) as Row).row);
  }

  #lines(bucket: string, prefix: string): string[] {
    const { s3: objects } = this.#options;
    const isFinished = (key: string) =>
      key.startsWith(prefix) && parsePartFileName(naming, key.slice(prefix.length)) !== undefined;
    const finished = objects.keys(bucket).filter(isFinished);
    const lines = finished.flatMap((key) => Buffer.from(objects.peek(bucket, key)!).toString().split("\n"));
    return lines.filter((line) => line !== "");
  }

  table(uid: string): Map<string, string> {
    const own = this.#options.ownSinks.get(uid);
    if (own !== undefined) return this.#ownTable(uid, own.options as unknown as DynamodbSettings);
    const rows = new Map<string, string>();
    for (const item of this.#items(uid)) if (item.row?.S !== undefined) rows.set(item[rowKey]!.S!, item.row.S);
    return rows;
  }

  /** Rows of text and numbers. */
  #ownTable(uid: string, { key, versionAttribute }: DynamodbSettings): Map<string, string> {
    const rows = new Map<string, string>();
    for (const { [versionAttribute]: mark, ...item } of this.#items(uid)) {
      if (mark?.M?.d?.BOOL === true) continue;
      const row = Object.fromEntries(
        Object.entries(item).map(([name, { S: text, N: number }]) => [name, text ?? Number(number)]),
      );
      rows.set(key.map((field) => String(row[field])).join(" "), JSON.stringify(row));
    }
    return rows;
  }

  /** The keys of tombstones, but for those of rows that a restore has taken back: they have no first write. */
  deleted(uid: string): readonly string[] {
    const items = this.#items(uid);
    const isDeleted = (item: (typeof items)[number]) =>
      Object.values(item).some(({ M: mark }) => mark?.d?.BOOL === true && mark.f !== undefined);
    const key = (this.#options.ownSinks.get(uid)?.options as DynamodbSettings | undefined)?.key ?? [rowKey];
    return items.filter(isDeleted).map((item) => key.map((field) => item[field]!.S ?? item[field]!.N!).join(" "));
  }

  #items(uid: string) {
    const { job, tables } = this.#options;
    return tables.items(placeOf(job, uid));
  }
}
