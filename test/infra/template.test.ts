/** What a StreamJob deploys, property by property, and what its templates keep to. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { App, RemovalPolicy, Stack } from "aws-cdk-lib";
import { Annotations, Match, Template } from "aws-cdk-lib/assertions";
import { Key } from "aws-cdk-lib/aws-kms";
import { CfnEventSourceMapping } from "aws-cdk-lib/aws-lambda";
import { Topic } from "aws-cdk-lib/aws-sns";
import { Vpc } from "aws-cdk-lib/aws-ec2";
import { decodeCommand, readSettings, startCheckType } from "../../functions/contract.ts";
import { metrics } from "../../functions/metrics.ts";
import { jobTag, StreamJob, type StreamJobProps } from "../../infra/index.ts";
import { localstackContext } from "../../infra/localstack.ts";
import { startCheckContext } from "../../infra/start-check.ts";
import { unrestrictable } from "../../infra/permissions.ts";
import {
  bindMany,
  bindManyTasks,
  bindPageviews,
  deploy,
  type Deployed,
  jobFile,
  pageviewsFile,
  type Resource,
  root,
  Surroundings,
  unvalidated,
  wideFile,
} from "./deploy.ts";
import { passesNag } from "./nag.ts";
import { defectsOf, statementsOf, type TemplateJson, textOf } from "./template-rules.ts";

let single: Deployed;
let wide: Deployed;
let many: Deployed;
before(() => {
  single = deploy(pageviewsFile, bindPageviews);
  wide = deploy(wideFile, bindPageviews);
  many = deploy(jobFile("many-tasks"), bindManyTasks);
});

const jsonOf = ({ template }: Deployed) => template.toJSON() as TemplateJson;

/** Functions beside those of tasks: the coordinator's and the check's. */
const others = 2;

/** Resources of the construct, without its surroundings. */
function ownOf(deployed: Deployed, type: string) {
  return Object.entries(deployed.resources(type)).filter(([id]) => id.startsWith("Job"));
}

describe("the state of a job", () => {
  test("is a table on demand that can be taken back in time and is not deleted by mistake", () => {
    wide.template.hasResource("AWS::DynamoDB::Table", {
      DeletionPolicy: "Retain",
      UpdateReplacePolicy: "Retain",
      Properties: {
        BillingMode: "PAY_PER_REQUEST",
        DeletionProtectionEnabled: true,
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
        KeySchema: [
          { AttributeName: "p", KeyType: "HASH" },
          { AttributeName: "s", KeyType: "RANGE" },
        ],
        AttributeDefinitions: [
          { AttributeName: "p", AttributeType: "S" },
          { AttributeName: "s", AttributeType: "S" },
        ],
      },
    });
  });

  test("is buckets that nobody reads from outside, whose lifecycle knows unfinished uploads alone", () => {
    const buckets = ownOf(wide, "AWS::S3::Bucket");
    assert.equal(buckets.length, 2);
    for (const [id, { Properties: own, DeletionPolicy }] of buckets) {
      assert.equal(DeletionPolicy, "Retain", id);
      assert.deepEqual(Object.values(own.PublicAccessBlockConfiguration), [true, true, true, true]);
      const [rule, ...more] = own.LifecycleConfiguration.Rules;
      assert.deepEqual(more, []);
      assert.deepEqual(Object.keys(rule).sort(), ["AbortIncompleteMultipartUpload", "Id", "Status"]);
    }
    const policies = ownOf(wide, "AWS::S3::BucketPolicy");
    assert.equal(policies.length, 2);
    for (const [, { Properties: own }] of policies)
      assert.deepEqual(own.PolicyDocument.Statement[0].Condition, { Bool: { "aws:SecureTransport": "false" } });
  });

  test("is deleted with the stack where that is asked for", () => {
    const gone = deploy(pageviewsFile, (stack) => ({ ...bindPageviews(stack), removalPolicy: RemovalPolicy.DESTROY }));
    for (const [id, { DeletionPolicy, Properties: own }] of ownOf(gone, "AWS::DynamoDB::Table")) {
      assert.equal(DeletionPolicy, "Delete", id);
      assert.equal(own.DeletionProtectionEnabled, false);
    }
  });

  test("keeps its logical ids: another would be another, empty, table or stream", () => {
    const stateful = ["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Kinesis::Stream"];
    const storageIds = ["JobStorageBucket1C81F0AD", "JobStorageDeadLetters11FCB612", "JobStorageTable0DD60B27"];
    const inboxIds = [
      "JobInboxesperminute01A46C666",
      "JobInboxessessions0F2D85CAE",
      "JobInboxessessionsout0F41F8932",
      "JobInboxesviewsout029E75C71",
    ];
    const idsOf = (deployed: Deployed) => stateful.flatMap((type) => ownOf(deployed, type).map(([id]) => id)).sort();
    assert.deepEqual(idsOf(single), storageIds);
    assert.deepEqual(idsOf(wide), [...inboxIds, ...storageIds]);
  });
});

