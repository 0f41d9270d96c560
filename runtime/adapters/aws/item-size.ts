/**
 * The size of a DynamoDB item and what it costs to read and write, by the rules of the developer guide ("DynamoDB item sizes and
 * formats", "read and write operations"). For what the service does not answer itself: failed conditions.
 */
import type { AttributeValue } from "@aws-sdk/client-dynamodb";

export type Item = Record<string, AttributeValue>;

/** Names and text in UTF-8, bytes as they are; numbers, which must be whole and not negative, two digits a byte and one more. */
export function itemBytes(item: Item): number {
  return Object.entries(item).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + valueBytes(value), 0);
}

/** Write request units of a put over an item of that size, or of one whose condition failed on it: at least one. */
export function writeUnits(sizeBytes: number): number {
  return Math.max(1, Math.ceil(sizeBytes / 1024));
}

/** Read request units of a strongly consistent read: at least one. */
export function readUnits(sizeBytes: number): number {
  return Math.max(1, Math.ceil(sizeBytes / 4096));
}

function valueBytes(value: AttributeValue): number {
  if (value.S !== undefined) return Buffer.byteLength(value.S);
  if (value.B !== undefined) return value.B.length;
  return value.N === undefined ? 1 : numberBytes(value.N);
}

/** Pairs of digits counted from the point, without the zeros at the end. */
function numberBytes(digits: string): number {
  const significant = digits.replace(/0+$/, "").length;
  if (significant === 0) return 1;
  const startsInPair = digits.length % 2; // the first pair has one digit
  return 1 + Math.ceil((significant + startsInPair) / 2);
}
