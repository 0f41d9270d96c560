/** Plain data as text, one value a line: for what people may want to read where it lies. */
import { corrupt } from "./byte-reader.ts";
import { checkShape, type Shape } from "./shape.ts";

export function encodeJsonLines(values: readonly unknown[]): Uint8Array {
  return Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(""));
}

/** `what`: one of them, for messages. Throws `corrupt` for a line that is not JSON, or of another shape. */
export function decodeJsonLines<T>(bytes: Uint8Array, what: string, shape: Shape): readonly T[] {
  const lines = Buffer.from(bytes).toString().split("\n");
  return lines.filter((line) => line !== "").map((line) => decodeLine(line, what, shape) as T);
}

function decodeLine(line: string, what: string, shape: Shape): unknown {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw corrupt(`${what} is not JSON`, error);
  }
  checkShape(what, value, shape);
  return value;
}