describe("inboxes", () => {
  test("are provisioned streams with a shard for each task, which stay", () => {
    const inboxes = ownOf(wide, "AWS::Kinesis::Stream");
    assert.equal(inboxes.length, wide.job.plan.stages.filter(({ kind }) => kind === "keyed").length);
    for (const [id, { Properties: own, DeletionPolicy }] of inboxes) {
      assert.equal(DeletionPolicy, "Retain", id);
      assert.deepEqual([own.ShardCount, own.RetentionPeriodHours], [4, 24]);
      assert.deepEqual(own.StreamModeDetails, { StreamMode: "PROVISIONED" });
      assert.deepEqual(own.StreamEncryption, { EncryptionType: "KMS", KeyId: "alias/aws/kinesis" });
    }
  });

  test("of two stages of 64 tasks are eight cells of eight each, each with its function", () => {
    const inboxes = ownOf(many, "AWS::Kinesis::Stream");
    assert.deepEqual(
      inboxes.map(([, { Properties: own }]) => own.ShardCount),
      Array(2 * 8).fill(8),
    );
    assert.equal(ownOf(many, "AWS::Lambda::EventSourceMapping").length, 2 * 8 + 1);
    assert.equal(ownOf(many, "AWS::Lambda::Function").length, 2 * 8 + 1 + others);
  });

  test("are not there at parallelism 1", () => {
    assert.deepEqual(ownOf(single, "AWS::Kinesis::Stream"), []);
    assert.equal(ownOf(single, "AWS::Lambda::Function").length, 1 + others);
  });
});

describe("mappings", () => {
  test("lose nothing and pass over nothing", () => {
    const mappings = ownOf(wide, "AWS::Lambda::EventSourceMapping");
    assert.equal(mappings.length, 5);
    for (const [id, { Properties: own, DependsOn = [] }] of mappings) {
      const { EventSourceArn: _, FunctionName: __, Tags: ___, ...settings } = own;
      assert.deepEqual(
        settings,
        {
          BatchSize: 1000,
          MaximumBatchingWindowInSeconds: 1,
          StartingPosition: "TRIM_HORIZON",
          MaximumRetryAttempts: -1,
          MaximumRecordAgeInSeconds: -1,
          ParallelizationFactor: 1,
          BisectBatchOnFunctionError: false,
          FunctionResponseTypes: ["ReportBatchItemFailures"],
          MetricsConfig: { Metrics: ["EventCount"] },
        },
        id,
      );
      assert.ok(
        DependsOn.some((other) => other.includes("RoleDefaultPolicy")),
        "it is made after its permissions",
      );
    }
  });

  test("begin where the source says that a job without state begins", () => {
    many.template.hasResourceProperties("AWS::Lambda::EventSourceMapping", {
      StartingPosition: "AT_TIMESTAMP",
      StartingPositionTimestamp: Date.parse("2026-01-02T03:04:05Z") / 1000,
    });
  });
});

