/** What a DynamoDB item takes and what it costs to read and write: for what the service does not answer itself, as failed conditions. */
import type { AttributeValue } from "@aws-sdk/client-dynamodb";
import { attributesBytes } from "../../connectors/dynamodb/attribute.ts";

export type Item = Record<string, AttributeValue>;

/** With its names. */
export function itemBytes(item: Item): number {
  return attributesBytes(item);
}

/** Write request units of a put over an item of that size, or of one whose condition failed on it: at least one. */
export function writeUnits(sizeBytes: number): number {
  return Math.max(1, Math.ceil(sizeBytes / 1024));
}

/** Read request units of a strongly consistent read: at least one. */
export function readUnits(sizeBytes: number): number {
  return Math.max(1, Math.ceil(sizeBytes / 4096));
}
