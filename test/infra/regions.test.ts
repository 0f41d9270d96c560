/** Regions that lack what a job needs: refused at synthesis where that is known, else by the deployment before anything acts. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { App, Stack } from "aws-cdk-lib";
import { Stream } from "aws-cdk-lib/aws-kinesis";
import { Fact, FactName } from "aws-cdk-lib/region-info";
import { startCheckType } from "../../functions/contract.ts";
import { StreamJob, type StreamJobProps } from "../../infra/index.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { bindPageviews, deploy, jobFile, wideFile } from "./deploy.ts";

const budget = { monthlyBudget: 20, budgetEmail: "someone@example.com" };

function deployTo(region: string | undefined, props: Partial<StreamJobProps> = {}): Stack {
  const app = new App({ context: { "aws:cdk:bundling-stacks": [] } });
  const stack = new Stack(app, "Jobs", region === undefined ? {} : { env: { region, account: "000000000000" } });
  new StreamJob(stack, "Job", { entry: jobFile("keyed-source"), streams: { clicks: new Stream(stack, "Clicks") }, ...props });
  return stack;
}

function refused(pattern: RegExp) {
  return (error: unknown) => {
    assert.ok(isKind(error, "invalid"));
    assert.match(String(error), pattern);
    return true;
  };
}

describe("a region", () => {
  test("without budgets is refused where one is asked for, and only then", () => {
    assert.throws(
      () => deployTo("eu-north-1", budget),
      refused(/no budgets in this region: leave out monthlyBudget.*: eu-north-1/),
    );
    deployTo("eu-north-1");
    deployTo("eu-west-1", budget);
    // Which region it will be is not known: CloudFormation says it.
    deployTo(undefined, budget);
  });

  test("whose Lambda has no runtime that is new enough is refused", () => {
    const region = "xx-test-1";
    Fact.register({ region, name: FactName.LATEST_NODE_RUNTIME, value: "nodejs22.x" }, true);
    assert.throws(() => deployTo(region), refused(/no nodejs24.x in this region.* but nodejs22.x.*: xx-test-1/));
    Fact.register({ region, name: FactName.LATEST_NODE_RUNTIME, value: "nodejs26.x" }, true);
    deployTo(region);
  });

  test("that nothing is known of is found out by the check's function, which is made first and is as all others (G1)", () => {
    const deployed = deploy(wideFile, bindPageviews);
    const functions = deployed.resources("AWS::Lambda::Function");
    const checking = Object.values(deployed.resources(startCheckType))[0]!.Properties.ServiceToken["Fn::GetAtt"][0] as string;
    const kindOf = (id: string) => [functions[id]!.Properties.Runtime, functions[id]!.Properties.Architectures];
    const own = Object.keys(functions).filter((id) => id.startsWith("Job"));
    assert.ok(own.length > 2 && own.includes(checking));
    for (const id of own) assert.deepEqual(kindOf(id), kindOf(checking), id);
  });
});
