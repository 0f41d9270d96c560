/** Defects of templates that neither CDK's validator nor cfn-lint finds. */
import type { Resource } from "./deploy.ts";

export interface TemplateJson {
  readonly Resources: Readonly<Record<string, Resource>>;
}

interface Statement {
  readonly Action: string | readonly string[];
  readonly Resource: unknown;
}

/** What a function behind an event source mapping must be allowed to do with its stream (Lambda's guide, "with-kinesis"). */
const neededByMapping = [
  "kinesis:DescribeStream",
  "kinesis:DescribeStreamSummary",
  "kinesis:GetRecords",
  "kinesis:GetShardIterator",
  "kinesis:ListShards",
];

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
        ...(own.StartingPosition === undefined ? ["no starting position"] : []),
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

function missingActions({ FunctionName, EventSourceArn }: Resource["Properties"], template: TemplateJson): string[] {
  const role = template.Resources[FunctionName.Ref]?.Properties.Role["Fn::GetAtt"][0] as string;
  const allowed = statementsOf(role, template)
    .filter(({ Resource: on }) => [on].flat().some((one) => JSON.stringify(one) === JSON.stringify(EventSourceArn)))
    .flatMap(({ Action }) => [Action].flat());
  return neededByMapping.filter((action) => !allowed.includes(action));
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
