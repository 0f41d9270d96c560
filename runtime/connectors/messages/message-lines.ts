/** What sinks that write to services of AWS would have sent, as lines of JSON for people: what stands in their place on one machine. */
import type { Sink } from "../../api/connector.ts";
import type { SinkEffect } from "../../ports/sink-driver.ts";
import { decodeTablePayload } from "../dynamodb/dynamodb.ts";
import { utf8Text } from "../formats/utf8.ts";
import { decodeRecords } from "../kinesis/kinesis-sink.ts";
import { effectVersion, rowId, rowVersion } from "../row-version.ts";
import { outgoingMessages } from "./message.ts";

/** One line, by its place in the effect. `version` grows from line to line over all that a task writes. */
export interface MessageLine {
  readonly version: bigint;
  readonly text: string;
}

/** Throws nothing for a payload of the sink's own kind; undefined: a sink of another kind. */
export type ToLines = (effect: SinkEffect) => readonly MessageLine[];

const messageKinds = new Set(["sqs", "sns", "eventBridge", "firehose", "lambda", "http"]);

/** How the effects of a sink become lines; undefined for a sink that none stand for. */
export function linesOf(job: string, { kind }: Sink<any, any>): ToLines | undefined {
  const shown =
    (show: (effect: SinkEffect) => readonly object[]): ToLines =>
    (effect) =>
      show(effect).map((line, place) => {
        const version = effectVersion(effect) + BigInt(place);
        return { version, text: `${JSON.stringify({ version: String(rowVersion(effect, place)), ...line }, plain)}\n` };
      });
  if (kind === "kinesis")
    return shown((effect) =>
      decodeRecords(effect.payload).map(([partitionKey, bytes], place) => ({
        id: rowId(effect, place),
        partitionKey,
        ...valueOf(bytes),
      })),
    );
  if (kind === "dynamodb")
    return shown((effect) =>
      decodeTablePayload(effect.payload).rows.map(({ values, deleted }, place) => ({
        id: rowId(effect, place),
        [deleted ? "delete" : "put"]: values,
      })),
    );
  if (!messageKinds.has(kind)) return undefined;
  return shown((effect) =>
    outgoingMessages(job, effect).map(({ id, group, fields, body }) => ({
      id,
      ...(group !== undefined && { group }),
      ...fields,
      ...valueOf(body),
    })),
  );
}

/** JSON as it is, other text as text, other bytes as base64. */
function valueOf(bytes: Uint8Array): object {
  const text = utf8Text(bytes);
  if (text === undefined) return { bytes: Buffer.from(bytes).toString("base64") };
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return { text };
  }
}

/** What JSON has no words for, as it can be read. */
function plain(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}
