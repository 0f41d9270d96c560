/**
 * Events of EventBridge that a job reads: for each source of them a rule, and the queue that it sends to.
 *
 * V1 They stand with the state: from the first deployment on, an event that matches waits in its queue whatever becomes of the functions.
 * V2 No event is given up in silence: what a rule could not hand over for a day lies in a queue of its own, on which an alarm rings.
 */
import { Duration, type RemovalPolicy } from "aws-cdk-lib";
import { type EventBus, type EventPattern, type IEventBus, Rule } from "aws-cdk-lib/aws-events";
import { SqsQueue } from "aws-cdk-lib/aws-events-targets";
import type { IKey } from "aws-cdk-lib/aws-kms";
import { Queue, QueueEncryption } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";

/** Which events. */
export interface EventSelection {
  /** As EventBridge's rules have it: `{ source: ["shop.orders"] }`. */
  readonly eventPattern: EventPattern;
  /** Default: the account's own. */
  readonly eventBus?: IEventBus | EventBus;
}

export interface JobEventsProps {
  readonly events: Readonly<Record<string, EventSelection>>;
  readonly visibilityTimeout: Duration;
  readonly removalPolicy: RemovalPolicy;
  readonly encryptionKey: IKey | undefined;
}

/** SQS' longest. */
const retentionPeriod = Duration.days(14);
/** EventBridge's longest, and most. */
const maxEventAge = Duration.hours(24);
const retryAttempts = 185;

export class JobEvents extends Construct {
  /** By name. */
  readonly queues: ReadonlyMap<string, Queue>;
  readonly undelivered: ReadonlyMap<string, Queue>;

  constructor(scope: Construct, id: string, { events, ...all }: JobEventsProps) {
    super(scope, id);
    const made = Object.entries(events).map(([name, selection]) => [name, this.#queues(name, selection, all)] as const);
    this.queues = new Map(made.map(([name, { queue }]) => [name, queue]));
    this.undelivered = new Map(made.map(([name, { undelivered }]) => [name, undelivered]));
  }

  #queues(
    name: string,
    { eventPattern, eventBus }: EventSelection,
    { visibilityTimeout, removalPolicy, encryptionKey }: Omit<JobEventsProps, "events">,
  ) {
    const shared = {
      retentionPeriod,
      removalPolicy,
      enforceSSL: true,
      ...(encryptionKey === undefined
        ? { encryption: QueueEncryption.SQS_MANAGED }
        : { encryption: QueueEncryption.KMS, encryptionMasterKey: encryptionKey }),
    };
    const queue = new Queue(this, name, { ...shared, visibilityTimeout });
    const undelivered = new Queue(this, `${name}-undelivered`, shared);
    new Rule(this, `${name}-rule`, {
      description: `Brings events to a job: ${name}`,
      eventPattern,
      ...(eventBus && { eventBus: eventBus as IEventBus }),
      targets: [new SqsQueue(queue, { deadLetterQueue: undelivered, maxEventAge, retryAttempts })],
    });
    return { queue, undelivered };
  }
}
