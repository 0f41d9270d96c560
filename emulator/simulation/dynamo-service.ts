/** DynamoDB in memory, as far as the adapters use it: tables of items by "p" and "s", conditional puts, queries that may be torn. */
import { itemBytes, readUnits, writeUnits } from "../../runtime/adapters/aws/item-size.ts";
import type { SeededRandom } from "../../runtime/base/seeded-random.ts";
import type { Clock } from "../clock.ts";
import { capacity, consumed, holds, type Item } from "./dynamo-answers.ts";
import { rowKey } from "./deployed-sinks.ts";
import { isEntry } from "./job-watch.ts";
import { RowTables } from "./row-tables.ts";
import { type Input, ServiceError, type SimulatedService } from "./sdk-clients.ts";
import type { ServiceCalls } from "./service-calls.ts";

type Partition = Map<string, Item>;

const pageBytesMax = 1 << 20;

export interface DynamoOptions {
  /** The table of the state; all others are of rows. */
  readonly table: string;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly calls: ServiceCalls;
  /** Called with every item that was put, in the moment of its effect. */
  readonly onPut: (table: string, item: Item, before: Item | undefined) => Promise<void>;
  /** The stream of a table that a job reads; undefined: it reads none. */
  readonly streamOf: (table: string) => string | undefined;
  /** To show what a condition is good for: it holds for this item, whatever stands there. */
  readonly skipsCondition?: ((item: Item) => boolean) | undefined;
}

export class DynamoService implements SimulatedService {
  readonly ms = 8;
  readonly throttling = "ProvisionedThroughputExceededException";
  readonly rows = new RowTables(rowKey);
  readonly #options: DynamoOptions;
  readonly #tables = new Map<string, Map<string, Partition>>();

  constructor(options: DynamoOptions) {
    this.#options = options;
  }

  /** Those of the state whose partition's name begins so. */
  items(prefix: string): readonly Item[] {
    const partitions = [...(this.#tables.get(this.#options.table) ?? [])];
    return partitions.flatMap(([name, partition]) => (name.startsWith(prefix) ? [...partition.values()] : []));
  }

  describe(command: string, input: Input): string {
    const { p, s, [rowKey]: key } = input.Item ?? input.Key ?? {};
    if (key !== undefined) return `${command} ${input.TableName} ${key.S}`;
    if (p !== undefined) return `${command} ${p.S} ${s.S}${input.Item?.n === undefined ? "" : ` ${input.Item.n.N}`}`;
    const values = input.ExpressionAttributeValues;
    if (values?.[":p"] !== undefined) return `${command} ${values[":p"].S} ${values[":from"].S}`;
    return `${command} ${input.TableName ?? ""}`.trimEnd();
  }

  async carryOut(command: string, input: Input): Promise<object> {
    const stream = command === "DescribeTable" ? this.#options.streamOf(input.TableName) : undefined;
    if (stream !== undefined) return { Table: { LatestStreamArn: stream, StreamSpecification: { StreamEnabled: true } } };
    if (input.TableName !== undefined && input.TableName !== this.#options.table) return this.rows.carryOut(command, input);
    switch (command) {
      case "PutItem":
        return this.#put(input);
      case "GetItem":
        return this.#get(input);
      case "Query":
        return this.#query(input);
      case "BatchGetItem":
        return this.#getAll(input);
      case "BatchWriteItem":
        return this.#deleteAll(input);
      default:
        throw new Error(`DynamoDB is not simulated so far: ${command}`);
    }
  }

  async #put({
    TableName,
    Item: item,
    ConditionExpression: condition,
    ExpressionAttributeValues: values,
  }: Input): Promise<object> {
    const partition = this.#partition(TableName, item.p.S);
    const stored = partition.get(item.s.S);
    if (!holds(condition, values ?? {}, stored) && this.#options.skipsCondition?.(item) !== true) {
      if (isEntry(item)) this.#options.calls.saw("racesLost");
      throw new ServiceError("ConditionalCheckFailedException", "The conditional request failed", {
        Item: stored && copyOf(stored),
      });
    }
    const kept = copyOf(item);
    partition.set(item.s.S, kept);
    await this.#options.onPut(TableName, kept, stored);
    return consumed(writeUnits(Math.max(itemBytes(item), stored === undefined ? 0 : itemBytes(stored))));
  }

  async #get({ TableName, Key }: Input): Promise<object> {
    const item = this.#partition(TableName, Key.p.S).get(Key.s.S);
    return { Item: item && copyOf(item), ...consumed(readUnits(item === undefined ? 0 : itemBytes(item))) };
  }

  async #query({ TableName, ExpressionAttributeValues: values, Limit = Infinity }: Input): Promise<object> {
    const partition = this.#partition(TableName, values[":p"].S);
    const [from, to] = [values[":from"].S as string, values[":to"].S as string];
    const found = await this.#read(partition);
    const keys = [...found.keys()].filter((key) => from <= key && key <= to).sort();
    const Items: Item[] = [];
    let bytes = 0;
    while (Items.length < keys.length && Items.length < Limit && bytes < pageBytesMax) {
      const item = found.get(keys[Items.length]!)!;
      Items.push(copyOf(item));
      bytes += itemBytes(item);
    }
    const more = Items.length < keys.length || Items.length === Limit;
    return { Items, ...(more && { LastEvaluatedKey: {} }), ...consumed(readUnits(bytes)) };
  }

  /** A query reads one item after the other: each as it was before, or as it is after what happens meanwhile. */
  async #read(partition: Partition): Promise<Partition> {
    const { calls, clock, random } = this.#options;
    if (!calls.happens("tornRead")) return partition;
    const before = new Map(partition);
    await clock.sleep(random.between(1, random.chance(0.2) ? 3_000 : 40));
    const read: Partition = new Map();
    for (const key of new Set([...before.keys(), ...partition.keys()])) {
      const item = (random.chance(0.5) ? before : partition).get(key);
      if (item !== undefined) read.set(key, item);
    }
    return read;
  }

  async #getAll({ RequestItems }: Input): Promise<object> {
    const [[table, { Keys }]] = Object.entries<any>(RequestItems) as [[string, { Keys: Item[] }]];
    const found = Keys.map(({ p, s }) => this.#partition(table, p!.S!).get(s!.S!));
    return { Responses: { [table]: found.filter((item) => item !== undefined).map(copyOf) }, ConsumedCapacity: [capacity(1)] };
  }

  async #deleteAll({ RequestItems }: Input): Promise<object> {
    for (const [table, requests] of Object.entries<any>(RequestItems))
      for (const { DeleteRequest } of requests) this.#partition(table, DeleteRequest.Key.p.S).delete(DeleteRequest.Key.s.S);
    return { ConsumedCapacity: [capacity(1)] };
  }

  #partition(table: string, name: string): Partition {
    let partitions = this.#tables.get(table);
    if (partitions === undefined) this.#tables.set(table, (partitions = new Map()));
    let partition = partitions.get(name);
    if (partition === undefined) partitions.set(name, (partition = new Map()));
    return partition;
  }
}

/** Bytes that were handed over or out belong to whoever has them. */
function copyOf(item: Item): Item {
  return item.b?.B === undefined ? { ...item } : { ...item, b: { B: item.b.B.slice() } };
}
