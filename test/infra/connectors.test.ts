/** What a job's sources and sinks are bound to, what rings for them, and what the job's functions may do with it. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { Duration } from "aws-cdk-lib";
import { Match } from "aws-cdk-lib/assertions";
import { Function } from "aws-cdk-lib/aws-lambda";
import { Secret } from "aws-cdk-lib/aws-secretsmanager";
import { Topic } from "aws-cdk-lib/aws-sns";
import { type KafkaTopic } from "../../infra/index.ts";
import { unrestrictable } from "../../infra/permissions.ts";
import { isKind, MillraceError } from "../../runtime/base/errors.ts";
import { bindMany, deploy, type Deployed, jobFile, type MakeProps, mskArn, type Resource } from "./deploy.ts";
import { passesNag } from "./nag.ts";
import { defectsOf, statementsOf, type TemplateJson, textOf } from "./template-rules.ts";

let single: Deployed;
let wide: Deployed;
before(() => {
  single = deploy(jobFile("many-connectors"), bindMany);
  wide = deploy(jobFile("many-connectors-wide"), bindMany);
});

const jsonOf = ({ template }: Deployed) => template.toJSON() as TemplateJson;

function mappingsOf(deployed: Deployed): Readonly<Record<string, Resource["Properties"]>> {
  const found = Object.entries(deployed.resources("AWS::Lambda::EventSourceMapping"));
  return Object.fromEntries(found.map(([id, { Properties }]) => [/(Source|Inbox)(.*)Mapping/.exec(id)![0], Properties]));
}

/** What the role of a stage's function may do: actions, by the logical id or the text of what they are about. */
function allowedTo(deployed: Deployed, role: string): Readonly<Record<string, readonly string[]>> {
  const template = jsonOf(deployed);
  const id = Object.keys(deployed.resources("AWS::IAM::Role")).find((one) => one.startsWith(role));
  assert.ok(id, role);
  const allowed: Record<string, string[]> = {};
  for (const { Action, Resource } of statementsOf(id, template))
    for (const one of [Resource].flat()) {
      const { Ref, "Fn::GetAtt": [id = Ref] = [] } = one as { readonly Ref?: string; readonly "Fn::GetAtt"?: readonly string[] };
      const of = id?.replace(/[0-9A-F]{8}$/, "") ?? textOf(one);
      allowed[of] = [...(allowed[of] ?? []), ...[Action].flat()].sort();
    }
  return allowed;
}

function refusedWith(job: string, props: MakeProps, why: RegExp) {
  assert.throws(
    () => deploy(jobFile(job), props),
    (error: unknown) => {
      assert.ok(error instanceof MillraceError && isKind(error, "invalid"), String(error));
      assert.match(error.message, why);
      return true;
    },
  );
}

/** The job of many connectors, bound otherwise. */
function withChange(change: (bound: ReturnType<typeof bindMany>, stack: Parameters<MakeProps>[0]) => object): MakeProps {
  return (stack) => {
    const bound = bindMany(stack);
    return { ...bound, ...change(bound, stack) };
  };
}