describe("functions", () => {
  test("are told what the contract names", () => {
    const functions = ownOf(wide, "AWS::Lambda::Function").map(([, { Properties: own }]) => own);
    for (const own of functions) {
      const variables = Object.entries(own.Environment.Variables).map(([name, value]) => [name, textOf(value)]);
      const settings = readSettings(Object.fromEntries(variables));
      assert.equal(settings.deployment, 7);
      assert.deepEqual(Object.keys(settings.bindings).sort(), ["late-views", "page-views", "sessions", "views-per-minute"]);
      const keyed = wide.job.plan.stages.filter(({ kind }) => kind === "keyed").map(({ id }) => id);
      assert.deepEqual(Object.keys(settings.inboxes).sort(), keyed.toSorted());
      const tasks = settings.stage === "coordinator" ? wide.job.plan.stages.map(({ id }) => id) : [];
      assert.deepEqual(Object.keys(settings.taskFunctions).sort(), tasks.toSorted());
      assert.deepEqual(own.Architectures, ["arm64"]);
      assert.equal(own.Runtime, "nodejs24.x");
      assert.equal(own.Handler, "index.handler");
    }
    assert.equal(functions.filter(({ MemorySize, Timeout }) => MemorySize === 1024 && Timeout === 60).length, 5);
  });

  test("of one job have one bundle, beside the coordinator's and the check's", () => {
    const codes = ownOf(wide, "AWS::Lambda::Function").map(([, { Properties: own }]) => own.Code.S3Key);
    assert.equal(new Set(codes).size, 1 + others);
  });

  test("have the memory, time, concurrency, network and key that they are given", () => {
    const given = deploy(pageviewsFile, (stack) => ({
      ...bindPageviews(stack),
      memorySize: 2048,
      reservedConcurrency: 1,
      batchSize: 50,
      encryptionKey: new Key(stack, "Key"),
      vpc: new Vpc(stack, "Network", { maxAzs: 1 }),
      alarmTopic: new Topic(stack, "Topic"),
      monthlyBudget: 20,
      budgetEmail: "someone@example.com",
    }));
    given.template.hasResourceProperties("AWS::Lambda::Function", {
      MemorySize: 2048,
      ReservedConcurrentExecutions: 1,
      KmsKeyArn: Match.anyValue(),
      VpcConfig: { SubnetIds: Match.anyValue() },
    });
    given.template.hasResourceProperties("AWS::Lambda::EventSourceMapping", { BatchSize: 50 });
    given.template.allResourcesProperties("AWS::CloudWatch::Alarm", {
      AlarmActions: [Match.anyValue()],
      OKActions: [Match.anyValue()],
    });
    given.template.resourceCountIs("AWS::Budgets::Budget", 1);
    given.template.allResourcesProperties("AWS::Logs::LogGroup", { KmsKeyId: Match.anyValue(), RetentionInDays: 30 });
    const withKafka = deploy(jobFile("many-connectors"), bindMany);
    const everywhere = [given, withKafka].flatMap((one) =>
      statementsWithStar(jsonOf(one)).flatMap(({ Action }) => [Action].flat()),
    );
    assert.deepEqual([...new Set(everywhere)].sort(), [...unrestrictable].sort());
  });

  test("encrypt their logs with a key whose policy allows it, or say that it must", () => {
    const own = deploy(pageviewsFile, (stack) => ({ ...bindPageviews(stack), encryptionKey: new Key(stack, "Key") }));
    const [{ Properties: key }] = Object.values(own.resources("AWS::KMS::Key")) as [Resource];
    const [statement] = key.KeyPolicy.Statement.filter(({ Sid }: { Sid?: string }) => Sid === "MillraceLogs");
    assert.deepEqual(statement.Principal, { Service: { "Fn::Join": ["", ["logs.", { Ref: "AWS::Region" }, ".amazonaws.com"]] } });
    assert.match(JSON.stringify(statement.Condition), /EncryptionContext:aws:logs:arn/);
    const arn = "arn:aws:kms:us-east-1:000000000000:key/0a1b";
    const other = deploy(pageviewsFile, (stack) => ({
      ...bindPageviews(stack),
      encryptionKey: Key.fromKeyArn(stack, "Key", arn),
    }));
    Annotations.fromStack(other.stack).hasWarning("/Jobs/Job", Match.stringLikeRegexp("must let CloudWatch Logs"));
    assert.equal(Annotations.fromStack(own.stack).findWarning("*", Match.stringLikeRegexp("CloudWatch Logs")).length, 0);
  });

  test("are rung once a minute: the coordinator", () => {
    const [schedule] = ownOf(wide, "AWS::Scheduler::Schedule").map(([, { Properties: own }]) => own);
    assert.equal(schedule!.ScheduleExpression, "rate(1 minute)");
    assert.equal(decodeCommand(JSON.parse(schedule!.Target.Input)).kind, "look");
    const trusts = ownOf(wide, "AWS::IAM::Role").map(([, { Properties: own }]) => own.AssumeRolePolicyDocument.Statement[0]);
    const [ofSchedules] = trusts.filter(({ Principal }) => Principal.Service === "scheduler.amazonaws.com");
    assert.deepEqual(ofSchedules.Condition, { StringEquals: { "aws:SourceAccount": { Ref: "AWS::AccountId" } } });
  });
});

