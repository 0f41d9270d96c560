/**
 * The SDK's clients of services that few jobs use: loaded when first asked for. A function's bundle holds those alone whose sources
 * and sinks its job declares (packaging/optional-clients.ts).
 */
import type { DynamoDBStreamsClient } from "@aws-sdk/client-dynamodb-streams";
import type { EventBridgeClient } from "@aws-sdk/client-eventbridge";
import type { FirehoseClient } from "@aws-sdk/client-firehose";
import type { LambdaClient } from "@aws-sdk/client-lambda";
import type { SNSClient } from "@aws-sdk/client-sns";
import type { SQSClient } from "@aws-sdk/client-sqs";
import { type ClientOptions, hasOwnEndpoint, requestHandler } from "./aws-clients.ts";

/** A client with the package that its commands are in. */
export interface Loaded<Client, Sdk> {
  readonly client: Client;
  readonly sdk: Sdk;
}

export type LoadedDynamodbStreams = Loaded<DynamoDBStreamsClient, typeof import("@aws-sdk/client-dynamodb-streams")>;
export type LoadedSqs = Loaded<SQSClient, typeof import("@aws-sdk/client-sqs")>;
export type LoadedSns = Loaded<SNSClient, typeof import("@aws-sdk/client-sns")>;
export type LoadedEventBridge = Loaded<EventBridgeClient, typeof import("@aws-sdk/client-eventbridge")>;
export type LoadedFirehose = Loaded<FirehoseClient, typeof import("@aws-sdk/client-firehose")>;
export type LoadedLambda = Loaded<LambdaClient, typeof import("@aws-sdk/client-lambda")>;

export interface LazyClients {
  dynamodbStreams(): Promise<LoadedDynamodbStreams>;
  sqs(): Promise<LoadedSqs>;
  sns(): Promise<LoadedSns>;
  eventBridge(): Promise<LoadedEventBridge>;
  firehose(): Promise<LoadedFirehose>;
  /** Waits for answers as long as its callers do, and repeats no call by itself: a function may run for minutes. */
  lambda(): Promise<LoadedLambda>;
}

export function lazyClients(options: ClientOptions = {}): LazyClients {
  const shared = () => ({ requestHandler: requestHandler(), ...options });
  return {
    dynamodbStreams: once(async () => {
      const sdk = await import("@aws-sdk/client-dynamodb-streams");
      return { sdk, client: new sdk.DynamoDBStreamsClient(shared()) };
    }),
    sqs: once(async () => {
      const sdk = await import("@aws-sdk/client-sqs");
      // Stand-ins call their queues by addresses that do not lead to them.
      const useQueueUrlAsEndpoint = !hasOwnEndpoint(options, "SQS");
      return { sdk, client: new sdk.SQSClient({ ...shared(), useQueueUrlAsEndpoint }) };
    }),
    sns: once(async () => {
      const sdk = await import("@aws-sdk/client-sns");
      return { sdk, client: new sdk.SNSClient(shared()) };
    }),
    eventBridge: once(async () => {
      const sdk = await import("@aws-sdk/client-eventbridge");
      return { sdk, client: new sdk.EventBridgeClient(shared()) };
    }),
    firehose: once(async () => {
      const sdk = await import("@aws-sdk/client-firehose");
      return { sdk, client: new sdk.FirehoseClient(shared()) };
    }),
    lambda: once(async () => {
      const sdk = await import("@aws-sdk/client-lambda");
      return {
        sdk,
        client: new sdk.LambdaClient({ ...options, requestHandler: options.requestHandler ?? requestHandler(0), maxAttempts: 1 }),
      };
    }),
  };
}

/** Loads once; when that fails, again at the next call. */
function once<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: Promise<T> | undefined;
  return async () => {
    try {
      return await (loaded ??= load());
    } catch (error) {
      loaded = undefined;
      throw error;
    }
  };
}
