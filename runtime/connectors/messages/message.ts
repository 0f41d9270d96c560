/**
 * What sinks that push (queues, topics, buses, functions, HTTP) hand over, one for each row.
 *
 * G1 A message's id follows from its commit and its place in it, or from the author's function: it is the same whenever the message is
 *    delivered again, so that receivers can leave out what they have.
 */
import { createHash } from "node:crypto";
import { corrupt } from "../../base/byte-reader.ts";
import { decodeValue, encodeValue } from "../../base/message-pack.ts";
import * as is from "../../base/shape.ts";
import type { SinkEffect } from "../../ports/sink-driver.ts";
import { rowId } from "../row-version.ts";

/** As the pure half of a sink makes it. */
export interface Message {
  readonly body: Uint8Array;
  /** Messages of one group are delivered in their order, where the receiver keeps one. */
  readonly group?: string | undefined;
  /** The author's own; default: made of its place. */
  readonly id?: string | undefined;
  /** What else the receiver is given: plain data, by the kind of sink. */
  readonly fields?: MessageFields | undefined;
}

export type MessageFields = Readonly<Record<string, unknown>>;

/** As it is delivered. */
export interface OutgoingMessage extends Message {
  readonly id: string;
  /** In its effect. */
  readonly place: number;
}

type Stored = readonly [body: Uint8Array, group: string | null, id: string | null, fields: MessageFields | null];

/** The longest id, in characters, all of them ASCII. */
export const messageIdLengthMax = 128;

export function encodeMessages(messages: readonly Message[]): Uint8Array {
  return encodeValue(messages.map(({ body, group, id, fields }): Stored => [body, group ?? null, id ?? null, fields ?? null]));
}

const orNull =
  (shape: is.Shape): is.Shape =>
  (value) =>
    value === null ? undefined : shape(value);
const messagesShape = is.listOf(is.tuple(is.bytes, orNull(is.text), orNull(is.text), orNull(is.object({}))));

/** Throws `corrupt`. */
function decodeMessages(payload: Uint8Array): readonly Stored[] {
  const messages = decodeValue(payload);
  is.checkShape("a payload of a sink of messages", messages, messagesShape);
  return messages as readonly Stored[];
}

/** A message that was given back: as it was sent, with its id. Throws `corrupt`. */
export function messageAgain(stored: Uint8Array): Message {
  const [message, ...more] = decodeMessages(stored);
  if (message === undefined || more.length > 0) throw corrupt(`a message that was given back is ${more.length + 1} messages`);
  const [body, group, id, fields] = message;
  return { body, group: group ?? undefined, id: id ?? undefined, fields: fields ?? undefined };
}

/** The messages of an effect, with their ids. Throws `corrupt`. */
export function outgoingMessages(job: string, effect: SinkEffect): readonly OutgoingMessage[] {
  return decodeMessages(effect.payload).map(([body, group, id, fields], place) => ({
    body,
    group: group ?? undefined,
    id: id ?? checkedId(`${job}/${rowId(effect, place)}`),
    fields: fields ?? undefined,
    place,
  }));
}

/** Itself where every receiver takes it for an id, else a hash of it. */
export function checkedId(id: string): string {
  if (/^[\x21-\x7e]+$/.test(id) && id.length <= messageIdLengthMax) return id;
  return createHash("sha256").update(id).digest("hex");
}
