/**
 * Calls the function of a Lambda sink.
 *
 * V1 Waiting for the function, an event goes when the one before it was taken: rows of a commit reach it in their order.
 */
import type { InvokeCommandOutput } from "@aws-sdk/client-lambda";
import { delivered, type Delivery, type MessageChannel } from "../../connectors/messages/message-target.ts";
import type { OutgoingMessage } from "../../connectors/messages/message.ts";
import { eventBytesMax, type LambdaSettings, messageOverheadBytes } from "../../connectors/lambda/lambda-settings.ts";
import { awsError } from "./aws-error.ts";
import { sendBatch } from "./batch-channel.ts";
import type { LoadedLambda } from "./lazy-clients.ts";

const eventsAtOnce = 8;

export class LambdaChannel implements MessageChannel {
  readonly name: string;
  readonly order: "all" | "none";
  readonly limits: MessageChannel["limits"];
  readonly #function: string;
  readonly #settings: LambdaSettings;
  readonly #load: () => Promise<LoadedLambda>;

  /** `functionName`: its name or ARN. */
  constructor(functionName: string, settings: LambdaSettings, load: () => Promise<LoadedLambda>) {
    const { invocation, rowsPerEvent } = settings;
    this.name = `function ${functionName}`;
    this.#function = functionName;
    this.#settings = settings;
    this.#load = load;
    this.order = invocation === "event" ? "none" : "all";
    this.limits = { messages: rowsPerEvent, bytes: eventBytesMax[invocation], atOnce: invocation === "event" ? eventsAtOnce : 1 };
  }

  sizeOf({ body }: OutgoingMessage): number {
    return body.length + messageOverheadBytes;
  }

  async send(messages: readonly OutgoingMessage[], { signal }: { readonly signal: AbortSignal }): Promise<readonly Delivery[]> {
    const { invocation, timeoutMs } = this.#settings;
    return sendBatch(messages, `calling ${this.name}`, async () => {
      const { sdk, client } = await this.#load();
      const command = new sdk.InvokeCommand({
        FunctionName: this.#function,
        InvocationType: invocation === "event" ? "Event" : "RequestResponse",
        Payload: eventOf(messages),
      });
      const abortSignal = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      const answer = await client.send(command, { abortSignal });
      return invocation === "event" ? messages.map(() => delivered) : this.#deliveriesOf(messages, answer);
    });
  }

  async check(): Promise<void> {
    const { sdk, client } = await this.#load();
    try {
      // Asks for leave, and whether there is such a function, without calling it.
      await client.send(new sdk.InvokeCommand({ FunctionName: this.#function, InvocationType: "DryRun" }));
    } catch (error) {
      throw awsError(error, `look at ${this.name}`);
    }
  }

  #deliveriesOf(messages: readonly OutgoingMessage[], { FunctionError, Payload }: InvokeCommandOutput): readonly Delivery[] {
    const failed = this.#settings.onFunctionError === "deadLetter" ? "refused" : "again";
    if (FunctionError !== undefined)
      return messages.map(() => ({ outcome: failed, reason: `the function failed: ${FunctionError}` }));
    const ids = failedIds(Payload);
    return messages.map(({ id }) =>
      ids.has(id) ? { outcome: failed, reason: "the function names it in batchItemFailures" } : delivered,
    );
  }
}

/** Put together from what is JSON already. */
function eventOf(messages: readonly OutgoingMessage[]): Uint8Array {
  const parts: Uint8Array[] = [Buffer.from(`{"messages":[`)];
  for (const [n, { id, body }] of messages.entries())
    parts.push(Buffer.from(`${n === 0 ? "" : ","}{"id":${JSON.stringify(id)},"value":`), body, Buffer.from("}"));
  parts.push(Buffer.from("]}"));
  return Buffer.concat(parts);
}

/** What a function that was given messages says it has not taken; of an answer that says nothing of the kind, none. */
export function failedIds(payload: Uint8Array | undefined): ReadonlySet<unknown> {
  let answer: { readonly batchItemFailures?: readonly { readonly itemIdentifier?: unknown }[] } | null;
  try {
    answer = JSON.parse(Buffer.from(payload ?? []).toString()) as typeof answer;
  } catch {
    return new Set();
  }
  const failures = answer?.batchItemFailures;
  return new Set(Array.isArray(failures) ? failures.map((failure) => failure?.itemIdentifier) : []);
}
