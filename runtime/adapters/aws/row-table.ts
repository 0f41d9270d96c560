/**
 * A table of DynamoDB that a job writes rows to: the calls of the sink, with their units counted, slowed down as AWS asks, and their errors
 * in our kinds. Reads are strongly consistent.
 */
import {
  DescribeTableCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  ScanCommand,
  type ScanCommandOutput,
} from "@aws-sdk/client-dynamodb";
import { MillraceError, messageOf } from "../../base/errors.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { awsError, isNamed } from "./aws-error.ts";
import { type Pace, untilAdmitted } from "./back-off.ts";
import { type Item, itemBytes, readUnits, writeUnits } from "./item-size.ts";

/** A condition or filter, with the names and values in it. */
export interface Expression {
  readonly text: string;
  readonly names: Readonly<Record<string, string>>;
  readonly values?: Item;
}

const label = { part: "sink" };

export class RowTable {
  readonly name: string;
  readonly #client: DynamoDBClient;
  readonly #telemetry: Telemetry;
  readonly #pace: Pace;

  constructor(client: DynamoDBClient, name: string, telemetry: Telemetry, pace: Pace) {
    this.#client = client;
    this.name = name;
    this.#telemetry = telemetry;
    this.#pace = pace;
  }

  /** False: the condition does not hold, nothing was written. */
  async put(item: Item, condition: Expression): Promise<boolean> {
    const command = new PutItemCommand({
      TableName: this.name,
      Item: item,
      ConditionExpression: condition.text,
      ExpressionAttributeNames: { ...condition.names },
      ...(condition.values && { ExpressionAttributeValues: condition.values }),
      ReturnConsumedCapacity: "TOTAL",
    });
    try {
      const { ConsumedCapacity } = await untilAdmitted(this.#pace, () => this.#client.send(command));
      this.#telemetry.add("dynamodb.wru", ConsumedCapacity?.CapacityUnits ?? writeUnits(itemBytes(item)), label);
      return true;
    } catch (error) {
      if (!isNamed(error, "ConditionalCheckFailedException")) throw this.#error(error, "write");
      this.#telemetry.add("dynamodb.wru", writeUnits(itemBytes(item)), label);
      return false;
    }
  }

  async get(key: Item): Promise<Item | undefined> {
    const command = new GetItemCommand({ TableName: this.name, Key: key, ConsistentRead: true, ReturnConsumedCapacity: "TOTAL" });
    try {
      const { Item: item, ConsumedCapacity } = await untilAdmitted(this.#pace, () => this.#client.send(command));
      this.#telemetry.add("dynamodb.rru", Math.max(readUnits(0), ConsumedCapacity?.CapacityUnits ?? 0), label);
      return item;
    } catch (error) {
      throw this.#error(error, "read");
    }
  }

  /** The named attributes of all items that the filter lets through, page by page. */
  async *scan(filter: Expression, attributes: readonly string[]): AsyncGenerator<readonly Item[]> {
    const projected = Object.fromEntries(attributes.map((name, n) => [`#p${n}`, name]));
    let from: Item | undefined;
    do {
      const page = await this.#scanPage(filter, projected, from);
      yield page.Items ?? [];
      from = page.LastEvaluatedKey;
    } while (from !== undefined);
  }

  /** The names of the table's keys, the partition key first. Throws `invalid` when it is not there or may not be looked at. */
  async keys(): Promise<readonly string[]> {
    try {
      const { Table } = await this.#client.send(new DescribeTableCommand({ TableName: this.name }));
      const schema = Table?.KeySchema ?? [];
      return schema
        .toSorted((a, b) => (a.KeyType === "HASH" ? -1 : b.KeyType === "HASH" ? 1 : 0))
        .map((key) => key.AttributeName!);
    } catch (error) {
      throw this.#error(error, "look");
    }
  }

  async #scanPage(filter: Expression, projected: Record<string, string>, from: Item | undefined): Promise<ScanCommandOutput> {
    const command = new ScanCommand({
      TableName: this.name,
      FilterExpression: filter.text,
      ProjectionExpression: Object.keys(projected).join(", "),
      ExpressionAttributeNames: { ...filter.names, ...projected },
      ...(filter.values && { ExpressionAttributeValues: filter.values }),
      ...(from !== undefined && { ExclusiveStartKey: from }),
      ConsistentRead: true,
      ReturnConsumedCapacity: "TOTAL",
    });
    try {
      const page = await untilAdmitted(this.#pace, () => this.#client.send(command));
      this.#telemetry.add("dynamodb.rru", Math.max(readUnits(0), page.ConsumedCapacity?.CapacityUnits ?? 0), label);
      return page;
    } catch (error) {
      throw this.#error(error, "read");
    }
  }

  #error(error: unknown, verb: string): MillraceError {
    if (isNamed(error, "ValidationException") && /key|type mismatch/i.test(messageOf(error))) {
      const message = "the table's keys are not those of the sink, name them in the sink or make another table";
      return new MillraceError("invalid", `${message}: ${this.name} (${messageOf(error)})`, { cause: error });
    }
    return awsError(error, `${verb} of table ${this.name}`);
  }
}
