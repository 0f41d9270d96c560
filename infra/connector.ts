/** A source or sink of the job, as far as the deployment has to do with it: what it is bound to, what it rings by, what it must be allowed. */
import type { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { IStream } from "aws-cdk-lib/aws-kinesis";
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { ExternalQueue } from "./external.ts";
import type { KafkaTopic } from "./kafka-topic.ts";

/** Where it stands in the job. */
export interface Place {
  readonly uid: string;
  /** The logical name. */
  readonly name: string;
  readonly stage: string;
  /** Of a source of several parts: not the last. */
  readonly part?: "inner" | undefined;
}

/** What rings a function by a mapping. */
export type Bell =
  | {
      readonly kind: "stream";
      readonly stream: IStream;
      /** Where a job without state begins; undefined: the oldest record that the stream has. */
      readonly startAt: Date | undefined;
    }
  | { readonly kind: "table"; readonly streamArn: string }
  | { readonly kind: "queue"; readonly queue: ExternalQueue }
  | {
      readonly kind: "kafka";
      readonly topic: KafkaTopic;
      readonly topicName: string;
      readonly consumerGroup: string;
      readonly partitions: number;
    };

/** What tells one bell from another: what several sources of a stage read rings once. */
export function bellId(bell: Bell): string {
  switch (bell.kind) {
    case "stream":
      return bell.stream.streamArn;
    case "table":
      return bell.streamArn;
    case "queue":
      return bell.queue.queueArn;
    case "kafka":
      return `${JSON.stringify("clusterArn" in bell.topic ? bell.topic.clusterArn : bell.topic.bootstrapServers)}/${bell.topicName}`;
  }
}

export interface Connector extends Place {
  /** Of a source that rings its stage's function: by what. */
  readonly bell?: Bell;
  /** Of a sink that counts on partition keys: the stream that must keep to them. */
  readonly keyedStream?: IStream;
  /** The customers' keys that what it is bound to is encrypted with. */
  readonly keys: readonly IKey[];
  readonly permissions: {
    /** Of the functions of its stage. */
    readonly task: readonly PolicyStatement[];
    /** Of the coordinator, which looks at it at the start, and takes back what a restore leaves behind. */
    readonly coordinator: readonly PolicyStatement[];
    /** Of the start-up check. */
    readonly check: readonly PolicyStatement[];
  };
}

/** The keys of what is encrypted with one's own. */
export function keysOf(connectors: readonly Connector[]): readonly IKey[] {
  return [...new Set(connectors.flatMap(({ keys }) => keys))];
}
