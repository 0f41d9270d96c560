/** A delivery stream of Amazon Data Firehose as a sink: the declaration and its pure half. The runtime half is adapters/aws/firehose-channel.ts. */
import type { Sink } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import { checkWritesRecords, type Format, formatOptions } from "../formats/format.ts";
import { checkSize, MessageWriter } from "../messages/message-writer.ts";

export interface FirehoseSinkOptions<T> {
  /** The delivery stream's logical name: a deployment binds it, else it is the stream's own. */
  readonly deliveryStream: string;
  /** What a record holds, with its line end: `ndjson()` makes lines of the objects that Firehose writes. */
  readonly format: Format<T>;
}

const recordBytesMax = 1_024_000;

/**
 * Records of a delivery stream, in no order. At least once: those of a commit whose effects were not seen to finish are put again, and Firehose
 * knows of no duplicates; where that matters, write objects with `s3`. Throws `invalid` for options that cannot be.
 */
export function firehoseSink<T>({ deliveryStream, format }: FirehoseSinkOptions<T>): Sink<T> {
  if (deliveryStream === "") throw new MillraceError("invalid", "a Firehose sink needs the name of a delivery stream");
  checkWritesRecords(format, "a Firehose sink");
  return {
    kind: "firehose",
    name: deliveryStream,
    guarantee: "atLeastOnce",
    options: { deliveryStream, format: formatOptions(format) },
    createWriter: () =>
      new MessageWriter((value) => {
        const body = format.encode(value);
        checkSize(body.length, recordBytesMax, "a record of Firehose");
        return { body };
      }),
  };
}
