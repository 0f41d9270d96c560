/** Defects of templates that neither CDK's validator nor cfn-lint finds. */
import type { Resource } from "./deploy.ts";

export interface TemplateJson {
  readonly Resources: Readonly<Record<string, Resource>>;
}

interface Statement {
  readonly Action: string | readonly string[];
  readonly Resource: unknown;
}

type MappingKind = "stream" | "table" | "queue" | "kafka";

/** What a function behind an event source mapping must be allowed to do with its source (Lambda's guide, "with-kinesis" and its like). */
const neededByMapping: Readonly<Record<MappingKind, readonly string[]>> = {
  stream: [
    "kinesis:DescribeStream",
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
  ],
  table: ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
  queue: ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
  kafka: ["kafka:DescribeClusterV2", "kafka:GetBootstrapBrokers"],
};

function mappingKindOf({ Topics, ScalingConfig, EventSourceArn }: Resource["Properties"]): MappingKind {
  if (Topics !== undefined) return "kafka";
  if (ScalingConfig !== undefined) return "queue";
  return EventSourceArn?.["Fn::GetAtt"]?.[1] === "StreamArn" ? "table" : "stream";
}

/** One line for each defect. */
export function defectsOf(template: TemplateJson): string[] {
  return Object.entries(template.Resources).flatMap(([id, resource]) =>
    defectsIn(id, resource, template).map((what) => `${id}: ${what}`),
  );
}

function defectsIn(id: string, { Type, Properties: own }: Resource, template: TemplateJson): string[] {
  switch (Type) {
    case "AWS::Kinesis::Stream":
      return [
        ...(own.StreamModeDetails?.StreamMode === "ON_DEMAND" && own.ShardCount !== undefined
          ? ["on demand with a number of shards"]
          : []),
        ...((own.RetentionPeriodHours ?? 24) < 24 ? ["retention below 24 hours"] : []),
      ];
    case "AWS::Lambda::EventSourceMapping":
      return [
        ...(own.StartingPosition === undefined && mappingKindOf(own) !== "queue" ? ["no starting position"] : []),
        ...((own.StartingPosition === "AT_TIMESTAMP") !== (own.StartingPositionTimestamp !== undefined)
          ? ["a time goes with AT_TIMESTAMP"]
          : []),
        ...missingActions(own, template).map((action) => `may not ${action}`),
      ];
    case "AWS::CloudWatch::Dashboard":
      return isJson(textOf(own.DashboardBody)) ? [] : ["the body is not JSON"];
    default:
      return id === "" ? ["no id"] : [];
  }
}

function missingActions(own: Resource["Properties"], template: TemplateJson): string[] {
  const { FunctionName, EventSourceArn } = own;
  // Brokers that are told by their addresses know nothing of roles.
  if (EventSourceArn === undefined) return [];
  const role = template.Resources[FunctionName.Ref]?.Properties.Role["Fn::GetAtt"][0] as string;
  const allowed = statementsOf(role, template)
    .filter(({ Resource: on }) => [on].flat().some((one) => JSON.stringify(one) === JSON.stringify(EventSourceArn)))
    .flatMap(({ Action }) => [Action].flat());
  return neededByMapping[mappingKindOf(own)].filter((action) => !allowed.includes(action));
}

/** Of a role's policies. */
export function statementsOf(role: string, template: TemplateJson): readonly Statement[] {
  return Object.values(template.Resources)
    .filter(
      ({ Type, Properties }) => Type === "AWS::IAM::Policy" && Properties.Roles.some(({ Ref }: { Ref: string }) => Ref === role),
    )
    .flatMap(({ Properties }) => Properties.PolicyDocument.Statement as Statement[]);
}

/** A text with what CloudFormation puts in when it deploys: a word for each. */
export function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  const parts = (value as { "Fn::Join"?: [string, unknown[]] })["Fn::Join"]?.[1];
  return parts === undefined ? "token" : parts.map(textOf).join("");
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
