/**
 * What of a deployment the emulated cloud does not act on, property by property, and why that is no matter here. What is neither acted on nor
 * in this list is told when a cloud is started from an assembly.
 */

/** By type; "*" stands for all properties of it. */
export const notEmulated: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "AWS::Kinesis::Stream": {
    StreamModeDetails: "streams have the shards that they begin with, on demand too",
    StreamEncryption: "nothing is encrypted here",
    Tags: "nothing is billed here",
  },
  "AWS::DynamoDB::Table": {
    BillingMode: "nothing is billed here",
    DeletionProtectionEnabled: "nothing deletes tables here",
    PointInTimeRecoverySpecification: "there are no backups here",
    SSESpecification: "nothing is encrypted here",
    ProvisionedThroughput: "nothing is throttled here",
    Tags: "nothing is billed here",
  },
  "AWS::S3::Bucket": {
    BucketEncryption: "nothing is encrypted here",
    LifecycleConfiguration: "unfinished uploads end with the process",
    OwnershipControls: "there is one owner",
    PublicAccessBlockConfiguration: "all listens on loopback",
    Tags: "nothing is billed here",
  },
  "AWS::SQS::Queue": {
    KmsMasterKeyId: "nothing is encrypted here",
    MessageRetentionPeriod: "messages stay until they are deleted",
    SqsManagedSseEnabled: "nothing is encrypted here",
    Tags: "nothing is billed here",
  },
  "AWS::SNS::Topic": { KmsMasterKeyId: "nothing is encrypted here", Tags: "nothing is billed here" },
  "AWS::SQS::QueuePolicy": { "*": "there are no permissions here" },
  "AWS::Events::Rule": {
    Description: "words",
    Tags: "nothing is billed here",
    "Targets.DeadLetterConfig": "a queue of this machine takes what it is given",
    "Targets.Id": "targets are told apart by their queues",
    "Targets.RetryPolicy": "a queue of this machine takes what it is given",
  },
  "AWS::Events::EventBus": { Tags: "nothing is billed here" },
  "AWS::Lambda::Function": {
    Architectures: "functions run on this machine's processor",
    Description: "words",
    KmsKeyArn: "nothing is encrypted here",
    LoggingConfig: "lines are printed",
    Role: "there are no permissions here",
    Runtime: "functions run on this machine's Node",
    Tags: "nothing is billed here",
    VpcConfig: "all listens on loopback",
  },
  "AWS::Lambda::EventInvokeConfig": { "*": "asynchronous invocations are tried again as Lambda does by default" },
  "AWS::Lambda::EventSourceMapping": {
    MetricsConfig: "mappings tell what they do as events",
    Tags: "nothing is billed here",
    "EventSourceArn (kafka)": "there is no Kafka here",
    "EventSourceArn (selfManaged)": "there is no Kafka here",
  },
  "AWS::Scheduler::Schedule": {
    Description: "words",
    FlexibleTimeWindow: "schedules fire at their time",
    "Target.RoleArn": "there are no permissions here",
    "Target.RetryPolicy": "an event that fails is tried again as Lambda does by default",
  },
  "Custom::MillraceStartCheck": { ServiceTimeout: "its function's own time-out is enforced" },
  "AWS::S3::BucketPolicy": { "*": "there are no permissions here" },
  "AWS::IAM::Role": { "*": "there are no permissions here" },
  "AWS::IAM::Policy": { "*": "there are no permissions here" },
  "AWS::Logs::LogGroup": { "*": "lines are printed" },
  "AWS::CloudWatch::Alarm": { "*": "metrics are lines that are printed" },
  "AWS::CloudWatch::Dashboard": { "*": "metrics are lines that are printed" },
  "AWS::CDK::Metadata": { "*": "of the deployment's tools" },
};

/** Whether the list has it. `property`: of CloudFormation, with those inside others after a dot. */
export function isKnownNotEmulated(type: string, property: string): boolean {
  const properties = notEmulated[type] ?? {};
  return Object.hasOwn(properties, "*") || Object.hasOwn(properties, property);
}
