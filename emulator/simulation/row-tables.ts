/** Tables of DynamoDB that sinks write rows to, in memory: keyed by one field or two, with conditions on members of a map. */
import type { itemBytes } from "../../runtime/adapters/aws/item-size.ts";
import { type Input, ServiceError } from "./sdk-clients.ts";

type Item = Parameters<typeof itemBytes>[0];
type Names = Readonly<Record<string, string>>;

export class RowTables {
  /** The field that is the key of a table that was not created with another. */
  readonly #key: string;
  readonly #tables = new Map<string, Map<string, Item>>();
  readonly #keys = new Map<string, readonly string[]>();

  constructor(key: string) {
    this.#key = key;
  }

  /** `key`: its partition key, and its sort key if it has one. */
  create(table: string, key: readonly string[]): void {
    this.#keys.set(table, key);
  }

  #keyOf(table: string): readonly string[] {
    return this.#keys.get(table) ?? [this.#key];
  }

  items(table: string): readonly Item[] {
    return [...(this.#tables.get(table)?.values() ?? [])];
  }

  carryOut(command: string, input: Input): object {
    const { TableName: name, ExpressionAttributeNames: names = {}, ExpressionAttributeValues: values = {} } = input;
    const table = this.#table(name);
    const fields = this.#keyOf(name);
    const nameOf = (item: Item) => JSON.stringify(fields.map((field) => item[field]));
    switch (command) {
      case "DescribeTable":
        return {
          Table: { KeySchema: fields.map((AttributeName, n) => ({ AttributeName, KeyType: n === 0 ? "HASH" : "RANGE" })) },
        };
      case "GetItem": {
        const item = table.get(nameOf(input.Key));
        return { Item: item && structuredClone(item) };
      }
      case "PutItem": {
        const key = nameOf(input.Item);
        if (!holds(input.ConditionExpression, names, values, table.get(key)))
          throw new ServiceError("ConditionalCheckFailedException", "The conditional request failed");
        table.set(key, structuredClone(input.Item));
        return {};
      }
      case "Scan": {
        const found = [...table.values()].filter((item) => holds(input.FilterExpression, names, values, item));
        return { Items: structuredClone(found) };
      }
      default:
        throw new Error(`of tables of rows it is not simulated so far: ${command}`);
    }
  }

  #table(name: string): Map<string, Item> {
    let table = this.#tables.get(name);
    if (table === undefined) this.#tables.set(name, (table = new Map()));
    return table;
  }
}

/** All clauses: of an attribute that is not there, or of a member that is compared with a value. */
function holds(expression: string, names: Names, values: Item, item: Item | undefined): boolean {
  return expression.split(" AND ").every((clause) => {
    const absent = /^attribute_not_exists\((#\w+)\)$/.exec(clause);
    if (absent !== null) return item?.[names[absent[1]!]!] === undefined;
    const [, map, member, operator, value] = /^(#\w+)\.(#\w+) (=|<|>=) (:\w+)$/.exec(clause) ?? [];
    if (map === undefined) throw new Error(`a condition is not simulated so far: ${clause}`);
    const found = item?.[names[map]!]?.M?.[names[member!]!];
    const wanted = values[value!]!;
    if (found?.N === undefined || wanted.N === undefined)
      return operator === "=" && found?.S !== undefined && found.S === wanted.S;
    const [a, b] = [BigInt(found.N), BigInt(wanted.N)];
    return operator === "=" ? a === b : operator === "<" ? a < b : a >= b;
  });
}
