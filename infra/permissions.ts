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
import type { ExternalBucket, ExternalTable } from "./external.ts";

/** Network interfaces, which Lambda makes for functions in a network of one's own. */
const useInterfaces = [
  "ec2:AssignPrivateIpAddresses",
  "ec2:CreateNetworkInterface",
  "ec2:DeleteNetworkInterface",
  "ec2:DescribeNetworkInterfaces",
  "ec2:DescribeSubnets",
  "ec2:UnassignPrivateIpAddresses",
] as const;
/** The account's limits, which the start-up check holds against what the job may need. */
const readLimits = ["lambda:GetAccountSettings"] as const;

/** What AWS allows on all resources or none. */
export const unrestrictable = [...useInterfaces, ...readLimits] as const;

const listStream = ["kinesis:DescribeStreamSummary", "kinesis:ListShards"];
/** What an event source mapping and the task's own reads need. */
const readStream = [...listStream, "kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator"];
const writeStream = [...listStream, "kinesis:PutRecords"];
const resizeStream = [...listStream, "kinesis:UpdateShardCount"];
const stateItems = ["dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"];
const writeRow = ["dynamodb:GetItem", "dynamodb:PutItem"];
const objects = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"];

export function allow(
  actions: readonly string[],
  resources: readonly string[],
  conditions: Record<string, unknown> = {},
): PolicyStatement {
  return new PolicyStatement({ actions: [...actions].sort(), resources: [...resources], conditions });
}

/** The items of the job, by their partition keys. */
export function useStateTable(job: string, { tableArn }: ExternalTable): PolicyStatement {
  const own = identityPartition(job);
  return allow(stateItems, [tableArn], { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": [own, `${own}/*`] } });
}

/** Objects under the prefix, and to see that one is not there, which S3 tells only those who may list. */
export function useObjects(bucket: ExternalBucket, prefix: string): PolicyStatement[] {
  return [
    allow(objects, [bucket.arnForObjects(`${prefix}*`)]),
    // Requests for an object bring no prefix: with a plain condition one that is not there would read as forbidden.
    allow(["s3:ListBucket"], [bucket.bucketArn], prefix === "" ? {} : { StringLikeIfExists: { "s3:prefix": [`${prefix}*`] } }),
  ];
}

export function useState(job: string, bucket: ExternalBucket): PolicyStatement[] {
  return useObjects(bucket, objectKey(job, ""));
}

export function useDeadLetters(job: string, bucket: ExternalBucket): PolicyStatement[] {
  return useObjects(bucket, deadLetterPrefix(job));
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

export function useKey({ keyArn }: IKey): PolicyStatement {
  return allow(["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"], [keyArn]);
}

export function useNetwork(): PolicyStatement {
  return allow(useInterfaces, ["*"]);
}

function onStreams(actions: readonly string[], streams: readonly IStream[]): PolicyStatement[] {
  const arns = [...new Set(streams.map(({ streamArn }) => streamArn))];
  return arns.length === 0 ? [] : [allow(actions, arns)];
}
