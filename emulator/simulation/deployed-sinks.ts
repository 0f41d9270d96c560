/**
 * The sinks of simulated jobs on S3 and DynamoDB, by their real adapters: lists of rows as objects, tables as items. Every row stands as
 * JSON in one field, so that any value can be one.
 */
import type { Sink, SinkWriter } from "../../runtime/api/connector.ts";
import { dynamodb } from "../../runtime/connectors/dynamodb/dynamodb.ts";
import { ndjson } from "../../runtime/connectors/formats/json.ts";
import { s3 } from "../../runtime/connectors/s3/s3.ts";
import { seconds } from "../../runtime/api/duration.ts";
import type { DeadLetterBatch } from "../../runtime/ports/sink-driver.ts";
import type { RowTables } from "./row-tables.ts";
import type { S3Service } from "./s3-service.ts";

const bucketName = "rows-bucket";
export const rowKey = "key";

interface Row {
  readonly key?: string;
  readonly row: string;
}

/** In the place of a sink that is simulated itself; others stay as they are. */
export function deploySink(job: string, uid: string, sink: Sink<any, any>): Sink<any, any> {
  if (!sink.kind.startsWith("simulated")) return sink;
  const isTable = sink.kind === "simulatedTable";
  const real: Sink<any, any> = isTable
    ? dynamodb<Row>({ table: placeOf(job, uid), key: [rowKey as never] })
    : s3<Row>({
        bucket: bucketName,
        prefix: `${placeOf(job, uid)}/`,
        format: ndjson(),
        rollAfter: seconds(20),
        rollBytes: 1 << 20,
      });
  const { key: _key, ...rest } = real;
  return {
    ...rest,
    ...(sink.key !== undefined && { key: sink.key }),
    createWriter: (context) => writerOf(sink.createWriter(context), real.createWriter(context)),
  };
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
function placeOf(job: string, uid: string): string {
  return `${job}.${uid}`;
}

/** What lies there in the end. */
export class DeployedSinks {
  readonly #job: string;
  readonly #s3: S3Service;
  readonly #tables: RowTables;
  readonly deadLettersSeen: DeadLetterBatch[] = [];

  constructor(job: string, objects: S3Service, tables: RowTables) {
    this.#job = job;
    this.#s3 = objects;
    this.#tables = tables;
  }

  list(uid: string): string[] {
    const prefix = `${placeOf(this.#job, uid)}/`;
    const finished = this.#s3.keys(bucketName).filter((key) => key.startsWith(prefix) && !key.startsWith(`${prefix}.`));
    const lines = finished.flatMap((key) => Buffer.from(this.#s3.peek(bucketName, key)!).toString().split("\n"));
    return lines
      .filter((line) => line !== "")
      .map((line) => (JSON.parse(line) as Row).row)
      .sort();
  }

  table(uid: string): Map<string, string> {
    const rows = new Map<string, string>();
    for (const item of this.#tables.items(placeOf(this.#job, uid)))
      if (item.row?.S !== undefined) rows.set(item[rowKey]!.S!, item.row.S);
    return rows;
  }

  /** The keys of tombstones, but for those of rows that a restore has taken back: they have no first write. */
  deleted(uid: string): readonly string[] {
    const items = this.#tables.items(placeOf(this.#job, uid));
    const isDeleted = (item: (typeof items)[number]) =>
      Object.values(item).some(({ M: mark }) => mark?.d?.BOOL === true && mark.f !== undefined);
    return items.filter(isDeleted).map((item) => item[rowKey]!.S!);
  }
}
