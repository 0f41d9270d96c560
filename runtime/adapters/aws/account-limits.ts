/** What an account allows its functions. */
import { GetAccountSettingsCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { type ClientOptions, requestHandler } from "./aws-clients.ts";
import { awsError } from "./aws-error.ts";

export interface AccountLimits {
  /** Executions at once, of all functions of the account in this region. */
  readonly executions: number;
  /** Of these, what no function has reserved for itself. */
  readonly unreserved: number;
}

/** Throws `invalid` for want of the permission, `unavailable` when AWS does not answer. */
export async function accountLimits(options: ClientOptions = {}): Promise<AccountLimits> {
  const client = new LambdaClient({ requestHandler: requestHandler(), ...options });
  try {
    const { AccountLimit = {} } = await client.send(new GetAccountSettingsCommand());
    const { ConcurrentExecutions: executions = Infinity, UnreservedConcurrentExecutions: unreserved = executions } = AccountLimit;
    return { executions, unreserved };
  } catch (error) {
    throw awsError(error, "looking at the account's limits of Lambda");
  } finally {
    client.destroy();
  }
}
