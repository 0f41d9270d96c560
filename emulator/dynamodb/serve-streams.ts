/**
 * Gives dynalite the streams that it has not: it stands before its server, sees what a write does to tables that have one, and answers the
 * requests of DynamoDB Streams.
 *
 * L1 Writes to tables with a stream go one by one, so that each change has the item as it was right before and after.
 * L2 What concerns no such table goes its way, and waits for nothing.
 */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { beforeRequests } from "../before-requests.ts";
import {
  firstSequenceNumber,
  type Item,
  streamLabel,
  streamShard,
  type StreamViewType,
  type TableStream,
  type TableStreams,
} from "./table-streams.ts";

type Body = Readonly<Record<string, any>>;

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, number | string | readonly string[]>>;
}

/** An item that a request may change. */
interface Touched {
  readonly stream: TableStream;
  readonly keys: Item;
}

const iteratorMsMax = 15 * 60_000;
const recordsPerRead = 1_000;
const writes: ReadonlySet<string> = new Set(["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"]);
const ofTables: ReadonlySet<string> = new Set(["CreateTable", "DescribeTable", "DeleteTable"]);

export interface StreamPlace {
  readonly region: string;
  readonly account: string;
}

/** Puts streams before what a server does with its requests. */
export function serveStreams(server: Server, streams: TableStreams, place: StreamPlace): void {
  beforeRequests(server, (serve) => {
    const served = new ServedStreams(streams, place, serve);
    return (request, response) => served.take(request, response);
  });
}

class ServedStreams {
  readonly #streams: TableStreams;
  readonly #place: StreamPlace;
  readonly #own: RequestListener;
  /** L1. */
  #last: Promise<void> = Promise.resolve();

  constructor(streams: TableStreams, place: StreamPlace, own: RequestListener) {
    this.#streams = streams;
    this.#place = place;
    this.#own = own;
  }

  take(request: IncomingMessage, response: ServerResponse): void {
    const [service = "", operation = ""] = String(request.headers["x-amz-target"]).split(".");
    const isStreams = service.startsWith("DynamoDBStreams");
    const concerns = isStreams || ofTables.has(operation) || (writes.has(operation) && this.#streams.all.length > 0);
    if (!concerns) return this.#own(request, response);
    void this.#answer(request, isStreams, operation).then(
      (answer) => send(response, answer),
      (error: unknown) => send(response, refusal("InternalServerError", String(error), 500)),
    );
  }

  async #answer(request: IncomingMessage, isStreams: boolean, operation: string): Promise<Answer> {
    const bytes: Buffer[] = [];
    for await (const chunk of request) bytes.push(chunk as Buffer);
    const text = Buffer.concat(bytes).toString();
    const body = parsed(text);
    // What is no JSON is for dynalite to refuse.
    if (body === undefined) return this.#ask(request, operation, text);
    if (isStreams) return this.#read(operation, body);
    switch (operation) {
      case "CreateTable":
        return this.#createTable(request, body);
      case "DescribeTable":
        return this.#described(await this.#ask(request, operation, text), "Table", body.TableName);
      case "DeleteTable": {
        const answer = await this.#ask(request, operation, text);
        if (answer.status === 200) this.#streams.delete(body.TableName);
        return answer;
      }
      default: {
        const touched = this.#touchedBy(operation, body);
        // L2.
        if (touched.length === 0) return this.#ask(request, operation, text);
        return this.#inTurn(() => this.#write(request, operation, text, touched));
      }
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  }

  // ---- tables ----

