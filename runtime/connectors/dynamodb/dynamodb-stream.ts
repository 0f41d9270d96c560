/**
 * The changes of a DynamoDB table as a source: the declaration. What reads its stream is adapters/aws/table-stream-reader.ts; on one machine
 * it is bound to files.
 */
import type { Source } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import { type Format, formatOptions, recordDecoder } from "../formats/format.ts";

export interface DynamodbStreamOptions<T> {
  /** The table's logical name: a deployment binds it, else it is the table's own. Its stream must be on. */
  readonly table: string;
  /**
   * Of a change: JSON as Lambda's events have it, {eventName, dynamodb: {Keys, NewImage, OldImage, …}, userIdentity}. `json()` gives that as
   * it is.
   */
  readonly format: Format<T>;
  /**
   * When changes had expired (a stream keeps them for 24 hours) before the job read them: "fail" (default) stops the shard until this is
   * changed; "report" goes on with what is left, with an error in the log and the metric `sourceGap`.
   */
  readonly whenLost?: "report" | "fail";
}

/** What the reader must know: a table stream's `options`. */
export interface DynamodbStreamSettings {
  readonly table: string;
  readonly whenLost: "report" | "fail";
}

/**
 * The changes of a table, in the order of each item's. A job that has no state yet begins at the oldest that the stream has. A change's arrival
 * time is when it was made, to the second; it has no partition key. Throws `invalid` for options that cannot be.
 */
export function dynamodbStream<T>(options: DynamodbStreamOptions<T>): Source<T> {
  const { table, format, whenLost = "fail" } = options;
  if (table === "") throw new MillraceError("invalid", "a table's stream as a source needs the name of the table");
  if (format.header)
    throw new MillraceError("invalid", `changes of a table are JSON, they have no header line: ${format.name}, ${table}`);
  if (whenLost !== "report" && whenLost !== "fail")
    throw new MillraceError("invalid", `whenLost is "report" or "fail": ${String(whenLost)}`);
  const settings: DynamodbStreamSettings = { table, whenLost };
  return {
    kind: "dynamodbStream",
    name: table,
    bounded: false,
    options: { ...settings, format: formatOptions(format) },
    decode: recordDecoder(format),
  };
}