describe("mappings of other sources than streams", () => {
  test("are one for each source, and none for objects", () => {
    assert.deepEqual(Object.keys(mappingsOf(single)).sort(), [
      "SourcechangesMapping",
      "SourceliveMapping",
      "SourceordersMapping",
      "SourcerecordsMapping",
      "SourcetasksMapping",
    ]);
  });

  test("of queues tell which messages failed, with two batches at once at most", () => {
    const { EventSourceArn: _, FunctionName: __, Tags: ___, ...settings } = mappingsOf(single)["SourcetasksMapping"]!;
    assert.deepEqual(settings, {
      BatchSize: 1000,
      MaximumBatchingWindowInSeconds: 1,
      FunctionResponseTypes: ["ReportBatchItemFailures"],
      ScalingConfig: { MaximumConcurrency: 2 },
      MetricsConfig: { Metrics: ["EventCount"] },
    });
  });

  test("of FIFO queues, and of those that gather nothing, have no more than ten messages", () => {
    const fifo = deploy(
      jobFile("many-connectors"),
      withChange(({ queues }, stack) => ({ queues: { ...queues, tasks: stack.queue("Fifo", { fifo: true }) } })),
    );
    const { BatchSize, MaximumBatchingWindowInSeconds } = mappingsOf(fifo)["SourcetasksMapping"]!;
    assert.deepEqual([BatchSize, MaximumBatchingWindowInSeconds], [10, undefined]);
    const atOnce = deploy(
      jobFile("many-connectors"),
      withChange(() => ({ batchWindow: Duration.seconds(0) })),
    );
    assert.equal(mappingsOf(atOnce)["SourcetasksMapping"]!.BatchSize, 10);
  });

  test("of a table's changes lose nothing", () => {
    const { EventSourceArn, FunctionName: _, Tags: __, ...settings } = mappingsOf(single)["SourcechangesMapping"]!;
    assert.equal(EventSourceArn["Fn::GetAtt"][1], "StreamArn");
    const { EventSourceArn: ___, FunctionName: ____, Tags: _____, ...ofStream } = mappingsOf(single)["SourceliveMapping"]!;
    assert.deepEqual(settings, ofStream);
  });

  test("of Kafka read from the beginning, under a group of the job's own", () => {
    const { FunctionName: _, Tags: __, ...settings } = mappingsOf(single)["SourcerecordsMapping"]!;
    assert.deepEqual(settings, {
      EventSourceArn: mskArn,
      Topics: ["records"],
      AmazonManagedKafkaEventSourceConfig: { ConsumerGroupId: "millrace-many-connectors-records" },
      BatchSize: 1000,
      MaximumBatchingWindowInSeconds: 1,
      StartingPosition: "TRIM_HORIZON",
    });
  });

  test("of a cluster of one's own are told how they are let in", () => {
    const own = deploy(
      jobFile("many-connectors"),
      withChange((_, stack) => ({
        kafkaTopics: {
          records: {
            topicName: "records-2",
            bootstrapServers: ["broker-1.example:9096"],
            authentication: "scram512",
            secret: new Secret(stack, "User"),
            subnetIds: ["subnet-1"],
            securityGroupIds: ["sg-1"],
          } satisfies KafkaTopic,
        },
      })),
    );
    const settings = mappingsOf(own)["SourcerecordsMapping"]!;
    assert.deepEqual(settings.SelfManagedEventSource, { Endpoints: { KafkaBootstrapServers: ["broker-1.example:9096"] } });
    assert.deepEqual(settings.Topics, ["records-2"]);
    assert.deepEqual(
      settings.SourceAccessConfigurations.map(({ Type }: { Type: string }) => Type),
      ["SASL_SCRAM_512_AUTH", "VPC_SUBNET", "VPC_SECURITY_GROUP"],
    );
    const allowed = allowedTo(own, "JobTaskslive0Role");
    assert.deepEqual(allowed["User"], ["secretsmanager:GetSecretValue"]);
    assert.ok(!JSON.stringify(allowed).includes("kafka:"));
  });

  test("that were overridden past the props are refused, each as it is of its kind", () => {
    for (const [source, property, value, why] of [
      ["tasks", "FunctionResponseTypes", [], /partial responses/],
      ["tasks", "FilterCriteria", { Filters: [] }, /filters nothing/],
      ["changes", "StartingPosition", "LATEST", /at LATEST/],
      ["changes", "MaximumRetryAttempts", 3, /retries without end/],
      ["records", "StartingPosition", "LATEST", /at LATEST/],
    ] as const) {
      const deployed = deploy(jobFile("many-connectors"), bindMany);
      const { mappings } = deployed.job.tasks.cells[0]!;
      const { mapping } = mappings.find(({ mapping: { node } }) => node.id === `Source-${source}`)!;
      mapping.mapping.addPropertyOverride(property, value);
      assert.throws(() => deployed.app.synth(), why, `${source} ${property}`);
    }
  });
});

