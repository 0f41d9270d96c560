/**
 * What a deployment leaves out or does in another way on LocalStack, whose free set does not have all of AWS. Told by a context value, so that
 * nothing of it stands in a job's own app.
 *
 * | on AWS                                  | on LocalStack                                                              |
 * |-----------------------------------------|----------------------------------------------------------------------------|
 * | EventBridge Scheduler                   | a rule of EventBridge: schedules are taken there, and do not fire            |
 * | alarms, the dashboard, the budget       | none: metrics are not read out of log lines there                          |
 * | recovery of tables to a point in time   | none: there are no backups                                                 |
 * | arm64                                   | this machine's processor: functions run in containers on it                |
 * | metrics of mappings                     | none                                                                       |
 */
import type { Construct } from "constructs";

export const localstackContext = "millrace:localstack";

export function isForLocalstack(scope: Construct): boolean {
  return String(scope.node.tryGetContext(localstackContext) ?? false) === "true";
}
