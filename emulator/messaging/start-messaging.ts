/** SQS and SNS on loopback, in this process: fauxqs. Queues and topics live in memory. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buildApp } from "fauxqs";
import { MillraceError } from "../../runtime/base/errors.ts";
import { type HttpFaults, installFaults } from "../http-faults.ts";
import { keepConnections } from "../keep-connections.ts";
import { newStores, type Stores } from "../s3/fauxqs-stores.ts";
import type { StandIn } from "../stand-in.ts";

export interface MessagingOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** Default "us-east-1". */
  readonly region?: string;
  /** By operation: SendMessageBatch, PublishBatch, … */
  readonly faults?: HttpFaults;
}

export interface Messaging extends StandIn {
  /** A queue whose name ends with ".fifo" is one. What is there stays. */
  createQueue(name: string, attributes?: Readonly<Record<string, string>>): { readonly url: string; readonly arn: string };
  /** The same of a topic. */
  createTopic(name: string): { readonly arn: string };
  /** A queue gets what is published to a topic, as it was published. */
  subscribe(topic: string, queue: string): void;
  /** Puts a message into a queue, as another service does. Throws `invalid` when there is none. */
  send(queue: string, body: string): void;
  /** What can be received from a queue, in its order; undefined: there is no such queue. Nothing is received by it. */
  messagesIn(queue: string): readonly QueuedMessage[] | undefined;
  /** What a mapping of the queue receives from. Throws `invalid` when there is none. */
  source(queue: string): MessageSource;
}

export interface QueuedMessage {
  readonly body: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly group: string | undefined;
}

/** A queue as its mapping knows it. */
export interface MessageSource {
  readonly arn: string;
  /** So many at most; undefined attributes are left out. They come again unless they are deleted in time. */
  receive(countMax: number): readonly ReceivedMessage[];
  delete(receiptHandle: string): void;
}

/** In the words of Lambda's event. */
export interface ReceivedMessage {
  readonly messageId: string;
  readonly receiptHandle: string;
  readonly body: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly messageAttributes: Readonly<Record<string, unknown>>;
  readonly md5OfBody: string;
}

/** The account that fauxqs makes ARNs of. */
const account = "000000000000";

export async function startMessaging({ port = 0, region = "us-east-1", faults }: MessagingOptions = {}): Promise<Messaging> {
  const stores = await newStores();
  const { sqsStore, snsStore } = stores;
  const app = buildApp({ logger: false, stores, defaultRegion: region });
  keepConnections(app.server);
  if (faults !== undefined) installFaults(app.server, faults, { operationOf, refuse });
  await app.listen({ host: "127.0.0.1", port });
  const address = `127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  const queueArn = (name: string) => `arn:aws:sqs:${region}:${account}:${name}`;
  const topicArn = (name: string) => `arn:aws:sns:${region}:${account}:${name}`;
  const isFifo = (name: string) => name.endsWith(".fifo");
  const queueOf = (name: string) => {
    const queue = sqsStore.getQueueByName(name);
    if (queue === undefined) throw new MillraceError("invalid", `there is no queue of this name: ${name}`);
    return queue;
  };
  return {
    endpoint: `http://${address}`,
    stop: async () => {
      await app.close();
    },
    createQueue: (name, attributes = {}) => {
      const place = { url: `http://${address}/${account}/${name}`, arn: queueArn(name) };
      const own = { ...attributes, ...(isFifo(name) && { FifoQueue: "true" }) };
      if (sqsStore.getQueueByArn(place.arn) === undefined) sqsStore.createQueue(name, place.url, place.arn, own, {});
      return place;
    },
    createTopic: (name) => {
      const arn = topicArn(name);
      if (snsStore.getTopic(arn) === undefined) snsStore.createTopic(name, isFifo(name) ? { FifoTopic: "true" } : {}, {}, region);
      return { arn };
    },
    subscribe: (topic, queue) => {
      snsStore.subscribe(topicArn(topic), "sqs", queueArn(queue), { RawMessageDelivery: "true" });
    },
    send: (name, body) => {
      const { createMessage } = sqsStore.constructor as unknown as MessageMaker;
      queueOf(name).enqueue(createMessage(body));
    },
    source: (name) => {
      const queue = queueOf(name);
      return {
        arn: queue.arn,
        receive: (countMax) => {
          const received = queue.dequeue(countMax, undefined, (arn) => sqsStore.getQueueByArn(arn));
          return received.map((message) => receivedOf(message, queue.inflightMessages.get(message.ReceiptHandle)!.message));
        },
        delete: (receiptHandle) => void queue.deleteMessage(receiptHandle),
      };
    },
    messagesIn: (queue) =>
      sqsStore.inspectQueue(queue)?.messages.ready.map(({ body, messageAttributes, messageGroupId }) => ({
        body,
        attributes: Object.fromEntries(
          Object.entries(messageAttributes).map(([name, { StringValue = "" }]) => [name, StringValue]),
        ),
        group: messageGroupId,
      })),
  };
}

type Queue = NonNullable<ReturnType<Stores["sqsStore"]["getQueueByName"]>>;
type Kept = Parameters<Queue["enqueue"]>[0];
type Received = ReturnType<Queue["dequeue"]>[number];

interface MessageMaker {
  createMessage(body: string): Parameters<Queue["enqueue"]>[0];
}

/** `message`: as the queue keeps it, with what Lambda's mapping asks of it. */
function receivedOf(
  { MessageId, ReceiptHandle, Body, MD5OfBody, MessageAttributes = {} }: Received,
  message: Kept,
): ReceivedMessage {
  const messageAttributes = Object.entries(MessageAttributes).map(([name, { DataType, StringValue, BinaryValue }]) => [
    name,
    { dataType: DataType, stringValue: StringValue, binaryValue: BinaryValue },
  ]);
  return {
    messageId: MessageId,
    receiptHandle: ReceiptHandle,
    body: Body,
    attributes: attributesOf(message),
    messageAttributes: Object.fromEntries(messageAttributes) as Record<string, unknown>,
    md5OfBody: MD5OfBody,
  };
}

function attributesOf(message: Kept): Readonly<Record<string, string>> {
  const { sentTimestamp, approximateReceiveCount, approximateFirstReceiveTimestamp } = message;
  const { messageGroupId, messageDeduplicationId, sequenceNumber } = message;
  return {
    ApproximateReceiveCount: String(approximateReceiveCount),
    SentTimestamp: String(sentTimestamp),
    SenderId: account,
    ApproximateFirstReceiveTimestamp: String(approximateFirstReceiveTimestamp),
    ...(messageGroupId !== undefined && { MessageGroupId: messageGroupId }),
    ...(messageDeduplicationId !== undefined && { MessageDeduplicationId: messageDeduplicationId }),
    ...(sequenceNumber !== undefined && { SequenceNumber: sequenceNumber }),
  };
}

/** Of SQS a header, of SNS the form's action, which is not read here. */
function operationOf({ headers }: IncomingMessage): string {
  return String(headers["x-amz-target"] ?? "SNS")
    .split(".")
    .at(-1)!;
}

function refuse(response: ServerResponse, fault: "throttle" | "unavailable"): void {
  const [status, code] = fault === "throttle" ? [400, "ThrottlingException"] : [503, "ServiceUnavailable"];
  response.writeHead(Number(status), { "content-type": "application/x-amz-json-1.0" });
  response.end(JSON.stringify({ __type: code, message: "Refused by the test." }));
}
