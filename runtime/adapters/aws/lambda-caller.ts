/** Calls functions and waits for their answers. */
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { type ErrorKind, MillraceError } from "../../base/errors.ts";
import type { ClientOptions } from "./aws-clients.ts";
import { awsError } from "./aws-error.ts";
import { GatedHandler } from "./gated-handler.ts";

/** A function may run for so long. */
const answerMsMax = 15 * 60_000 + 5_000;
const kinds: readonly string[] = ["unavailable", "fenced", "invalid", "corrupt", "user"] satisfies ErrorKind[];

export interface FunctionCaller {
  /**
   * The function's answer. Throws what the function threw, as an error of its kind, and `invalid` for a function that is not there or may
   * not be called. `signal`: the answer is of no interest any more.
   */
  call(functionName: string, event: object, signal?: AbortSignal): Promise<unknown>;
  close(): void;
}

export class LambdaCaller implements FunctionCaller {
  readonly #client: LambdaClient;

  constructor(options: ClientOptions = {}) {
    const requestHandler = new GatedHandler(4, { connectionTimeout: 5_000, requestTimeout: answerMsMax });
    this.#client = new LambdaClient({ requestHandler, ...options });
  }

  async call(functionName: string, event: object, signal?: AbortSignal): Promise<unknown> {
    const command = new InvokeCommand({ FunctionName: functionName, Payload: Buffer.from(JSON.stringify(event)) });
    const { FunctionError, Payload } = await this.#send(command, functionName, signal);
    return answerOf(functionName, FunctionError, Payload);
  }

  close(): void {
    this.#client.destroy();
  }

  async #send(command: InvokeCommand, functionName: string, abortSignal: AbortSignal | undefined) {
    try {
      return await this.#client.send(command, { ...(abortSignal && { abortSignal }) });
    } catch (error) {
      throw awsError(error, `invoking function ${functionName}`);
    }
  }
}

/** What a function has answered. Throws what it threw, as `LambdaCaller.call` does, and `invalid` for what no function of ours answers. */
export function answerOf(functionName: string, functionError: string | undefined, payload: Uint8Array | undefined): unknown {
  const text = Buffer.from(payload ?? []).toString();
  if (functionError !== undefined) throw errorOf(functionName, parse(text));
  if (text === "") return null;
  const answer = parse(text);
  if (answer === undefined)
    throw new MillraceError("invalid", `function ${functionName} is none of Millrace: its answer is no JSON`);
  return answer;
}

/** Undefined: no JSON. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Of a handler's error, whose type says its kind; of anything else, which may be over soon: a time-out, a process that ended. */
function errorOf(functionName: string, answer: unknown): MillraceError {
  const thrown = (answer ?? {}) as { readonly errorType?: unknown; readonly errorMessage?: unknown };
  const kind = typeof thrown.errorType === "string" ? thrown.errorType.replace(/^Millrace\./, "") : "";
  const message = typeof thrown.errorMessage === "string" ? thrown.errorMessage : "it says nothing";
  if (kinds.includes(kind)) return new MillraceError(kind as ErrorKind, message);
  return new MillraceError("unavailable", `function ${functionName} failed: ${message}`);
}
