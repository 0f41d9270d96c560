/** Sinks as a deployment sees them, by kind: what each is bound to, and what the job's functions must be allowed. */
import { Token } from "aws-cdk-lib";
import type { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { Sink } from "../runtime/api/connector.ts";
import { MillraceError } from "../runtime/base/errors.ts";
import { checkUrl } from "../runtime/connectors/http/http-sink.ts";
import type { HttpSettings } from "../runtime/connectors/http/http-settings.ts";
import type { SnsSettings } from "../runtime/connectors/sns/sns-settings.ts";
import type { SqsSettings } from "../runtime/connectors/sqs/sqs-settings.ts";
import { type Bound, boundTo, ifBoundTo } from "./bindings.ts";
import type { Connector, Place } from "./connector.ts";
import * as permissions from "./permissions.ts";
import { one } from "./source-connectors.ts";

export type SinkConnector = (
  place: Place,
  sink: Sink<any, any>,
  bound: Bound,
) => Pick<Connector, "keyedStream" | "keys" | "permissions">;

/** What is written by the tasks, and looked at by the coordinator and the check. */
function written(task: PolicyStatement, look: PolicyStatement): Connector["permissions"] {
  return { task: [task], coordinator: [look], check: [look] };
}

export const sinks: Readonly<Record<string, SinkConnector>> = {
  kinesis: (place, _, bound) => {
    const stream = boundTo(bound, "streams", place);
    const look = permissions.listStreams([stream]);
    return {
      keyedStream: stream,
      keys: one(stream.encryptionKey),
      permissions: { task: permissions.writeStreams([stream]), coordinator: look, check: look },
    };
  },
  dynamodb: (place, _, bound) => {
    const table = boundTo(bound, "tables", place);
    return {
      keys: one(table.encryptionKey),
      permissions: {
        task: [permissions.writeRows(table)],
        coordinator: [permissions.restoreRows(table)],
        check: [permissions.describeTable(table)],
      },
    };
  },
  s3: (place, { options }, bound) => {
    const bucket = boundTo(bound, "buckets", place);
    const prefix = String(options.prefix ?? "");
    const use = permissions.useObjects(bucket, prefix);
    const look = permissions.probeObjects(bucket, prefix);
    return { keys: one(bucket.encryptionKey), permissions: { task: use, coordinator: use, check: look } };
  },
  sqs: (place, { options }, bound) => {
    const queue = boundTo(bound, "queues", place);
    const { grouped, delaySeconds } = options as unknown as SqsSettings;
    checkGroups(place, "queue", queue.fifo, grouped);
    if (queue.fifo && delaySeconds !== undefined)
      throw refused(place, "messages of a FIFO queue have no delay of their own, leave out delaySeconds");
    return {
      keys: one(queue.encryptionMasterKey),
      permissions: written(permissions.sendMessages(queue), permissions.lookAtQueue(queue)),
    };
  },
  sns: (place, { options }, bound) => {
    const topic = boundTo(bound, "topics", place);
    checkGroups(place, "topic", topic.fifo, (options as unknown as SnsSettings).grouped);
    return { keys: one(topic.masterKey), permissions: written(permissions.publish(topic), permissions.lookAtTopic(topic)) };
  },
  eventBridge: (place, _, bound) => {
    const bus = boundTo(bound, "eventBuses", place);
    return { keys: [], permissions: written(permissions.putEvents(bus), permissions.lookAtBus(bus)) };
  },
  firehose: (place, _, bound) => {
    const stream = boundTo(bound, "deliveryStreams", place);
    return { keys: [], permissions: written(permissions.deliver(stream), permissions.lookAtDelivery(stream)) };
  },
  lambda: (place, _, bound) => {
    const invoke = permissions.invoke(boundTo(bound, "functions", place));
    // The check asks for a dry run of the same call.
    return { keys: [], permissions: written(invoke, invoke) };
  },
  http: (place, { options }, bound) => {
    const { url } = options as unknown as HttpSettings;
    const endpoint = url === undefined ? boundTo(bound, "endpoints", place) : ifBoundTo(bound, "endpoints", place);
    if (endpoint !== undefined && !Token.isUnresolved(endpoint)) checkUrl(endpoint);
    return { keys: [], permissions: { task: [], coordinator: [], check: [] } };
  },
};

/** `isFifo`: of what the app makes, and of what is imported by a name that says so. */
function checkGroups(place: Place, what: "queue" | "topic", isFifo: boolean, grouped: boolean): void {
  if (isFifo && !grouped) throw refused(place, `a FIFO ${what} needs groups, give the sink a messageGroup`);
}

function refused({ uid }: Place, why: string): MillraceError {
  return new MillraceError("invalid", `${why}: ${uid}`, { context: { operator: uid } });
}
