/**
 * What is needed of a table and a bucket, whoever made them: what CDK's ITable and IBucket have in common with Table, TableV2 and Bucket, which
 * a compiler that is exact about optional properties does not take for them.
 */
import type { IKey } from "aws-cdk-lib/aws-kms";

/** An `ITable`. */
export interface ExternalTable {
  readonly tableArn: string;
  readonly tableName: string;
  readonly encryptionKey?: IKey | undefined;
}

/** An `IBucket`. */
export interface ExternalBucket {
  readonly bucketArn: string;
  readonly bucketName: string;
  readonly encryptionKey?: IKey | undefined;
  arnForObjects(keyPattern: string): string;
}
