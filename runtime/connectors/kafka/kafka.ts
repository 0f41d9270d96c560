/**
 * A Kafka topic (Amazon MSK, or a cluster of one's own) as a source, through Lambda's mapping for Kafka: the declaration. On one machine it is
 * bound to files.
 */
import type { Source } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import type { BroughtReaderOptions } from "../brought/brought-reader.ts";
import { type Format, formatOptions, recordDecoder } from "../formats/format.ts";

export interface KafkaOptions<T> {
  /** The topic's logical name: a deployment binds it, else it is the topic's own. */
  readonly topic: string;
  /** How many partitions it has; a batch of one beyond is refused until this is raised. */
  readonly partitions: number;
  /** Of what a record's value holds: `json()`, … One without a value goes to the dead letters. */
  readonly format: Format<T>;
  /**
   * "contiguous" (default): offsets of a partition follow one another, so one that is left out was lost. "sparse": of compacted topics, and of
   * those that transactions write to, offsets are left out as a rule, and loss does not show.
   */
  readonly offsets?: "contiguous" | "sparse";
  /** When offsets are left out that should not be: "fail" (default) stops the partition until this is changed; "report" goes on. */
  readonly whenLost?: "report" | "fail";
}

/** What the reader must know: a Kafka source's `options`. */
export interface KafkaSettings {
  readonly topic: string;
  readonly partitions: number;
  readonly offsets: "contiguous" | "sparse";
  readonly whenLost: "report" | "fail";
}

const partitionsMax = 10_000;

/**
 * The records of a topic, partition by partition in the order of their offsets, which are their positions. A record's arrival time is its
 * timestamp, its partition key its key as text. Throws `invalid` for options that cannot be.
 */
export function kafka<T>(options: KafkaOptions<T>): Source<T> {
  const { topic, partitions, format, offsets = "contiguous", whenLost = "fail" } = options;
  if (topic === "") throw new MillraceError("invalid", "a Kafka source needs the name of a topic");
  if (!(Number.isInteger(partitions) && partitions >= 1 && partitions <= partitionsMax))
    throw new MillraceError(
      "invalid",
      `a topic's partitions are a whole number from 1 to ${partitionsMax}: ${topic}, ${partitions}`,
    );
  if (format.header)
    throw new MillraceError(
      "invalid",
      `records of a topic have no header line, declare the format with header: false: ${format.name}, ${topic}`,
    );
  if (offsets !== "contiguous" && offsets !== "sparse")
    throw new MillraceError("invalid", `offsets are "contiguous" or "sparse": ${String(offsets)}`);
  if (whenLost !== "report" && whenLost !== "fail")
    throw new MillraceError("invalid", `whenLost is "report" or "fail": ${String(whenLost)}`);
  const settings: KafkaSettings = { topic, partitions, offsets, whenLost };
  return {
    kind: "kafka",
    name: topic,
    bounded: false,
    options: { ...settings, format: formatOptions(format) },
    decode: recordDecoder(format),
  };
}

/** The shard that a partition is. */
export function partitionShard(partition: number): string {
  return `partition-${partition}`;
}

/** How its reader is made. */
export function kafkaReading(uid: string, { partitions, offsets, whenLost }: KafkaSettings): BroughtReaderOptions {
  return {
    uid,
    shards: Array.from({ length: partitions }, (_, n) => partitionShard(n)),
    gaps: offsets === "sparse" ? "ignore" : whenLost,
    advice:
      "set the offsets of the mapping's consumer group back to the first of them; where the topic leaves offsets out as a rule, " +
      `set offsets: "sparse"; to go on without them, set whenLost: "report"`,
  };
}
