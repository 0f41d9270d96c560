/** A source or sink of the job, as far as the deployment has to do with it: what it is bound to, what it rings by, what it must be allowed. */
import type { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { IStream } from "aws-cdk-lib/aws-kinesis";
import type { IKey } from "aws-cdk-lib/aws-kms";

/** Where it stands in the job. */
export interface Place {
  readonly uid: string;
  /** The logical name. */
  readonly name: string;
  readonly stage: string;
}

export interface Connector extends Place {
  /** Of a source that rings its stage's function: by which stream's mapping, and from where on. */
  readonly rings?: {
    readonly stream: IStream;
    /** Where a job without state begins; undefined: the oldest record that the stream has. */
    readonly startAt: Date | undefined;
  };
  /** Of a sink that counts on partition keys: the stream that must keep to them. */
  readonly keyedStream?: IStream;
  /** The customer's key that what it is bound to is encrypted with. */
  readonly key: IKey | undefined;
  readonly permissions: {
    /** Of the functions of its stage. */
    readonly task: readonly PolicyStatement[];
    /** Of the coordinator, which looks at it at the start, and takes back what a restore leaves behind. */
    readonly coordinator: readonly PolicyStatement[];
    /** Of the start-up check. */
    readonly check: readonly PolicyStatement[];
  };
}

/** The keys of what is encrypted with one's own. */
export function keysOf(connectors: readonly Connector[]): readonly IKey[] {
  return [...new Set(connectors.flatMap(({ key }) => key ?? []))];
}
