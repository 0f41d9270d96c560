/**
 * The SDK's clients, made once per environment. Endpoints, regions, profiles and credentials come from the SDK's own settings
 * (AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_<SERVICE>, AWS_REGION, AWS_PROFILE, …), so AWS and its stand-ins need no code of their own.
 */
import { DynamoDBClient, type DynamoDBClientConfig } from "@aws-sdk/client-dynamodb";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { S3Client } from "@aws-sdk/client-s3";
import { GatedHandler } from "./gated-handler.ts";

export interface AwsClients {
  readonly dynamodb: DynamoDBClient;
  readonly s3: S3Client;
  readonly kinesis: KinesisClient;
}

/** What all clients share; the SDK's own settings unless given. */
export type ClientOptions = Pick<DynamoDBClientConfig, "region" | "credentials" | "endpoint" | "maxAttempts" | "requestHandler">;

/** A connection that is not made in this time is tried anew. */
const connectMsMax = 2_000;
/** A request that is not answered in this time is repeated: its effect may have taken place. */
const answerMsMax = 15_000;

/** Requests of one client under way at once. */
const requestsMax = 50;

/** HTTP/1.1 for all of them: kept-alive connections, and no stand-in but ours speaks HTTP/2 without encryption. */
export function awsClients(options: ClientOptions = {}): AwsClients {
  const shared = () => ({ requestHandler: requestHandler(), ...options });
  return {
    dynamodb: new DynamoDBClient(shared()),
    // Stand-ins are reached by an address, which has no name of a bucket before it.
    s3: new S3Client({ ...shared(), forcePathStyle: hasOwnEndpoint(options, "S3") }),
    kinesis: new KinesisClient(shared()),
  };
}

/** How requests are sent: by all clients alike. `answerMs`: 0 waits for an answer as long as it takes. */
export function requestHandler(answerMs = answerMsMax): GatedHandler {
  return new GatedHandler(requestsMax, {
    connectionTimeout: connectMsMax,
    requestTimeout: answerMs,
    throwOnRequestTimeout: true,
  });
}

/** Whether a service is reached somewhere else than at AWS. */
export function hasOwnEndpoint({ endpoint }: ClientOptions, service: "S3" | "SQS"): boolean {
  const { env } = process;
  return [endpoint, env["AWS_ENDPOINT_URL"], env[`AWS_ENDPOINT_URL_${service}`]].some((set) => set !== undefined && set !== "");
}
