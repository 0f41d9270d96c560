/**
 * What cdk-nag's AwsSolutions pack finds in a StreamJob and is so on purpose, with the reason. For apps that run it:
 * `NagSuppressions.addResourceSuppressions(job, justifiedSuppressions, true)`.
 */
export const justifiedSuppressions: {
  readonly id: string;
  readonly reason: string;
  readonly appliesTo?: (string | { readonly regex: string })[];
}[] = [
  {
    id: "AwsSolutions-S1",
    reason:
      "The buckets hold a job's state and dead letters, and only the job's roles reach them; a log of its accesses would cost more than they do. CloudTrail's data events show them where that is asked for.",
  },
  {
    id: "AwsSolutions-IAM5",
    reason: "Objects are named by what they hold, so a role is given the prefix that is its job's own, or its sink's.",
    appliesTo: [{ regex: "/^Resource::<[^>]+\\.Arn>\\/([\\w.%-]+\\/)*\\*$/g" }],
  },
  {
    id: "AwsSolutions-IAM5",
    reason: "Records name the version of their schema by an id, which does not say in which registry it is.",
    appliesTo: [{ regex: "/^Resource::arn:[^:]+:glue:[^:]+:[^:]+:(registry|schema)\\/\\*$/g" }],
  },
  {
    id: "AwsSolutions-SQS3",
    reason:
      "A job's queue of events lets go of a message only when what came of it is committed, and what cannot be processed goes to the job's dead letters; the queue of what a rule could not hand over is a dead-letter queue.",
  },
  {
    id: "AwsSolutions-IAM5",
    reason:
      "The start-up check reads the account's limits of Lambda, and Lambda makes network interfaces for functions in a network of one's own and for mappings of Kafka: AWS allows both on all resources or none.",
    appliesTo: ["Resource::*"],
  },
];