  async #createTable(request: IncomingMessage, { StreamSpecification: specification, ...table }: Body): Promise<Answer> {
    const answer = await this.#ask(request, "CreateTable", JSON.stringify(table));
    if (answer.status === 200 && specification?.StreamEnabled === true)
      this.#streams.create({
        table: table.TableName as string,
        arn: `arn:aws:dynamodb:${this.#place.region}:${this.#place.account}:table/${table.TableName}/stream/${streamLabel}`,
        view: (specification.StreamViewType ?? "NEW_AND_OLD_IMAGES") as StreamViewType,
        keys: (table.KeySchema as readonly { readonly AttributeName: string }[]).map(({ AttributeName }) => AttributeName),
      });
    return this.#described(answer, "TableDescription", table.TableName);
  }

  #described(answer: Answer, member: string, table: string): Answer {
    const stream = this.#streams.of(table);
    if (answer.status !== 200 || stream === undefined) return answer;
    const { arn, label, view } = stream.head;
    const told = JSON.parse(answer.body) as Body;
    const StreamSpecification = { StreamEnabled: true, StreamViewType: view };
    return ok({ ...told, [member]: { ...told[member], LatestStreamArn: arn, LatestStreamLabel: label, StreamSpecification } });
  }

  // ---- writes ----

  async #write(request: IncomingMessage, operation: string, text: string, touched: readonly Touched[]): Promise<Answer> {
    const before = await this.#itemsOf(request, touched);
    const answer = await this.#ask(request, operation, text);
    if (answer.status !== 200) return answer;
    const after = await this.#itemsOf(request, touched);
    for (const [n, { stream, keys }] of touched.entries()) stream.note(keys, before[n], after[n]);
    return answer;
  }

  #touchedBy(operation: string, body: Body): readonly Touched[] {
    const touched = (table: string, item: Item | undefined): readonly Touched[] => {
      const stream = this.#streams.of(table);
      return stream === undefined || item === undefined ? [] : [{ stream, keys: stream.keysOf(item) }];
    };
    if (operation !== "BatchWriteItem") return touched(body.TableName, body.Item ?? body.Key);
    return Object.entries<readonly Body[]>(body.RequestItems ?? {}).flatMap(([table, requests]) =>
      requests.flatMap(({ PutRequest, DeleteRequest }) => touched(table, PutRequest?.Item ?? DeleteRequest?.Key)),
    );
  }

  /** Undefined: it is not there, or its key is none, which dynalite refuses. */
  #itemsOf(request: IncomingMessage, touched: readonly Touched[]): Promise<readonly (Item | undefined)[]> {
    return Promise.all(
      touched.map(async ({ stream, keys }) => {
        const get = { TableName: stream.head.table, Key: keys, ConsistentRead: true };
        const { status, body } = await this.#ask(request, "GetItem", JSON.stringify(get));
        return status === 200 ? ((JSON.parse(body) as Body).Item as Item | undefined) : undefined;
      }),
    );
  }

  /** Has dynalite answer, as the caller. */
  #ask({ method, url, headers }: IncomingMessage, operation: string, text: string): Promise<Answer> {
    return new Promise((resolve) => {
      const target = `DynamoDB_20120810.${operation}`;
      const request = Object.assign(Readable.from([Buffer.from(text)]), {
        method,
        url,
        headers: { ...headers, "x-amz-target": target },
      });
      const told: Record<string, number | string | readonly string[]> = {};
      const response = {
        statusCode: 200,
        setHeader: (name: string, value: number | string | readonly string[]) => void (told[name.toLowerCase()] = value),
        end: (body = "") => resolve({ status: response.statusCode, body, headers: told }),
      };
      this.#own(request as unknown as IncomingMessage, response as unknown as ServerResponse);
    });
  }

  // ---- DynamoDB Streams ----

  #read(operation: string, body: Body): Answer {
    if (operation === "GetRecords") return this.#getRecords(body);
    if (operation === "ListStreams") {
      const listed = this.#streams.all.filter(({ head }) => body.TableName === undefined || head.table === body.TableName);
      return ok({ Streams: listed.map(({ head }) => ({ StreamArn: head.arn, TableName: head.table, StreamLabel: head.label })) });
    }
    const stream = this.#streams.all.find(({ head }) => head.arn === body.StreamArn);
    if (stream === undefined) return refusal("ResourceNotFoundException", `Stream: ${body.StreamArn} not found`);
    if (operation === "DescribeStream") return ok({ StreamDescription: descriptionOf(stream, body.ExclusiveStartShardId) });
    if (operation === "GetShardIterator") return getIterator(stream, body);
    return refusal("UnknownOperationException", operation);
  }

  #getRecords({ ShardIterator, Limit = recordsPerRead }: Body): Answer {
    const [arn, at, issuedAt] = String(ShardIterator).split("|") as [string, string, string];
    const stream = this.#streams.all.find(({ head }) => head.arn === arn);
    if (stream === undefined) return refusal("ResourceNotFoundException", `no stream has this iterator: ${ShardIterator}`);
    if (Date.now() - Number(issuedAt) > iteratorMsMax) return refusal("ExpiredIteratorException", "Iterator expired.");
    const Records = stream.read(Number(at), Math.min(recordsPerRead, Limit));
    return ok({ Records, NextShardIterator: iteratorAt(stream, Number(at) + Records.length) });
  }
}

function descriptionOf({ head }: TableStream, after: string | undefined): object {
  const StartingSequenceNumber = firstSequenceNumber;
  const shard = { ShardId: streamShard, SequenceNumberRange: { StartingSequenceNumber } };
  return {
    StreamArn: head.arn,
    StreamLabel: head.label,
    StreamStatus: "ENABLED",
    StreamViewType: head.view,
    TableName: head.table,
    KeySchema: head.keys.map((AttributeName, n) => ({ AttributeName, KeyType: n === 0 ? "HASH" : "RANGE" })),
    Shards: after === undefined ? [shard] : [],
  };
}

function getIterator(stream: TableStream, { ShardId, ShardIteratorType: type, SequenceNumber }: Body): Answer {
  if (ShardId !== streamShard) return refusal("ResourceNotFoundException", `Shard: ${ShardId} not found`);
  if ((type === "TRIM_HORIZON" || type === "LATEST") && SequenceNumber !== undefined)
    return refusal("ValidationException", "SequenceNumber should not be passed for this iterator type");
  if (type === "TRIM_HORIZON") return ok({ ShardIterator: iteratorAt(stream, 0) });
  if (type === "LATEST") return ok({ ShardIterator: iteratorAt(stream, stream.length) });
  if (!/^\d{1,40}$/.test(SequenceNumber ?? ""))
    return refusal("ValidationException", `Invalid SequenceNumber: ${SequenceNumber}`);
  return ok({ ShardIterator: iteratorAt(stream, stream.placeOf(SequenceNumber, type === "AFTER_SEQUENCE_NUMBER")) });
}

function iteratorAt({ head }: TableStream, at: number): string {
  return `${head.arn}|${at}|${Date.now()}`;
}

function parsed(text: string): Body | undefined {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === "object" && body !== null ? body : undefined;
  } catch {
    return undefined;
  }
}

function ok(body: object): Answer {
  return { status: 200, body: JSON.stringify(body), headers: { "content-type": "application/x-amz-json-1.0" } };
}

function refusal(name: string, message: string, status = 400): Answer {
  const body = JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${name}`, message });
  return { status, body, headers: { "content-type": "application/x-amz-json-1.0" } };
}

function send(response: ServerResponse, { status, body, headers }: Answer): void {
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.end(body);
}
