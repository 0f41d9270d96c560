/**
 * What each function may do, as data: the actions of AWS that the adapters call, and on what. docs/state-layout.md says why each is needed.
 *
 * P1 No statement has `*` for a resource, but those of `unrestrictable`, for which AWS knows no resource.
 * P2 Of the state table and the bucket a role has the items and objects of its own job.
 */
import type { Stack } from "aws-cdk-lib";
import type { IStream } from "aws-cdk-lib/aws-kinesis";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import { identityPartition, objectKey } from "../runtime/adapters/aws/names.ts";
import { deadLetterPrefix } from "../functions/contract.ts";
import type {
  ExternalBucket,
  ExternalBus,
  ExternalDeliveryStream,
  ExternalFunction,
  ExternalQueue,
  ExternalSecret,
  ExternalTable,
  ExternalTopic,
} from "./external.ts";
import { isInNetwork, isMsk, type KafkaTopic, mskArns, secretsOf } from "./kafka-topic.ts";

/** Network interfaces, which Lambda makes for functions in a network of one's own. */
const useInterfaces = [
  "ec2:AssignPrivateIpAddresses",
  "ec2:CreateNetworkInterface",
  "ec2:DeleteNetworkInterface",
  "ec2:DescribeNetworkInterfaces",
  "ec2:DescribeSubnets",
  "ec2:UnassignPrivateIpAddresses",
] as const;
/** The same for mappings of Kafka, which look at the cluster's network too. */
const useBrokers = [
  "ec2:CreateNetworkInterface",
  "ec2:DeleteNetworkInterface",
  "ec2:DescribeNetworkInterfaces",
  "ec2:DescribeSecurityGroups",
  "ec2:DescribeSubnets",
  "ec2:DescribeVpcs",
] as const;
/** The account's limits, which the start-up check holds against what the job may need. */
const readLimits = ["lambda:GetAccountSettings"] as const;

/** What AWS allows on all resources or none. */
export const unrestrictable: readonly string[] = [...new Set([...useInterfaces, ...useBrokers, ...readLimits])];

const listStream = ["kinesis:DescribeStreamSummary", "kinesis:ListShards"];
/** What an event source mapping and the task's own reads need. */
const readStream = [...listStream, "kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator"];
const writeStream = [...listStream, "kinesis:PutRecords"];
const resizeStream = [...listStream, "kinesis:UpdateShardCount"];
const stateItems = ["dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"];
const writeRow = ["dynamodb:GetItem", "dynamodb:PutItem"];
const readChanges = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"];
const readCluster = ["kafka:DescribeCluster", "kafka:DescribeClusterV2", "kafka:GetBootstrapBrokers"];
/** What the start-up check does with state: it reads, and sees whether table and prefix are the job's and may be written. */
const lookAtItems = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"];
const lookAtObjects = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"];
const objects = [...lookAtObjects, "s3:DeleteObject"];

export function allow(
  actions: readonly string[],
  resources: readonly string[],
  conditions: Record<string, unknown> = {},
): PolicyStatement {
  return new PolicyStatement({ actions: [...actions].sort(), resources: [...resources], conditions });
}

/** The items of the job, by their partition keys. */
export function useStateTable(job: string, table: ExternalTable): PolicyStatement {
  return onItems(stateItems, job, table);
}

export function lookAtStateTable(job: string, table: ExternalTable): PolicyStatement {
  return onItems(lookAtItems, job, table);
}