describe("events", () => {
  test("are brought by a rule to a queue that stays, which the job reads", () => {
    const [[, rule]] = Object.entries(single.resources("AWS::Events::Rule")) as [[string, Resource]];
    const [target] = rule.Properties.Targets;
    assert.deepEqual(rule.Properties.EventPattern, { source: ["shop.orders"] });
    assert.deepEqual(target.RetryPolicy, { MaximumEventAgeInSeconds: 86_400, MaximumRetryAttempts: 185 });
    const queueId = target.Arn["Fn::GetAtt"][0] as string;
    assert.deepEqual(mappingsOf(single)["SourceordersMapping"]!.EventSourceArn, target.Arn);
    const { DeletionPolicy, Properties: queue } = single.resources("AWS::SQS::Queue")[queueId]!;
    assert.equal(DeletionPolicy, "Retain");
    assert.deepEqual([queue.MessageRetentionPeriod, queue.VisibilityTimeout], [14 * 86_400, 361]);
    assert.notEqual(target.DeadLetterConfig.Arn["Fn::GetAtt"][0], queueId);
    single.template.hasResourceProperties("AWS::CloudWatch::Alarm", {
      AlarmDescription: Match.stringLikeRegexp("runbook.md#eventsundelivered$"),
      MetricName: "ApproximateNumberOfMessagesVisible",
    });
  });

  test("keep the logical ids of their queues: another would be another, empty, queue", () => {
    const ids = Object.keys(single.resources("AWS::SQS::Queue")).filter((id) => id.startsWith("Job"));
    assert.deepEqual(ids.filter((id) => id.startsWith("JobEvents")).sort(), [
      "JobEventsorders7F1DBCBC",
      "JobEventsordersundelivered7F5157F2",
    ]);
  });

  test("may come by a queue of one's own, not by both", () => {
    refusedWith(
      "many-connectors",
      withChange(({ queues }, stack) => ({ queues: { ...queues, orders: stack.queue("Own") } })),
      /a queue of your own or one that is made for it, not both: orders/,
    );
    const own = deploy(
      jobFile("many-connectors"),
      withChange(({ queues }, stack) => ({ queues: { ...queues, orders: stack.queue("Own") }, events: {} })),
    );
    assert.deepEqual(own.resources("AWS::Events::Rule"), {});
  });
});

