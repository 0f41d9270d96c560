/** A Kinesis stream as a source: the declaration. What reads it is adapters/aws/kinesis-source.ts; on one machine it is bound to files. */
import type { Source } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import { type Format, formatOptions, recordDecoder } from "../formats/format.ts";

export interface KinesisOptions<T> {
  /** The stream's logical name: a deployment binds it, else it is the stream's own. */
  readonly stream: string;
  /** Of what a record holds: `json()`, … */
  readonly format: Format<T>;
  /**
   * Where a job begins that has no state yet: at the oldest record that the stream still has (default), or at the first that arrived at
   * this time or later. Afterwards the job's own positions count.
   */
  readonly startFrom?: "horizon" | Date;
  /**
   * When the stream's retention has passed records that the job had not read: "report" (default) goes on with what is left, with an error
   * in the log and the metric `sourceGap`; "fail" stops the shard until this is changed. Kinesis does not tell whether records stood between
   * the last one read, which is gone, and the first one left: after a quiet day a shard is reported that lost nothing.
   */
  readonly whenLost?: "report" | "fail";
}

/** What the reader and the deployment must know: a Kinesis source's `options`. */
export interface KinesisSettings {
  readonly stream: string;
  /** "horizon" or a time in ISO 8601. */
  readonly startFrom: string;
  readonly whenLost: "report" | "fail";
}

const latestLosesRecords =
  "a job cannot start at LATEST: records that arrive while its mapping is created or changed would be lost; " +
  `start at a time with startFrom: new Date(…), or at "horizon"`;

/** The records of a stream, shard by shard in their order; their arrival time is Kinesis' own. Throws `invalid` for options that cannot be. */
export function kinesis<T>(options: KinesisOptions<T>): Source<T> {
  const { stream, format, startFrom = "horizon", whenLost = "report" } = options;
  if (stream === "") throw new MillraceError("invalid", "a Kinesis source needs the name of a stream");
  if (format.header) {
    const message = "records of a stream have no header line before them: declare the format with header: false and its columns";
    throw new MillraceError("invalid", `${message}: ${format.name}, ${stream}`);
  }
  const settings: KinesisSettings = { stream, startFrom: startOf(startFrom), whenLost: lossOf(whenLost) };
  return {
    kind: "kinesis",
    name: stream,
    bounded: false,
    options: { ...settings, format: formatOptions(format) },
    decode: recordDecoder(format),
  };
}

function startOf(startFrom: unknown): string {
  if (startFrom === "horizon") return startFrom;
  if (startFrom instanceof Date && !Number.isNaN(startFrom.getTime())) return startFrom.toISOString();
  if (typeof startFrom === "string" && /^latest$/i.test(startFrom)) throw new MillraceError("invalid", latestLosesRecords);
  throw new MillraceError("invalid", `startFrom is "horizon" or a valid Date: ${String(startFrom)}`);
}

function lossOf(whenLost: unknown): KinesisSettings["whenLost"] {
  if (whenLost === "report" || whenLost === "fail") return whenLost;
  throw new MillraceError("invalid", `whenLost is "report" or "fail": ${String(whenLost)}`);
}

/** Where the stream is read from when the job has no position: what an event source mapping must be given too. Undefined: its horizon. */
export function startTimeOf(source: Source<any>): Date | undefined {
  const { startFrom } = source.options as unknown as KinesisSettings;
  return startFrom === "horizon" ? undefined : new Date(startFrom);
}
