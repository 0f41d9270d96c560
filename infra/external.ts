/**
 * What is needed of a thing outside the job, whoever made it: what CDK's own interfaces have in common with the classes behind them, which a
 * compiler that is exact about optional properties does not take for them.
 */
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { IConstruct } from "constructs";

/** An `ITable`. */
export interface ExternalTable {
  readonly tableArn: string;
  readonly tableName: string;
  /** Of a table whose changes a source reads: with `stream: StreamViewType.NEW_AND_OLD_IMAGES`. */
  readonly tableStreamArn?: string | undefined;
  readonly encryptionKey?: IKey | undefined;
}

/** An `IBucket`. */
export interface ExternalBucket {
  readonly bucketArn: string;
  readonly bucketName: string;
  readonly encryptionKey?: IKey | undefined;
  arnForObjects(keyPattern: string): string;
}

/** An `IQueue`. */
export interface ExternalQueue extends IConstruct {
  readonly queueArn: string;
  readonly fifo: boolean;
  readonly encryptionMasterKey?: IKey | undefined;
}

/** An `ITopic`. */
export interface ExternalTopic {
  readonly topicArn: string;
  readonly fifo: boolean;
  readonly masterKey?: IKey | undefined;
}

/** An `IEventBus`. */
export interface ExternalBus {
  readonly eventBusArn: string;
}

/** An `IFunction`, an alias or a version of one. */
export interface ExternalFunction {
  readonly functionArn: string;
}

/** An `IDeliveryStream`. */
export interface ExternalDeliveryStream {
  readonly deliveryStreamArn: string;
  readonly deliveryStreamName: string;
}

/** An `ISecret`. */
export interface ExternalSecret {
  readonly secretArn: string;
  readonly secretFullArn?: string | undefined;
  readonly encryptionKey?: IKey | undefined;
}
