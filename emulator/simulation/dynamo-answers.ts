/** What simulated DynamoDBs share: whether a condition holds, and how an answer says what it took. */
import type { itemBytes } from "../../runtime/adapters/aws/item-size.ts";

export type Item = Parameters<typeof itemBytes>[0];

/** The conditions that the adapters make: alternatives of an attribute that is not there or has a number. Throws for others. */
export function holds(condition: string, values: Item, stored: Item | undefined): boolean {
  return condition.split(" OR ").some((clause) => {
    const absent = /^attribute_not_exists\((\w+)\)$/.exec(clause);
    if (absent !== null) return stored?.[absent[1]!] === undefined;
    const [, name, operator, value] = /^(\w+) (=|<) (:\w+)$/.exec(clause) ?? [];
    if (name === undefined) throw new Error(`a condition is not simulated so far: ${clause}`);
    if (stored === undefined) return false;
    const [a, b] = [Number(stored[name]!.N), Number(values[value!]!.N)];
    return operator === "=" ? a === b : a < b;
  });
}

export function capacity(units: number): { readonly CapacityUnits: number } {
  return { CapacityUnits: units };
}

export function consumed(units: number): { readonly ConsumedCapacity: { readonly CapacityUnits: number } } {
  return { ConsumedCapacity: capacity(units) };
}
