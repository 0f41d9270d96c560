/**
 * What a deployment says of a job beyond its module. Flat, in the caller's terms; each has a default but `entry` and what the job's sources
 * and sinks are bound to. Checked at synthesis by check-props.ts.
 */
import type { Duration, RemovalPolicy } from "aws-cdk-lib";
import type { ITopic } from "aws-cdk-lib/aws-sns";
import type { ISecurityGroup, IVpc, SubnetSelection, Vpc } from "aws-cdk-lib/aws-ec2";
import type { IStream } from "aws-cdk-lib/aws-kinesis";
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { RetentionDays } from "aws-cdk-lib/aws-logs";
import type { Construct } from "constructs";
import type { EventSelection } from "./job-events.ts";
import type {
  ExternalBucket,
  ExternalBus,
  ExternalDeliveryStream,
  ExternalFunction,
  ExternalQueue,
  ExternalTable,
  ExternalTopic,
} from "./external.ts";
import type { KafkaTopic } from "./kafka-topic.ts";

/** Numbers are whole and positive unless it says otherwise. */
export interface StreamJobProps {
  /** The module that exports the job by default; a relative path begins at the working directory. */
  readonly entry: string;
  /**
   * Values of what the job asks for through `param`. Default: its own defaults. A variable MILLRACE_PARAM_<NAME> of all its functions takes
   * the place of what is given here.
   */
  readonly parameters?: Readonly<Record<string, string | number | boolean>>;

  /** What the job calls its streams, and which they are here: by the names that its sources and sinks give them, or by the uids of these. */
  readonly streams?: Readonly<Record<string, IStream>>;
  /** Its tables, likewise. */
  readonly tables?: Readonly<Record<string, ExternalTable>>;
  /** Its buckets, likewise. */
  readonly buckets?: Readonly<Record<string, ExternalBucket>>;
  /**
   * Its queues of SQS, to read and to write, likewise. One that is read needs a visibilityTimeout of six times `timeout`, and no dead-letter
   * queue that takes messages after few deliveries: while a job is restored, they come again.
   */
  readonly queues?: Readonly<Record<string, ExternalQueue>>;
  /** By the names, or uids, of sources that read events: which events these are. A rule and a queue are made for each, with the state. */
  readonly events?: Readonly<Record<string, EventSelection>>;
  /** Its topics of SNS, to publish to. */
  readonly topics?: Readonly<Record<string, ExternalTopic>>;
  /** Its buses of EventBridge, to put events on. */
  readonly eventBuses?: Readonly<Record<string, ExternalBus>>;
  /** The functions that it calls. */
  readonly functions?: Readonly<Record<string, ExternalFunction>>;
  /** Its delivery streams of Firehose. */
  readonly deliveryStreams?: Readonly<Record<string, ExternalDeliveryStream>>;
  /** Where its HTTP sinks send to, and where its registries are: https://… What they need to be let in, their own functions read. */
  readonly endpoints?: Readonly<Record<string, string>>;
  /** Its topics of Kafka, to read: of Amazon MSK, or of another cluster. */
  readonly kafkaTopics?: Readonly<Record<string, KafkaTopic>>;

  /**
   * Where the state table, the buckets and the inbox streams are made: another stack, so that they are updated apart from functions.
   * Default: in the construct itself.
   */
  readonly statefulScope?: Construct;
  /** What becomes of table, buckets and streams that are taken out of the stack. Default RETAIN; DESTROY also lifts deletion protection. */
  readonly removalPolicy?: RemovalPolicy;
  /** Tasks of a stage that one function and one inbox stream serve at most; a stage has as many in each. Default 8. */
  readonly tasksPerCell?: number;
  /** How long inbox streams keep frames, 24 hours to 365 days. Default 24 hours; longer costs per shard and hour. */
  readonly inboxRetention?: Duration;
  /** Takes dead letters, under `dead-letters/<job>/`. Default: a bucket of its own. */
  readonly deadLetters?: ExternalBucket;
  /** Encrypts table, buckets, streams and logs. Default: keys that AWS owns or manages, which cost nothing. */
  readonly encryptionKey?: IKey;

  /** MB of each task function, 128 to 10240. Default 1024. */
  readonly memorySize?: number;
  /** Of each task function, 10 seconds to 15 minutes. Default 1 minute. */
  readonly timeout?: Duration;
  /**
   * Of each task function. Default: none is reserved. For a job at parallelism 1, 1 is a good choice: its shards take turns anyway, and
   * invocations that would lose the race for the journal do not begin. The account must leave 100 to all other functions.
   */
  readonly reservedConcurrency?: number;
  /** How many executions the account allows at once: a deployment that could need more is refused. Default 1000. */
  readonly accountConcurrency?: number;
  /** Records that a mapping brings at most, 1 to 10000. Default 1000. */
  readonly batchSize?: number;
  /** How long a mapping gathers records, 0 to 300 whole seconds: each batch costs a write. Default 1 second. */
  readonly batchWindow?: Duration;
  /** Runs functions in a network of one's own, which must reach DynamoDB, S3, Kinesis and Lambda. Default: Lambda's. */
  readonly vpc?: IVpc | Vpc;
  /** Default: private subnets. */
  readonly vpcSubnets?: SubnetSelection;
  /** Default: a new one that allows all that goes out. */
  readonly securityGroups?: readonly ISecurityGroup[];

  /** Default one month. */
  readonly logRetention?: RetentionDays;
  /** Is told when an alarm rings, and when it is over. Default: nobody; alarms stand in the console. */
  readonly alarmTopic?: ITopic;
  /** An alarm rings when event time lies further behind the clock for 5 minutes; more than bound, lateness and windows explain. Default 15 minutes. */
  readonly watermarkLagMax?: Duration;
  /** An alarm rings when so many records of a Kafka topic wait unread for 15 minutes; may be 0. Default 100000. */
  readonly offsetLagMax?: number;
  /** An alarm rings above so many dead letters in 5 minutes; may be 0. Default 0. */
  readonly deadLettersMax?: number;
  /** Default true: a dashboard, which costs 3 USD a month beyond an account's first three. */
  readonly dashboard?: boolean;
  /** An alarm by mail rings when what is tagged as this job's costs more in a month, in USD; with `budgetEmail`. Default: none. */
  readonly monthlyBudget?: number;
  readonly budgetEmail?: string;

  /**
   * The deployment's ordinal: higher than those before. Default: the seconds of the clock at synthesis, or the context value
   * `millrace:deployment`.
   */
  readonly deployment?: number;
  /**
   * The record of the plan that is deployed (plan-record.ts): synthesis fails where the job could not go on from its state. Default: beside
   * the entry, `<entry without extension>.plan.json`.
   */
  readonly planFile?: string;
}