function onItems(actions: readonly string[], job: string, { tableArn }: ExternalTable): PolicyStatement {
  const own = identityPartition(job);
  return allow(actions, [tableArn], { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": [own, `${own}/*`] } });
}

/** Objects under the prefix, and to see that one is not there, which S3 tells only those who may list. */
export function useObjects(bucket: ExternalBucket, prefix: string): PolicyStatement[] {
  return [allow(objects, [bucket.arnForObjects(`${prefix}*`)]), listObjects(bucket, prefix)];
}

/** The same but for taking away, for who sees whether it may write by an upload that it gives up. */
export function probeObjects(bucket: ExternalBucket, prefix: string): PolicyStatement[] {
  return [allow(lookAtObjects, [bucket.arnForObjects(`${prefix}*`)]), listObjects(bucket, prefix)];
}

/** Requests for an object bring no prefix: with a plain condition one that is not there would read as forbidden. */
function listObjects({ bucketArn }: ExternalBucket, prefix: string): PolicyStatement {
  return allow(["s3:ListBucket"], [bucketArn], prefix === "" ? {} : { StringLikeIfExists: { "s3:prefix": [`${prefix}*`] } });
}

/** To list what is under the prefix, and to read it. */
export function readObjects(bucket: ExternalBucket, prefix: string): PolicyStatement[] {
  return [allow(["s3:GetObject"], [bucket.arnForObjects(`${prefix}*`)]), listObjects(bucket, prefix)];
}

export function useState(job: string, bucket: ExternalBucket): PolicyStatement[] {
  return useObjects(bucket, objectKey(job, ""));
}

export function useDeadLetters(job: string, bucket: ExternalBucket): PolicyStatement[] {
  return useObjects(bucket, deadLetterPrefix(job));
}

export function lookAtState(job: string, bucket: ExternalBucket): PolicyStatement[] {
  return probeObjects(bucket, objectKey(job, ""));
}

export function lookAtDeadLetters(job: string, bucket: ExternalBucket): PolicyStatement[] {
  return probeObjects(bucket, deadLetterPrefix(job));
}

export function readStreams(streams: readonly IStream[]): PolicyStatement[] {
  return onStreams(readStream, streams);
}

export function listStreams(streams: readonly IStream[]): PolicyStatement[] {
  return onStreams(listStream, streams);
}

export function writeStreams(streams: readonly IStream[]): PolicyStatement[] {
  return onStreams(writeStream, streams);
}

export function resizeStreams(streams: readonly IStream[]): PolicyStatement[] {
  return onStreams(resizeStream, streams);
}

export function writeRows({ tableArn }: ExternalTable): PolicyStatement {
  return allow(writeRow, [tableArn]);
}

/** Beside writing: to look at its keys at the start, and to take rows back that lie beyond a restored checkpoint. */
export function restoreRows({ tableArn }: ExternalTable): PolicyStatement {
  return allow([...writeRow, "dynamodb:DescribeTable", "dynamodb:Scan"], [tableArn]);
}

/** A mapping is made only where the table's streams may be listed; AWS knows that of all of them. */
export function readTableStream({ tableArn }: ExternalTable, streamArn: string): PolicyStatement[] {
  return [
    allow(["dynamodb:DescribeTable"], [tableArn]),
    allow(readChanges, [streamArn]),
    allow(["dynamodb:ListStreams"], [`${tableArn}/stream/*`]),
  ];
}

export function receiveMessages({ queueArn }: ExternalQueue): PolicyStatement {
  return allow(["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"], [queueArn]);
}

export function sendMessages({ queueArn }: ExternalQueue): PolicyStatement {
  return allow(["sqs:GetQueueUrl", "sqs:SendMessage"], [queueArn]);
}

export function lookAtQueue({ queueArn }: ExternalQueue): PolicyStatement {
  return allow(["sqs:GetQueueAttributes", "sqs:GetQueueUrl"], [queueArn]);
}

export function publish({ topicArn }: ExternalTopic): PolicyStatement {
  return allow(["sns:Publish"], [topicArn]);
}

export function lookAtTopic({ topicArn }: ExternalTopic): PolicyStatement {
  return allow(["sns:GetTopicAttributes"], [topicArn]);
}

export function putEvents({ eventBusArn }: ExternalBus): PolicyStatement {
  return allow(["events:PutEvents"], [eventBusArn]);
}

export function lookAtBus({ eventBusArn }: ExternalBus): PolicyStatement {
  return allow(["events:DescribeEventBus"], [eventBusArn]);
}

export function deliver({ deliveryStreamArn }: ExternalDeliveryStream): PolicyStatement {
  return allow(["firehose:PutRecordBatch"], [deliveryStreamArn]);
}

export function lookAtDelivery({ deliveryStreamArn }: ExternalDeliveryStream): PolicyStatement {
  return allow(["firehose:DescribeDeliveryStream"], [deliveryStreamArn]);
}

export function invoke({ functionArn }: ExternalFunction): PolicyStatement {
  return allow(["lambda:InvokeFunction"], [functionArn]);
}

/** What Lambda's mapping needs of its function's role: the cluster, its network, and what lets it in. */
export function readTopic(topic: KafkaTopic, topicName: string, group: string): PolicyStatement[] {
  const secrets = secretsOf(topic);
  return [
    ...(isMsk(topic) ? readMsk(topic, topicName, group) : []),
    ...(isInNetwork(topic) ? [allow(useBrokers, ["*"])] : []),
    ...(secrets.length > 0 ? [allow(["secretsmanager:GetSecretValue"], secrets.map(arnOfSecret))] : []),
  ];
}

function readMsk(topic: Extract<KafkaTopic, { clusterArn: string }>, topicName: string, group: string): PolicyStatement[] {
  const [clusterArn, topicArn, groupArn] = mskArns(topic, topicName, group);
  const { authentication = "iam" } = topic;
  return [
    allow(authentication === "scram512" ? [...readCluster, "kafka:ListScramSecrets"] : readCluster, [clusterArn]),
    ...(authentication === "iam"
      ? [
          allow(["kafka-cluster:Connect", "kafka-cluster:DescribeClusterDynamicConfiguration"], [clusterArn]),
          allow(["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"], [topicArn]),
          allow(["kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"], [groupArn]),
        ]
      : []),
  ];
}

/** A secret that is known by its name alone has an ARN that ends with six characters more. */
function arnOfSecret({ secretArn, secretFullArn }: ExternalSecret): string {
  return secretFullArn ?? `${secretArn}-??????`;
}

/** Schemas by the ids of their versions: of any registry of the account, since an id does not say of which. */
export function readSchemas({ partition, region, account }: Stack): PolicyStatement {
  const arn = (kind: string) => `arn:${partition}:glue:${region}:${account}:${kind}/*`;
  return allow(["glue:GetSchemaVersion"], [arn("registry"), arn("schema")]);
}

export function describeTable({ tableArn }: ExternalTable): PolicyStatement {
  return allow(["dynamodb:DescribeTable"], [tableArn]);
}

export function lookAtAccount(): PolicyStatement {
  return allow(readLimits, ["*"]);
}

/** What CDK's own grants give to who reads and writes an encrypted table, stream or bucket. */
export function useKey({ keyArn }: IKey): PolicyStatement {
  const encrypt = ["kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"];
  return allow(["kms:Decrypt", "kms:DescribeKey", ...encrypt], [keyArn]);
}

export function useNetwork(): PolicyStatement {
  return allow(useInterfaces, ["*"]);
}

function onStreams(actions: readonly string[], streams: readonly IStream[]): PolicyStatement[] {
  const arns = [...new Set(streams.map(({ streamArn }) => streamArn))];
  return arns.length === 0 ? [] : [allow(actions, arns)];
}
