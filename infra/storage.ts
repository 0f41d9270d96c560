/**
 * Where a job keeps its state: the table of journals, mailboxes and pages, the bucket of segments and manifests, the bucket of dead letters.
 * They outlive the stack.
 *
 * S1 Ids of constructs here are a contract: another id is another, empty, table.
 */
import { Duration, RemovalPolicy } from "aws-cdk-lib";
import { AttributeType, BillingMode, Table, TableEncryption } from "aws-cdk-lib/aws-dynamodb";
import type { IKey } from "aws-cdk-lib/aws-kms";
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from "aws-cdk-lib/aws-s3";
import { Construct } from "constructs";
import { attribute } from "../runtime/adapters/aws/names.ts";
import type { ExternalBucket } from "./external.ts";
import { isForLocalstack } from "./localstack.ts";

export interface JobStorageProps {
  readonly removalPolicy: RemovalPolicy;
  readonly encryptionKey: IKey | undefined;
  /** Undefined: one of its own. */
  readonly deadLetters: ExternalBucket | undefined;
}

/** After which an upload that was not finished is an orphan: longer than any function runs. */
const orphanedAfter = Duration.days(2);

export class JobStorage extends Construct {
  readonly table: Table;
  readonly bucket: Bucket;
  readonly deadLetters: ExternalBucket;

  constructor(scope: Construct, id: string, props: JobStorageProps) {
    super(scope, id);
    this.table = stateTable(this, props);
    this.bucket = privateBucket(this, "Bucket", props);
    this.deadLetters = props.deadLetters ?? privateBucket(this, "DeadLetters", props);
  }
}

function stateTable(scope: Construct, { removalPolicy, encryptionKey }: JobStorageProps): Table {
  return new Table(scope, "Table", {
    partitionKey: { name: attribute.partition, type: AttributeType.STRING },
    sortKey: { name: attribute.sort, type: AttributeType.STRING },
    billingMode: BillingMode.PAY_PER_REQUEST,
    pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: !isForLocalstack(scope) },
    deletionProtection: removalPolicy !== RemovalPolicy.DESTROY,
    removalPolicy,
    ...(encryptionKey && { encryption: TableEncryption.CUSTOMER_MANAGED, encryptionKey }),
  });
}

/** Objects of the engine are deleted by the engine alone (L6): the lifecycle knows only what nobody can name any more. */
function privateBucket(scope: Construct, id: string, { removalPolicy, encryptionKey }: JobStorageProps): Bucket {
  return new Bucket(scope, id, {
    blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
    enforceSSL: true,
    objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
    lifecycleRules: [{ id: "unfinished-uploads", abortIncompleteMultipartUploadAfter: orphanedAfter }],
    removalPolicy,
    ...(encryptionKey === undefined
      ? { encryption: BucketEncryption.S3_MANAGED }
      : { encryption: BucketEncryption.KMS, encryptionKey, bucketKeyEnabled: true }),
  });
}
