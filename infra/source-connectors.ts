/** Sources as a deployment sees them, by kind: what each is bound to, what rings its function, what its functions must be allowed. */
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { Source } from "../runtime/api/connector.ts";
import { MillraceError } from "../runtime/base/errors.ts";
import type { KafkaSettings } from "../runtime/connectors/kafka/kafka.ts";
import { startTimeOf } from "../runtime/connectors/kinesis/kinesis.ts";
import type { S3ObjectsSettings } from "../runtime/connectors/s3/s3-objects.ts";
import { type Bound, boundTo } from "./bindings.ts";
import type { Bell, Connector, Place } from "./connector.ts";
import { checkKafkaTopic, secretsOf } from "./kafka-topic.ts";
import * as permissions from "./permissions.ts";

export type SourceConnector = (
  place: Place,
  source: Source<any>,
  bound: Bound,
  job: string,
) => Pick<Connector, "bell" | "keys" | "permissions">;

const none: Connector["permissions"] = { task: [], coordinator: [], check: [] };

export const sources: Readonly<Record<string, SourceConnector>> = {
  kinesis: (place, source, bound) => {
    const stream = boundTo(bound, "streams", place);
    const read = permissions.readStreams([stream]);
    return {
      bell: { kind: "stream", stream, startAt: startTimeOf(source) },
      keys: one(stream.encryptionKey),
      permissions: { task: read, coordinator: read, check: read },
    };
  },
  // Its objects are listed once and read when there is time: nothing rings.
  s3Objects: (place, { options }, bound) => {
    const bucket = boundTo(bound, "buckets", place);
    const read = permissions.readObjects(bucket, (options as unknown as S3ObjectsSettings).prefix);
    return { keys: one(bucket.encryptionKey), permissions: { task: read, coordinator: read, check: read } };
  },
  dynamodbStream: (place, _, bound) => {
    const table = boundTo(bound, "tables", place);
    const { tableStreamArn: streamArn, encryptionKey } = table;
    if (streamArn === undefined)
      throw refused(
        place,
        "the table has no stream that is known here, make it with stream: StreamViewType.NEW_AND_OLD_IMAGES, or hand it over with Table.fromTableAttributes(…, { tableArn, tableStreamArn })",
      );
    const read = permissions.readTableStream(table, streamArn);
    return {
      bell: { kind: "table", streamArn },
      keys: one(encryptionKey),
      permissions: { task: read, coordinator: read, check: read },
    };
  },
  sqs: queueSource,
  eventBridge: queueSource,
  kafka: (place, { options }, bound, job) => {
    const topic = boundTo(bound, "kafkaTopics", place);
    checkKafkaTopic(place.name, topic);
    const topicName = topic.topicName ?? place.name;
    const consumerGroup = topic.consumerGroup ?? `millrace-${job}-${place.uid}`;
    const { partitions } = options as unknown as KafkaSettings;
    return {
      bell: { kind: "kafka", topic, topicName, consumerGroup, partitions },
      keys: secretsOf(topic).flatMap(({ encryptionKey }) => encryptionKey ?? []),
      permissions: { ...none, task: permissions.readTopic(topic, topicName, consumerGroup) },
    };
  },
};

/** The mapping alone receives: what nobody else reads needs no further leave. */
function queueSource(place: Place, _: Source<any>, bound: Bound): ReturnType<SourceConnector> {
  const queue = boundTo(bound, "queues", place);
  const bell: Bell = { kind: "queue", queue };
  return {
    bell,
    keys: one(queue.encryptionMasterKey),
    permissions: { ...none, task: [permissions.receiveMessages(queue)] },
  };
}

export function one(key: IKey | undefined): readonly IKey[] {
  return key === undefined ? [] : [key];
}

function refused({ uid }: Place, why: string): MillraceError {
  return new MillraceError("invalid", `${why}: ${uid}`, { context: { operator: uid } });
}
