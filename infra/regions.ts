/**
 * What a region lacks of what a StreamJob may need, as far as that is known at synthesis: by a table here, and by CDK's own facts.
 *
 * G1 Where the region is not known before the deployment, or a table is out of date, the deployment itself fails before anything acts:
 *    CloudFormation refuses a template with types that it does not have there, and the start-up check's function, of the same runtime
 *    and processor as all others, is made first.
 *
 * Source: the resource types that CloudFormation publishes for each region, as cfn-lint 1.51.0 has them. Every type that a job
 * needs, of whatever connectors, with a key and a network of its own, is in all of them; `npm run validate` looks again.
 */
import { Fact, FactName } from "aws-cdk-lib/region-info";
import { Token } from "aws-cdk-lib";
import { MillraceError } from "../runtime/base/errors.ts";
import { runtime } from "./job-function.ts";

/** Have no AWS::Budgets::Budget. */
export const withoutBudgets: readonly string[] = [
  "af-south-1",
  "ap-east-1",
  "ap-east-2",
  "ap-northeast-3",
  "ap-south-2",
  "ap-southeast-3",
  "ap-southeast-4",
  "ap-southeast-5",
  "ap-southeast-6",
  "ap-southeast-7",
  "ca-west-1",
  "eu-central-2",
  "eu-north-1",
  "eu-south-1",
  "eu-south-2",
  "il-central-1",
  "me-central-1",
  "me-south-1",
  "mx-central-1",
  "us-gov-east-1",
  "us-gov-west-1",
];

/** Throws `invalid` for what is asked for and is not there. `region`: the stack's, which may not be known yet. */
export function checkRegion(region: string, { monthlyBudget }: { readonly monthlyBudget?: number }): void {
  if (Token.isUnresolved(region)) return;
  if (monthlyBudget !== undefined && withoutBudgets.includes(region))
    throw new MillraceError(
      "invalid",
      `CloudFormation has no budgets in this region: leave out monthlyBudget, and make one for the tag millrace:job in a stack of another region: ${region}`,
    );
  const newest = Fact.find(region, FactName.LATEST_NODE_RUNTIME);
  if (newest !== undefined && versionOf(newest) < versionOf(runtime.name))
    throw new MillraceError(
      "invalid",
      `Lambda has no ${runtime.name} in this region, which functions need, but ${newest}: deploy to another region: ${region}`,
    );
}

/** Of "nodejs24.x". */
function versionOf(name: string): number {
  return Number(/\d+/.exec(name)?.[0]);
}
