/**
 * The inbox streams of a job: one for each cell of each stage behind an exchange. Provisioned, since frames are addressed by hash keys.
 *
 * C1 Ids of constructs here are a contract: another id is another, empty, stream.
 * C2 What a stream begins with is not changed by a deployment: the coordinator changes its shards, when a generation begins.
 */
import { Duration, type RemovalPolicy } from "aws-cdk-lib";
import { Stream, StreamEncryption, StreamMode } from "aws-cdk-lib/aws-kinesis";
import type { IKey } from "aws-cdk-lib/aws-kms";
import { Construct } from "constructs";

export interface JobChannelsProps {
  /** By stage: the shards with which each of its cells begins. */
  readonly inboxes: ReadonlyMap<string, readonly number[]>;
  readonly retention: Duration;
  readonly removalPolicy: RemovalPolicy;
  readonly encryptionKey: IKey | undefined;
}

export class JobChannels extends Construct {
  /** By stage, cell by cell. */
  readonly inboxes: ReadonlyMap<string, readonly Stream[]>;

  constructor(scope: Construct, id: string, props: JobChannelsProps) {
    super(scope, id);
    this.inboxes = new Map(
      [...props.inboxes].map(([stage, cells]) => [stage, cells.map((shards, cell) => this.#inbox(stage, cell, shards, props))]),
    );
  }

  #inbox(stage: string, cell: number, shardCount: number, { retention, removalPolicy, encryptionKey }: JobChannelsProps): Stream {
    return new Stream(this, `${stage}-${cell}`, {
      streamMode: StreamMode.PROVISIONED,
      shardCount,
      retentionPeriod: retention,
      removalPolicy,
      ...(encryptionKey === undefined
        ? { encryption: StreamEncryption.MANAGED }
        : { encryption: StreamEncryption.KMS, encryptionKey }),
    });
  }
}