describe("the start-up check", () => {
  const checkOf = (deployed: Deployed) => Object.entries(deployed.resources(startCheckType))[0]!;

  /** What a resource waits for, by whatever way. */
  function before(id: string, { Resources }: TemplateJson, seen = new Set<string>()): Set<string> {
    const references = [...JSON.stringify(Resources[id] ?? {}).matchAll(/"(?:Ref|Fn::GetAtt)":\[?"(\w+)"/g)].map(
      ([, other]) => other!,
    );
    for (const other of [...references, ...(Resources[id]?.DependsOn ?? [])])
      if (!seen.has(other)) before(other, { Resources }, seen.add(other));
    return seen;
  }

  test("passes before a function is made or changed, a mapping, or the schedule; its own permissions come first", () => {
    for (const deployed of [single, wide, many]) {
      const template = jsonOf(deployed);
      const [id, { Properties: own }] = checkOf(deployed);
      const checking = own.ServiceToken["Fn::GetAtt"][0] as string;
      const acting = ["AWS::Lambda::Function", "AWS::Lambda::EventSourceMapping", "AWS::Scheduler::Schedule"];
      for (const [other] of acting.flatMap((type) => ownOf(deployed, type)))
        assert.equal(before(other, template).has(id), other !== checking, other);
      assert.ok([...before(id, template)].some((other) => other.includes("StartCheck") && other.includes("DefaultPolicy")));
    }
  });

  test("is another with each deployment, and is told what synthesis does not see", () => {
    const given = deploy(pageviewsFile, (stack) => ({
      ...bindPageviews(stack),
      reservedConcurrency: 3,
      encryptionKey: new Key(stack, "Key"),
    }));
    const [, { Properties: own }] = checkOf(given);
    const { ServiceToken: _token, ServiceTimeout: seconds, Keys, ...rest } = own;
    assert.deepEqual(rest, { Deployment: "7", ReservedConcurrency: "3" });
    assert.equal(Keys.length, 1);
    assert.ok(Number(seconds) <= 600, "CloudFormation does not wait for an hour");
    assert.deepEqual(checkOf(single)[1].Properties.Keys, []);
  });

  test("may write nothing of what sinks write, but under their prefix of a bucket", () => {
    const template = jsonOf(wide);
    const [role] = Object.keys(wide.resources("AWS::IAM::Role")).filter((id) => id.includes("StartCheck"));
    const actions = statementsOf(role!, template).flatMap(({ Action }) => [Action].flat());
    for (const action of ["kinesis:PutRecords", "kinesis:UpdateShardCount", "lambda:InvokeFunction", "dynamodb:Scan"])
      assert.ok(!actions.includes(action), action);
    for (const action of ["s3:DeleteObject", "dynamodb:BatchWriteItem"]) assert.ok(!actions.includes(action), action);
    assert.ok(actions.includes("s3:PutObject"), "it sees whether it may write by an upload that it gives up");
  });

  test("is left out where the context says so: for stand-ins that run no functions while they deploy", () => {
    const without = deploy(pageviewsFile, bindPageviews, { [startCheckContext]: "false" });
    assert.deepEqual(without.resources(startCheckType), {});
    assert.equal(ownOf(without, "AWS::Lambda::Function").length, 2);
  });
});

describe("mappings and the region", () => {
  test("come last: where the region lacks a resource, no record is read", () => {
    for (const [id, { DependsOn = [] }] of ownOf(wide, "AWS::Lambda::EventSourceMapping"))
      assert.ok(
        DependsOn.some((other) => other.includes("Schedule")),
        id,
      );
  });
});

function statementsWithStar(template: TemplateJson) {
  const roles = Object.entries(template.Resources).filter(([, { Type }]) => Type === "AWS::IAM::Role");
  return roles.flatMap(([role]) => statementsOf(role, template)).filter(({ Resource }) => [Resource].flat().includes("*"));
}

describe("permissions", () => {
  test("name their resources", () => {
    for (const deployed of [single, wide, many]) {
      const everywhere = statementsWithStar(jsonOf(deployed)).flatMap(({ Action }) => [Action].flat());
      assert.deepEqual(everywhere, ["lambda:GetAccountSettings"], "which AWS allows on all or none");
    }
  });

  test("have no managed policy and no action with a star", () => {
    const template = jsonOf(wide);
    for (const [id, { Type, Properties: own }] of Object.entries(template.Resources)) {
      if (Type !== "AWS::IAM::Role") continue;
      assert.equal(own.ManagedPolicyArns, undefined, id);
      for (const { Action } of statementsOf(id, template)) assert.doesNotMatch([Action].flat().join(), /\*/, id);
    }
  });

  test("end at the job's own items and objects", () => {
    const table = Object.keys(wide.resources("AWS::DynamoDB::Table")).find((id) => id.startsWith("Job"))!;
    const template = jsonOf(wide);
    const roles = Object.keys(wide.resources("AWS::IAM::Role"));
    const onTable = roles
      .flatMap((role) => statementsOf(role, template))
      .filter(({ Resource }) => JSON.stringify(Resource).includes(table));
    assert.equal(onTable.length, 5 + others);
    for (const statement of onTable as unknown as { Condition: unknown }[])
      assert.deepEqual(statement.Condition, {
        "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["pageviews-wide", "pageviews-wide/*"] },
      });
    const objects = roles
      .flatMap((role) => statementsOf(role, template))
      .filter(({ Action }) => [Action].flat().includes("s3:PutObject"));
    for (const { Resource } of objects)
      for (const one of [Resource].flat())
        assert.match(textOf(one), /\/(pageviews-wide|dead-letters\/pageviews-wide|for-minute|for-session)\/\*$/);
  });

  test("to read schemas are those of stages whose sources have them from Glue", () => {
    const glue = deploy(jobFile("glue-source"), (stack) => ({ streams: { clicks: stack.stream("Clicks") } }));
    const template = jsonOf(glue);
    const readers = Object.keys(glue.resources("AWS::IAM::Role")).filter((role) =>
      statementsOf(role, template).some(({ Action }) => [Action].flat().includes("glue:GetSchemaVersion")),
    );
    assert.deepEqual(
      readers.map((role) => role.replace(/Role\w{8}$/, "")),
      ["JobTasksclicks0"],
    );
    passesNag(glue);
  });

  test("of a stage end at what it reads and feeds (F1)", () => {
    const template = jsonOf(wide);
    const [role] = Object.keys(wide.resources("AWS::IAM::Role")).filter((id) => id.startsWith("JobTaskssessions0"));
    const may = (action: string) =>
      statementsOf(role!, template)
        .filter(({ Action }) => [Action].flat().includes(action))
        .flatMap(({ Resource }) => [Resource].flat().map((one) => (one as { "Fn::GetAtt": string[] })["Fn::GetAtt"]![0]!));
    assert.deepEqual(
      may("kinesis:GetRecords").map((id) => id.replace(/\w{8}$/, "")),
      ["JobInboxessessions0"],
    );
    assert.deepEqual(
      may("kinesis:PutRecords").map((id) => id.replace(/\w{8}$/, "")),
      ["JobInboxessessionsout0"],
    );
    assert.deepEqual(may("dynamodb:Scan"), []);
  });
});

describe("alarms", () => {
  const runbook = readFileSync(join(root, "docs/operations/runbook.md"), "utf8");
  const headings = [...runbook.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading!.toLowerCase());

  test("each name a section of the runbook, and every section is some alarm's", () => {
    const events = deploy(jobFile("many-connectors"), bindMany);
    const alarms = [wide, events].flatMap((one) => ownOf(one, "AWS::CloudWatch::Alarm").map(([, { Properties: own }]) => own));
    const sections = alarms.map(({ AlarmDescription }) => /docs\/operations\/runbook\.md#([a-z]+)$/.exec(AlarmDescription)?.[1]);
    for (const [n, section] of sections.entries()) assert.ok(headings.includes(section!), alarms[n]!.AlarmDescription);
    assert.deepEqual(
      headings.filter((heading) => !sections.includes(heading)),
      [],
    );
  });

  test("look at metrics that the functions write", () => {
    const written: readonly string[] = metrics.map(({ name }) => name);
    const own = ownOf(wide, "AWS::CloudWatch::Alarm").filter(([, { Properties }]) => Properties.Namespace === "Millrace");
    assert.equal(own.length, 12);
    for (const [, { Properties }] of own) {
      assert.ok(written.includes(Properties.MetricName), Properties.MetricName);
      assert.deepEqual(Properties.Dimensions, [{ Name: "job", Value: "pageviews-wide" }]);
    }
  });

  test("ring at half of what the streams keep", () => {
    const ages = ownOf(wide, "AWS::CloudWatch::Alarm").filter(([, { Properties }]) => Properties.MetricName === "IteratorAge");
    assert.deepEqual(
      ages.map(([, { Properties }]) => Properties.Threshold),
      Array(5).fill(12 * 3600 * 1000),
    );
  });
});

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html, and of IAM: policies inline in a role. */
function staysWithinLimits(template: TemplateJson & { readonly Outputs?: object; readonly Parameters?: object }): void {
  const { Resources, Outputs = {}, Parameters = {} } = template;
  const counts = [Object.keys(Resources).length, Object.keys(Outputs).length, Object.keys(Parameters).length];
  assert.ok(counts[0]! <= 500 && counts[1]! <= 200 && counts[2]! <= 200, `resources, outputs, parameters: ${counts.join(", ")}`);
  assert.ok(JSON.stringify(template).length <= 1_000_000);
  for (const [id, { Type, Properties: own }] of Object.entries(Resources)) {
    // With the names that CloudFormation gives in the place of references.
    if (Type === "AWS::IAM::Policy") assert.ok(JSON.stringify(own.PolicyDocument).length <= 10_240, id);
    if (Type === "AWS::CloudWatch::Alarm") assert.ok((own.Metrics ?? []).length <= 11, id);
  }
}

describe("on LocalStack", () => {
  test("what its free set has not is left out, or done in another way; all else is the same", () => {
    const local = deploy(wideFile, bindPageviews, { [localstackContext]: "true" });
    for (const type of ["AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::Scheduler::Schedule"])
      assert.deepEqual(local.resources(type), {}, type);
    const [rule] = ownOf(local, "AWS::Events::Rule").map(([, { Properties: own }]) => own);
    assert.equal(rule!.ScheduleExpression, "rate(1 minute)");
    assert.equal(decodeCommand(JSON.parse(rule!.Targets[0].Input)).kind, "look");
    for (const [, { Properties: own }] of ownOf(local, "AWS::Lambda::Function"))
      assert.deepEqual(own.Architectures, [process.arch === "x64" ? "x86_64" : "arm64"]);
    for (const [, { Properties: own }] of ownOf(local, "AWS::DynamoDB::Table"))
      assert.equal(own.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled, false);
    for (const type of ["AWS::Kinesis::Stream", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Function"])
      assert.deepEqual(
        ownOf(local, type).map(([id]) => id),
        ownOf(wide, type).map(([id]) => id),
      );
  });

  test("the script names the CDK of this repository", () => {
    const { scripts, devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    assert.ok(scripts["deploy:localstack"].includes(`aws-cdk@${devDependencies["aws-cdk"]} `));
    assert.ok(scripts["deploy:localstack"].includes(`-c ${localstackContext}=true`));
  });
});

test("who begins is told the versions of CDK that go together, which are those of this repository and of the example", () => {
  const read = (path: string) => readFileSync(join(root, path), "utf8");
  const { devDependencies } = JSON.parse(read("package.json"));
  const own = JSON.parse(read("examples/own-app/package.json"));
  const told = read("docs/deploying.md").split(/\s+/);
  for (const name of ["aws-cdk", "aws-cdk-lib", "constructs"]) {
    assert.ok(told.includes(`${name}@${devDependencies[name]}`), name);
    assert.equal({ ...own.dependencies, ...own.devDependencies }[name], devDependencies[name], name);
  }
});

test("who begins is shown the example's job, and an app with its stream and table", () => {
  const told = readFileSync(join(root, "docs/deploying.md"), "utf8");
  const own = (file: string) => readFileSync(join(root, "examples/own-app", file), "utf8");
  const shown = [...told.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code!);
  assert.equal(shown[0], own("job.ts"));
  const lines = shown[1]!.split("\n").filter((line) => /import|Key: \{|streams:|tables:|entry:/.test(line));
  assert.ok(lines.length >= 9, "the app is looked at");
  for (const line of lines)
    assert.ok(own("app.ts").includes(line.replace("import { App, Stack }", "import { App, Duration, Stack }").trim()), line);
});

test("whatever costs bears the job's name, by which a budget counts it", () => {
  const types = [
    "DynamoDB::Table",
    "S3::Bucket",
    "Kinesis::Stream",
    "Lambda::Function",
    "Lambda::EventSourceMapping",
    "Logs::LogGroup",
  ];
  for (const type of types)
    for (const [id, { Properties: own }] of ownOf(wide, `AWS::${type}`)) {
      const tags = (own.Tags as { Key: string; Value: string }[]).filter(({ Key }) => Key === jobTag);
      assert.deepEqual(tags, [{ Key: "millrace:job", Value: "pageviews-wide" }], id);
    }
});

describe("templates", () => {
  test("have none of the defects that validators miss", () => {
    for (const deployed of [single, wide, many]) assert.deepEqual(defectsOf(jsonOf(deployed)), []);
  });

  test("are found out when they have them", () => {
    const broken = structuredClone(jsonOf(wide)) as any;
    const first = (type: string) => Object.values<any>(broken.Resources).find(({ Type }) => Type === type)!.Properties;
    delete first("AWS::Lambda::EventSourceMapping").StartingPosition;
    first("AWS::Lambda::EventSourceMapping").EventSourceArn = { "Fn::GetAtt": ["Elsewhere", "Arn"] };
    Object.assign(first("AWS::Kinesis::Stream"), { StreamModeDetails: { StreamMode: "ON_DEMAND" }, RetentionPeriodHours: 12 });
    first("AWS::CloudWatch::Dashboard").DashboardBody = "{";
    const found = defectsOf(broken).map((line) => line.replace(/^\w+: /, ""));
    for (const defect of [
      "no starting position",
      "may not kinesis:GetRecords",
      "on demand with a number of shards",
      "retention below 24 hours",
      "the body is not JSON",
    ])
      assert.ok(found.includes(defect), defect);
  });

  test("stay within CloudFormation's limits at 64 tasks a stage", () => {
    const one = deploy(jobFile("one-stage-64"), (stack) => ({ streams: { clicks: stack.stream("Clicks") } }));
    assert.equal(ownOf(one, "AWS::Kinesis::Stream").length, 8);
    staysWithinLimits(jsonOf(one));
    staysWithinLimits(jsonOf(many));
    const sixteen = deploy(jobFile("pageviews-64"), (stack) => ({ ...bindPageviews(stack), tasksPerCell: 16 }));
    assert.equal(ownOf(sixteen, "AWS::Kinesis::Stream").length, 4 * 4);
    staysWithinLimits(jsonOf(sixteen));
  });

  test("of four stages of 64 tasks are refused with what to set where names could be too long, else stay within them", () => {
    const four = (stackName: string, tasksPerCell?: number) => {
      const app = new App({ context: { "aws:cdk:bundling-stacks": [] }, ...unvalidated });
      const stack = new Surroundings(app, stackName);
      const props = { ...bindPageviews(stack), ...(tasksPerCell !== undefined && { tasksPerCell }) };
      new StreamJob(stack, "PageViews", { entry: jobFile("pageviews-64"), ...props } as StreamJobProps);
      return Template.fromStack(stack).toJSON() as TemplateJson;
    };
    const long = "PageViewsOfAllShopsInProduction";
    let advised = 0;
    assert.throws(
      () => four(long),
      ({ message }: Error) => {
        advised = Number(
          /environment variables may have 4096 bytes and could have \d+: set tasksPerCell: (\d+)/.exec(message)?.[1],
        );
        return advised > 8;
      },
    );
    staysWithinLimits(four(long, advised));
    assert.throws(() => four(long, advised - 1), /tasksPerCell/, "it is the least");
  });

  test("stay within them in two stacks, whose outputs and imports are counted too", () => {
    const app = new App({ context: { "aws:cdk:bundling-stacks": [] }, ...unvalidated });
    const [data, functions] = [new Surroundings(app, "Data"), new Stack(app, "Functions")];
    const entry = jobFile("pageviews-64");
    new StreamJob(functions, "Job", { entry, ...bindPageviews(data), tasksPerCell: 16, statefulScope: data } as StreamJobProps);
    for (const stack of [data, functions]) staysWithinLimits(Template.fromStack(stack).toJSON() as TemplateJson);
  });

  test("pass cdk-nag's AwsSolutions, but for what is said here", () => {
    passesNag(deploy(wideFile, bindPageviews));
  });

  test("are validated at synthesis: a property out of its range ends it", () => {
    const context = JSON.parse(readFileSync(join(root, "cdk.json"), "utf8")).context;
    const broken = deploy(pageviewsFile, bindPageviews, context);
    (broken.job.tasks.cells[0]!.mappings[0]!.mapping.mapping as CfnEventSourceMapping).addPropertyOverride("BatchSize", 20_000);
    assert.throws(() => broken.app.synth(), /valid/i);
  });
});
