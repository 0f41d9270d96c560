/** Invokes functions without waiting for them. */
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import type { Telemetry } from "../../ports/telemetry.ts";
import { type ClientOptions, requestHandler } from "./aws-clients.ts";
import { awsError } from "./aws-error.ts";

export class LambdaInvoker {
  readonly #client: LambdaClient;
  readonly #telemetry: Telemetry;

  constructor(telemetry: Telemetry, options: ClientOptions = {}) {
    this.#client = new LambdaClient({ requestHandler: requestHandler(), ...options });
    this.#telemetry = telemetry;
  }

  /** Hands the event over; Lambda calls the function some time after. Throws `invalid` for a function that is not there or may not be called. */
  async invoke(functionName: string, event: object): Promise<void> {
    this.#telemetry.add("lambda.pokes", 1);
    const command = { FunctionName: functionName, InvocationType: "Event", Payload: Buffer.from(JSON.stringify(event)) } as const;
    try {
      await this.#client.send(new InvokeCommand(command));
    } catch (error) {
      throw awsError(error, `invoking function ${functionName}`);
    }
  }
}
