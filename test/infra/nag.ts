/** Holds a deployment to cdk-nag's AwsSolutions. */
import assert from "node:assert/strict";
import { Aspects } from "aws-cdk-lib";
import { AwsSolutionsChecks, NagSuppressions } from "cdk-nag";
import { justifiedSuppressions } from "../../infra/index.ts";
import type { deploy } from "./deploy.ts";

/** Nothing is found but what is said, in at most five suppressions. */
export function passesNag(deployed: ReturnType<typeof deploy>): void {
  Aspects.of(deployed.job).add(new AwsSolutionsChecks());
  NagSuppressions.addResourceSuppressions(deployed.job, justifiedSuppressions, true);
  deployed.app.synth();
  const findings = deployed.job.node
    .findAll()
    .flatMap(({ node }) => node.metadata.map(({ type, data }) => `${node.path} ${type}: ${String(data)}`))
    .filter((line) => line.includes("AwsSolutions-"));
  assert.deepEqual(findings, []);
  assert.ok(justifiedSuppressions.length <= 5);
}
