/**
 * One table of DynamoDB: the calls that the journal and the pages make, with their units counted and their errors in our kinds.
 *
 * T1 Reads are strongly consistent.
 * T2 A write that is answered `unavailable` may have taken effect; the SDK itself repeats requests that got no answer.
 */
import {
  type AttributeValue,
  BatchGetItemCommand,
  BatchWriteItemCommand,
  type ConsumedCapacity,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
} from "@aws-sdk/client-dynamodb";
import { MillraceError } from "../../base/errors.ts";
import { itemBytesMax } from "../../connectors/dynamodb/attribute.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { together } from "../../ports/together.ts";
import { awsError, isNamed } from "./aws-error.ts";
import { backOff, type Pace } from "./back-off.ts";
import { type Item, itemBytes, readUnits, writeUnits } from "./item-size.ts";
import { attribute } from "./names.ts";

const keysPerRead = 100;
const keysPerWrite = 25;

/** The condition of a put, over the names in `attribute`. */
export interface Condition {
  readonly expression: string;
  readonly values?: Item;
}

/** `stored`: what the item is instead, undefined when there is none. */
export type PutOutcome = { readonly outcome: "put" } | { readonly outcome: "refused"; readonly stored: Item | undefined };

/** A range of sort keys in one partition, both ends inclusive. */
export interface Range {
  readonly partition: string;
  readonly from: string;
  readonly to: string;
}

export class DynamoTable {
  readonly name: string;
  readonly #client: DynamoDBClient;
  readonly #telemetry: Telemetry;
  readonly #pace: Pace;
  /** Who uses it: the label of its units. */
  readonly #part: string;

  constructor(client: DynamoDBClient, name: string, part: string, telemetry: Telemetry, pace: Pace) {
    this.#client = client;
    this.name = name;
    this.#part = part;
    this.#telemetry = telemetry;
    this.#pace = pace;
  }

