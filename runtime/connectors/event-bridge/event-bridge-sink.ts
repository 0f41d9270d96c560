/** A bus of EventBridge as a sink: the declaration and its pure half. The runtime half is adapters/aws/event-bridge-channel.ts. */
import type { Sink } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import { encodeJsonLine } from "../formats/json.ts";
import { type Message, messageIdLengthMax } from "../messages/message.ts";
import { checkSize, MessageWriter } from "../messages/message-writer.ts";
import { eventSize, type EventBridgeSettings, type EventFields } from "./event-bridge-settings.ts";

export interface EventBridgeSinkOptions<T> {
  /** The bus' logical name: a deployment binds it to a name or an ARN; else it is the bus' own. */
  readonly bus: string;
  /** Who the events are from, as rules see it: "shop.orders". */
  readonly source: string;
  /** What kind of event it is: one text, or one for each row. */
  readonly detailType: string | ((value: T) => string);
  /** What the event tells, an object; default: the row itself. */
  readonly detail?: (value: T) => object;
  /** ARNs of what the event is about; default none. */
  readonly resources?: (value: T) => readonly string[];
  /** The field of the detail that has the event's id, for receivers that leave out what they have; null: none. Default "millraceId". */
  readonly idField?: string | null;
  /** The event's id; default: a name of its commit and its place there. */
  readonly id?: (value: T) => string;
}

/** The whole entry must be below 1 MB. */
const entryBytesMax = 1_000_000 - 1;
const nameLengthMax = 256;
const detailTypeLengthMax = 128;

/**
 * Events of a bus, with the row's time. At least once, in no order: those of a commit whose effects were not seen to finish are put again, with
 * the same ids. Throws `invalid` for options that cannot be.
 */
export function eventBridgeSink<T>(options: EventBridgeSinkOptions<T>): Sink<T> {
  const { bus, source, detailType, idField = "millraceId" } = options;
  if (bus === "") throw new MillraceError("invalid", "an EventBridge sink needs the name of a bus");
  if (source === "" || source.length > nameLengthMax || source.startsWith("aws."))
    throw new MillraceError(
      "invalid",
      `an event's source is 1 to ${nameLengthMax} characters and does not begin with "aws.": ${source}`,
    );
  if (typeof detailType === "string") checkDetailType(detailType);
  if (idField === "") throw new MillraceError("invalid", "idField is the name of a field, or null");
  const settings: EventBridgeSettings = { bus, source, idField };
  const toMessage = eventOf({ ...options, idField });
  return {
    kind: "eventBridge",
    name: bus,
    guarantee: "atLeastOnce",
    options: { ...settings, ...(typeof detailType === "string" && { detailType }) },
    createWriter: () => new MessageWriter(toMessage),
  };
}

function eventOf({
  source,
  detailType,
  detail: detailOf = (value) => value,
  resources: resourcesOf,
  idField,
  id: idOf,
}: EventBridgeSinkOptions<any> & { readonly idField: string | null }): (
  value: unknown,
  timestamp: number | undefined,
) => Message {
  const idBytes = idField === null ? 0 : idField.length * 6 + messageIdLengthMax * 2 + '"":"",'.length;
  return (value, timestamp) => {
    const detail = detailOf(value);
    if (typeof detail !== "object" || detail === null || Array.isArray(detail))
      throw new MillraceError("invalid", `an event's detail is an object: ${typeof detail}`);
    const body = encodeJsonLine(detail).subarray(0, -1);
    if (body[0] !== 0x7b) throw new MillraceError("invalid", "an event's detail is an object, also where toJSON() makes another");
    if (idField !== null && Object.hasOwn(detail, idField))
      throw new MillraceError(
        "invalid",
        `an event's detail has a field of the name that its id gets, choose another idField: ${idField}`,
      );
    const type = typeof detailType === "string" ? detailType : checkDetailType(detailType(value));
    const resources = resourcesOf === undefined ? [] : checkResources(resourcesOf(value));
    const fields: EventFields = {
      detailType: type,
      ...(resources.length > 0 && { resources }),
      ...(timestamp !== undefined && { time: timestamp }),
    };
    checkSize(eventSize(source, body, fields) + idBytes, entryBytesMax, "an event");
    const id = idOf?.(value);
    if (idOf !== undefined && (typeof id !== "string" || id === "" || id.length > messageIdLengthMax))
      throw new MillraceError("invalid", `an event's id is text of 1 to ${messageIdLengthMax} characters: ${typeof id}`);
    return { body, id, fields };
  };
}

function checkDetailType(detailType: unknown): string {
  if (typeof detailType === "string" && detailType !== "" && detailType.length <= detailTypeLengthMax) return detailType;
  const given = typeof detailType === "string" ? `text of ${detailType.length}` : typeof detailType;
  throw new MillraceError("invalid", `an event's detailType is text of 1 to ${detailTypeLengthMax} characters: ${given}`);
}

function checkResources(resources: unknown): readonly string[] {
  if (Array.isArray(resources) && resources.every((one) => typeof one === "string" && one !== "")) return resources;
  throw new MillraceError("invalid", `an event's resources are a list of texts: ${typeof resources}`);
}
