/**
 * Events of EventBridge as a source, by way of an SQS queue that is the target of a rule: the declaration. A rule could invoke a function
 * itself, but then there are neither batches nor back-pressure, and an event is given up after a day: a queue keeps it for up to 14 days,
 * and lets go of it only when what came of it is committed.
 */
import type { Source } from "../../api/connector.ts";
import { messageOf } from "../../base/errors.ts";
import { type Format, recordDecoder, Rejection } from "../formats/format.ts";
import { json } from "../formats/json.ts";
import { stringifyExactly } from "../formats/long-integers.ts";
import { queueSource } from "../sqs/sqs.ts";

export interface EventBridgeOptions<T> {
  /** The logical name of the queue that the rule sends to: a deployment binds it, else it is the queue's own. */
  readonly queue: string;
  /** Of what an event's `detail` holds: `json(schema)`. */
  readonly format: Format<T>;
}

/** An event of a bus. */
export interface BusEvent<T> {
  /** The same each time that the event is delivered, in whichever message. */
  readonly id: string;
  readonly source: string;
  readonly detailType: string;
  /** Epoch ms. */
  readonly time: number;
  readonly detail: T;
}

interface Envelope {
  readonly id?: unknown;
  readonly source?: unknown;
  readonly "detail-type"?: unknown;
  readonly time?: unknown;
  readonly detail?: unknown;
}

/**
 * The events that a rule sends to a queue, at least once, in no order: EventBridge may send one twice, in messages of their own. Its id tells:
 * `.keyBy(({ id }) => id).process("once", firstOfKey({ within }))` lets each pass once. Throws `invalid` for options that cannot be.
 */
export function eventBridge<T>(options: EventBridgeOptions<T>): Source<BusEvent<T>> {
  const { queue, format } = options;
  // Which integers a number holds, is for the detail's own format to say.
  const envelope = json<Envelope>(undefined, { longs: "bigint" });
  const decode = recordDecoder<BusEvent<T>>({
    ...(envelope as unknown as Format<BusEvent<T>>),
    decode: (encoded) => eventOf(envelope.decode(encoded), format),
  });
  return queueSource("eventBridge", queue, format, decode);
}

/** Throws `Rejection`. */
function eventOf<T>(envelope: Envelope, format: Format<T>): BusEvent<T> {
  const { id, source, "detail-type": detailType, time, detail } = envelope ?? {};
  const at = typeof time === "string" ? Date.parse(time) : NaN;
  if (
    typeof id !== "string" ||
    typeof source !== "string" ||
    typeof detailType !== "string" ||
    Number.isNaN(at) ||
    detail === undefined
  )
    throw new Rejection("not an event of EventBridge: it lacks an id, source, detail-type, time or detail");
  const text = textOf(detail);
  return { id, source, detailType, time: at, detail: format.decode({ bytes: Buffer.from(text), text }) };
}

/** What can be read at any depth cannot be written at any. */
function textOf(detail: unknown): string {
  try {
    return stringifyExactly(detail)!;
  } catch (error) {
    throw new Rejection(`the detail of the event cannot be read: ${messageOf(error)}`);
  }
}
