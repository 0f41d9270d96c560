/**
 * CloudWatch Logs encrypts with a customer's key only where the key's own policy allows it: a role's permission is not asked.
 *
 * Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
 */
import { Annotations, Stack } from "aws-cdk-lib";
import { PolicyStatement, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { Construct } from "constructs";

/** Adds it to the policy of a key that the app makes; of another, says what must stand there. */
export function allowLogs(scope: Construct, key: IKey): void {
  const { region, account, partition } = Stack.of(scope);
  const principal = `logs.${region}.amazonaws.com`;
  const statement = new PolicyStatement({
    sid: "MillraceLogs",
    principals: [new ServicePrincipal(principal)],
    actions: ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
    // In a key's policy: this key.
    resources: ["*"],
    conditions: { ArnLike: { "kms:EncryptionContext:aws:logs:arn": `arn:${partition}:logs:${region}:${account}:log-group:*` } },
  });
  if (key.addToResourcePolicy(statement, true).statementAdded) return;
  Annotations.of(scope).addWarningV2(
    "millrace:logs-key",
    "encryptionKey is not made in this app: its policy must let CloudWatch Logs (logs.<region>.amazonaws.com) use it, or the log groups cannot be made",
  );
}