describe("permissions of connectors", () => {
  test("of a stage end at what its sources read (F1)", () => {
    const beside = (role: string) => {
      const own = Object.entries(allowedTo(wide, role)).filter(([of]) => !/^(Job|token\/)/.test(of));
      return Object.fromEntries(own);
    };
    assert.deepEqual(beside("JobTaskstasks0Role"), {
      Tasks: ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
    });
    assert.deepEqual(beside("JobTaskschanges0Role"), {
      Items: ["dynamodb:DescribeStream", "dynamodb:DescribeTable", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
    });
    assert.deepEqual(allowedTo(wide, "JobTaskschanges0Role")["token/stream/*"], ["dynamodb:ListStreams"]);
    const kafka = beside("JobTasksrecords0Role");
    assert.deepEqual(kafka[mskArn], [
      "kafka-cluster:Connect",
      "kafka-cluster:DescribeClusterDynamicConfiguration",
      "kafka:DescribeCluster",
      "kafka:DescribeClusterV2",
      "kafka:GetBootstrapBrokers",
    ]);
    assert.deepEqual(kafka[`${mskArn.replace(":cluster/", ":topic/")}/records`], [
      "kafka-cluster:DescribeTopic",
      "kafka-cluster:ReadData",
    ]);
    assert.deepEqual(kafka[`${mskArn.replace(":cluster/", ":group/")}/millrace-many-connectors-wide-records`], [
      "kafka-cluster:AlterGroup",
      "kafka-cluster:DescribeGroup",
    ]);
    const live = beside("JobTaskslive0Role");
    assert.deepEqual(live["Archive"], ["s3:ListBucket"]);
    for (const other of ["Items", "Tasks", mskArn]) assert.equal(live[other], undefined, other);
  });

  test("of sinks are to write; to look at them is the coordinator's and the check's", () => {
    const written = {
      Jobs: ["sqs:GetQueueUrl", "sqs:SendMessage"],
      News: ["sns:Publish"],
      Callee: ["lambda:InvokeFunction"],
      Bus: ["events:PutEvents"],
    };
    const tasks = allowedTo(single, "JobTaskslive0Role");
    for (const [of, actions] of Object.entries(written)) assert.deepEqual(tasks[of], actions, of);
    assert.ok(
      Object.entries(tasks).some(
        ([of, actions]) => of.endsWith(":deliverystream/delivery") && actions.join() === "firehose:PutRecordBatch",
      ),
    );
    for (const role of ["JobCoordinationCoordinatorRole", "JobStartCheckRole"]) {
      const look = allowedTo(single, role);
      assert.deepEqual(look["Jobs"], ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"]);
      assert.deepEqual(look["News"], ["sns:GetTopicAttributes"]);
      assert.deepEqual(look["Bus"], ["events:DescribeEventBus"]);
      assert.ok(!JSON.stringify(look).includes("sqs:SendMessage"), role);
    }
  });

  test("name their resources, but for those that AWS allows on all or none", () => {
    for (const deployed of [single, wide]) {
      const template = jsonOf(deployed);
      for (const role of Object.keys(deployed.resources("AWS::IAM::Role")))
        for (const { Action, Resource } of statementsOf(role, template)) {
          assert.doesNotMatch([Action].flat().join(), /\*/, role);
          if ([Resource].flat().includes("*"))
            for (const action of [Action].flat()) assert.ok(unrestrictable.includes(action), `${role} ${action}`);
        }
    }
  });

  test("of the author's own are given to the functions that run the author's code", () => {
    const deployed = deploy(jobFile("many-connectors"), bindMany);
    const secret = new Secret(deployed.stack, "Token");
    for (const role of deployed.job.taskRoles) secret.grantRead(role);
    assert.ok(JSON.stringify(allowedTo(deployed, "JobTaskslive0Role")).includes("secretsmanager:GetSecretValue"));
  });

  test("pass cdk-nag's AwsSolutions, but for what is said", () => {
    passesNag(deploy(jobFile("many-connectors-wide"), bindMany));
  });
});

describe("a deployment refuses", () => {
  const cases: readonly (readonly [what: string, change: Parameters<typeof withChange>[0], why: RegExp])[] = [
    [
      "a queue that is not bound",
      ({ queues: { jobs } }) => ({ queues: { jobs } }),
      /operator tasks needs a queue that is not bound, add queues: { "tasks": … }/,
    ],
    ["events that nothing brings", () => ({ events: {} }), /operator orders needs a queue that is not bound/],
    [
      "a topic among the queues",
      ({ queues }, stack) => ({ topics: {}, queues: { ...queues, news: stack.queue("News2") } }),
      /operator news needs a topic that is not bound \(queues has this name, but a topic is meant\)/,
    ],
    [
      "a bus, a function, a delivery stream that is not bound",
      () => ({ eventBuses: {}, functions: {}, deliveryStreams: {} }),
      /operator call needs a function that is not bound/,
    ],
    ["a topic of Kafka that is not bound", () => ({ kafkaTopics: {} }), /operator records needs a Kafka topic that is not bound/],
    [
      "an endpoint that is neither declared nor bound",
      () => ({ endpoints: {} }),
      /operator hook needs an endpoint that is not bound, add endpoints: { "hook": … }/,
    ],
    ["an endpoint that is no URL", () => ({ endpoints: { hook: "hook.example" } }), /begins with https:/],
    [
      "the part of a hybrid source that is not bound",
      ({ buckets: { lake } }) => ({ buckets: { lake } }),
      /operator live needs a bucket that is not bound, add buckets: { "archive": … }/,
    ],
    [
      "a table without a stream",
      ({ tables }, stack) => ({ tables: { ...tables, items: stack.table("Quiet") } }),
      /the table has no stream .*NEW_AND_OLD_IMAGES.*: changes/,
    ],
    [
      "a FIFO queue without groups",
      ({ topics }, stack) => ({ topics: { ...topics, news: new Topic(stack, "Fifo", { fifo: true }) } }),
      /a FIFO topic needs groups, give the sink a messageGroup: news/,
    ],
    [
      "a queue whose messages come again while they are worked on",
      ({ queues }, stack) => ({
        queues: { ...queues, tasks: stack.queue("Hasty", { visibilityTimeout: Duration.seconds(30) }) },
      }),
      /visibilityTimeout is 30 seconds.* set it to 361 seconds|visibilityTimeout is 30 seconds.* at least to 61 seconds/,
    ],
    [
      "one execution for a queue's two",
      () => ({ reservedConcurrency: 1 }),
      /a queue's mapping uses 2 executions at once, set reservedConcurrency to no less: tasks/,
    ],
    [
      "a way into Kafka that is not whole",
      () => ({ kafkaTopics: { records: { clusterArn: mskArn, authentication: "scram512" } } }),
      /authentication scram512 needs a secret: records/,
    ],
    [
      "a cluster of Kafka without brokers",
      () => ({ kafkaTopics: { records: { bootstrapServers: [], authentication: "none" } } }),
      /1 to 10 bootstrapServers: records/,
    ],
    [
      "what nothing in the job is called",
      ({ topics }, stack) => ({ topics: { ...topics, other: new Topic(stack, "Other") } }),
      /nothing in the job is called so.*: other/,
    ],
    ["executions that queues and partitions take too", () => ({ accountConcurrency: 12 }), /may need 13 executions .* allows 12/],
  ];
  for (const [what, change, why] of cases) test(what, () => refusedWith("many-connectors", withChange(change), why));

  test("one queue for two stages, which would each get a part of it", () => {
    refusedWith(
      "many-connectors-wide",
      withChange(({ queues }) => ({ queues: { ...queues, orders: queues.tasks }, events: {} })),
      /two sources read one queue by functions of their own/,
    );
    // In one stage, each is given all.
    const shared = deploy(
      jobFile("many-connectors"),
      withChange(({ queues }) => ({ queues: { ...queues, orders: queues.tasks }, events: {} })),
    );
    assert.equal(Object.keys(mappingsOf(shared)).filter((id) => /tasks|orders/.test(id)).length, 1);
  });
});

test("templates of many connectors have none of the defects that validators miss", () => {
  for (const deployed of [single, wide]) assert.deepEqual(defectsOf(jsonOf(deployed)), []);
});

test("an alarm rings when a queue's oldest message has waited for half of what it keeps", () => {
  const ages = Object.values(single.resources("AWS::CloudWatch::Alarm")).filter(
    ({ Properties }) => Properties.MetricName === "ApproximateAgeOfOldestMessage",
  );
  assert.deepEqual(ages.map(({ Properties }) => Properties.Threshold).sort(), [2 * 86_400, 7 * 86_400].sort());
});

test("an alarm rings when more records of a topic wait than is said, by the number that Lambda tells of the function that reads it", () => {
  const lags = ({ resources }: Deployed) =>
    Object.entries(resources("AWS::CloudWatch::Alarm")).flatMap(([, { Properties: own }]) =>
      own.MetricName === "OffsetLag" ? [own] : [],
    );
  const [lag, ...more] = lags(single);
  assert.deepEqual(more, []);
  assert.deepEqual([lag!.Namespace, lag!.Threshold, lag!.EvaluationPeriods], ["AWS/Lambda", 100_000, 3]);
  const [dimension] = lag!.Dimensions as { readonly Name: string; readonly Value: { readonly Ref: string } }[];
  const topics = Object.values(mappingsOf(single)).filter(({ Topics }) => Topics !== undefined);
  assert.deepEqual(
    topics.map(({ FunctionName }) => FunctionName),
    [dimension!.Value],
  );
  const set = deploy(
    jobFile("many-connectors"),
    withChange(() => ({ offsetLagMax: 0 })),
  );
  assert.deepEqual(
    lags(set).map(({ Threshold }) => Threshold),
    [0],
  );
});

test("an alias is called, and allowed, by its own name", () => {
  const aliased = deploy(
    jobFile("many-connectors"),
    withChange((_, stack) => ({
      functions: {
        callee: Function.fromFunctionArn(stack, "Alias", "arn:aws:lambda:us-east-1:000000000000:function:callee:live"),
      },
    })),
  );
  const allowed = allowedTo(aliased, "JobTaskslive0Role");
  assert.deepEqual(allowed["arn:aws:lambda:us-east-1:000000000000:function:callee:live"], ["lambda:InvokeFunction"]);
});