  /** Throws `invalid` for an item above 400 KB. */
  async put(item: Item, condition: Condition): Promise<PutOutcome> {
    checkSize(item, this.name);
    try {
      const answer = await this.#client.send(
        new PutItemCommand({
          TableName: this.name,
          Item: item,
          ConditionExpression: condition.expression,
          ...(condition.values && { ExpressionAttributeValues: condition.values }),
          ReturnValuesOnConditionCheckFailure: "ALL_OLD",
          ReturnConsumedCapacity: "TOTAL",
        }),
      );
      this.#countWrite(answer.ConsumedCapacity);
      return { outcome: "put" };
    } catch (error) {
      if (!isNamed(error, "ConditionalCheckFailedException")) throw this.#error(error, "write", item);
      return this.#refused(item, (error as { Item?: Item }).Item);
    }
  }

  async get(key: Item): Promise<Item | undefined> {
    try {
      const answer = await this.#client.send(
        new GetItemCommand({ TableName: this.name, Key: key, ConsistentRead: true, ReturnConsumedCapacity: "TOTAL" }),
      );
      this.#countRead(answer.ConsumedCapacity);
      return answer.Item;
    } catch (error) {
      throw this.#error(error, "read", key);
    }
  }

  /** In order of sort key; `limit` items, fewer when a page of 1 MB is full; `more`: there may be others. */
  async query(range: Range, limit?: number): Promise<{ readonly items: readonly Item[]; readonly more: boolean }> {
    try {
      const answer = await this.#client.send(
        new QueryCommand({
          TableName: this.name,
          KeyConditionExpression: `${attribute.partition} = :p AND ${attribute.sort} BETWEEN :from AND :to`,
          ExpressionAttributeValues: { ":p": { S: range.partition }, ":from": { S: range.from }, ":to": { S: range.to } },
          ConsistentRead: true,
          ReturnConsumedCapacity: "TOTAL",
          ...(limit !== undefined && { Limit: limit }),
        }),
      );
      this.#countRead(answer.ConsumedCapacity);
      return { items: answer.Items ?? [], more: answer.LastEvaluatedKey !== undefined };
    } catch (error) {
      throw this.#error(error, "read", { [attribute.partition]: { S: range.partition } });
    }
  }

  /** All items of the range, page by page. */
  async queryAll(range: Range): Promise<readonly Item[]> {
    const all: Item[] = [];
    for (let from = range.from; ;) {
      const { items, more } = await this.query({ ...range, from });
      all.push(...items);
      const last = items.at(-1)?.[attribute.sort]?.S;
      if (!more || last === undefined) return all;
      from = `${last}\u0000`; // the next text in order
    }
  }

  /** The items that exist, in any order. Keys must differ from each other. */
  async getAll(keys: readonly Item[]): Promise<readonly Item[]> {
    const pages = await together(inParts(keys, keysPerRead).map((part) => this.#getPart(part)));
    return pages.flat();
  }

  /** Keys must differ from each other; those that do not exist are passed over. */
  async deleteAll(keys: readonly Item[]): Promise<void> {
    await together(inParts(keys, keysPerWrite).map((part) => this.#deletePart(part)));
  }

  async #getPart(keys: readonly Item[]): Promise<readonly Item[]> {
    const found: Item[] = [];
    await this.#untilNone(keys, "read", async (waiting) => {
      const answer = await this.#client.send(
        new BatchGetItemCommand({
          RequestItems: { [this.name]: { Keys: [...waiting], ConsistentRead: true } },
          ReturnConsumedCapacity: "TOTAL",
        }),
      );
      this.#countRead(answer.ConsumedCapacity?.[0]);
      found.push(...(answer.Responses?.[this.name] ?? []));
      return answer.UnprocessedKeys?.[this.name]?.Keys ?? [];
    });
    return found;
  }

  #deletePart(keys: readonly Item[]): Promise<void> {
    return this.#untilNone(keys, "delete", async (waiting) => {
      const requests = waiting.map((key) => ({ DeleteRequest: { Key: key } }));
      const answer = await this.#client.send(
        new BatchWriteItemCommand({ RequestItems: { [this.name]: requests }, ReturnConsumedCapacity: "TOTAL" }),
      );
      this.#countWrite(answer.ConsumedCapacity?.[0]);
      return (answer.UnprocessedItems?.[this.name] ?? []).map((left) => left.DeleteRequest!.Key!);
    });
  }

  /** Sends what is left again, slower as long as nothing of it gets through. */
  async #untilNone(
    keys: readonly Item[],
    verb: string,
    send: (waiting: readonly Item[]) => Promise<readonly Item[]>,
  ): Promise<void> {
    let waiting = keys;
    for (let attempt = 0; ;) {
      const left = await send(waiting).catch((error: unknown) => {
        throw this.#error(error, verb, keys[0]!);
      });
      if (left.length === 0) return;
      attempt = left.length < waiting.length ? 1 : attempt + 1;
      waiting = left;
      if (!(await backOff(this.#pace, attempt))) {
        throw new MillraceError(
          "unavailable",
          `the table leaves items unprocessed, try again later: ${this.name}, ${left.length}`,
        );
      }
    }
  }

  /** Stand-ins, and the absence of an item, leave `returned` out: then the item is read. */
  async #refused(item: Item, returned: Item | undefined): Promise<PutOutcome> {
    const { partition, sort } = attribute;
    const stored = returned ?? (await this.get({ [partition]: item[partition]!, [sort]: item[sort]! }));
    this.#telemetry.add("dynamodb.wru", writeUnits(stored === undefined ? 0 : itemBytes(stored)), { part: this.#part });
    return { outcome: "refused", stored };
  }

  /** Who finds nothing pays for one unit, which a stand-in may leave out. */
  #countRead(consumed: ConsumedCapacity | undefined): void {
    this.#telemetry.add("dynamodb.rru", Math.max(readUnits(0), consumed?.CapacityUnits ?? 0), { part: this.#part });
  }

  #countWrite(consumed: ConsumedCapacity | undefined): void {
    this.#telemetry.add("dynamodb.wru", consumed?.CapacityUnits ?? writeUnits(0), { part: this.#part });
  }

  #error(error: unknown, verb: string, item: Record<string, AttributeValue>): MillraceError {
    return awsError(error, `${verb} of table ${this.name}, ${item[attribute.partition]?.S ?? "?"}`);
  }
}

function checkSize(item: Item, table: string): void {
  const sizeBytes = itemBytes(item);
  if (sizeBytes <= itemBytesMax) return;
  const name = `${item[attribute.partition]?.S} ${item[attribute.sort]?.S}`;
  throw new MillraceError("invalid", `an item may have ${itemBytesMax} bytes: ${table}, ${name}, ${sizeBytes} bytes`);
}

function inParts<T>(all: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, n) => all.slice(n * size, (n + 1) * size));
}
