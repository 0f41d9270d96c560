/** A Lambda function as a sink: the declaration and its pure half. The runtime half is adapters/aws/lambda-channel.ts. */
import type { Sink } from "../../api/connector.ts";
import type { Duration } from "../../api/duration.ts";
import { MillraceError } from "../../base/errors.ts";
import { encodeJsonLine } from "../formats/json.ts";
import { checkSize, MessageWriter } from "../messages/message-writer.ts";
import { checkId } from "../messages/text.ts";
import { eventBytesMax, type LambdaSettings, messageOverheadBytes } from "./lambda-settings.ts";

export interface LambdaSinkOptions<T> {
  /** The function's logical name: a deployment binds it to a name or an ARN; else it is the function's own. */
  readonly function: string;
  /**
   * "requestResponse" (default): waits for the function; what it fails on is given again, and nothing overtakes it. "event": hands events over
   * to Lambda, which calls the function some time, in no order, twice more when it fails, and then keeps what its own destination says.
   */
  readonly invocation?: "requestResponse" | "event";
  /** So many rows in one event, at most; default 100. */
  readonly rowsPerEvent?: number;
  /** The id of a row's message; default: a name of its commit and its place there. 1 to 128 ASCII characters without spaces. */
  readonly id?: (value: T) => string;
  /** What becomes of rows on which the function fails: given again until it does not ("retry", default), or to the dead letters. */
  readonly onFunctionError?: "retry" | "deadLetter";
  /** How long a call waits for the function, ms; default 60 s. Only of "requestResponse". */
  readonly timeout?: Duration;
}

const defaultTimeoutMs = 60_000;
const rowsPerEventMax = 10_000;

/**
 * Calls a function with `{"messages":[{"id":…,"value":…},…]}`, rows of a commit in their order. It may answer
 * `{"batchItemFailures":[{"itemIdentifier":id},…]}`: then only these are given again. At least once: rows of a commit whose effects were not
 * seen to finish are given again, with the same ids. Throws `invalid` for options that cannot be.
 */
export function lambdaSink<T>(options: LambdaSinkOptions<T>): Sink<T> {
  const { function: name, invocation = "requestResponse", rowsPerEvent = 100, id: idOf } = options;
  const { onFunctionError = "retry", timeout = defaultTimeoutMs } = options;
  if (name === "") throw new MillraceError("invalid", "a Lambda sink needs the name of a function");
  if (invocation !== "requestResponse" && invocation !== "event")
    throw new MillraceError("invalid", `invocation is "requestResponse" or "event": ${String(invocation)}`);
  if (onFunctionError !== "retry" && onFunctionError !== "deadLetter")
    throw new MillraceError("invalid", `onFunctionError is "retry" or "deadLetter": ${String(onFunctionError)}`);
  if (!(Number.isInteger(rowsPerEvent) && rowsPerEvent >= 1 && rowsPerEvent <= rowsPerEventMax))
    throw new MillraceError("invalid", `rowsPerEvent is a whole number from 1 to ${rowsPerEventMax}: ${rowsPerEvent}`);
  if (!(timeout > 0)) throw new MillraceError("invalid", `timeout is a positive length of time: ${timeout}`);
  const settings: LambdaSettings = { function: name, invocation, rowsPerEvent, onFunctionError, timeoutMs: timeout };
  const bytesMax = eventBytesMax[invocation];
  return {
    kind: "lambda",
    name,
    guarantee: "atLeastOnce",
    options: { ...settings },
    createWriter: () =>
      new MessageWriter((value) => {
        const body = encodeJsonLine(value).subarray(0, -1);
        checkSize(body.length + messageOverheadBytes, bytesMax, "an event of Lambda");
        return { body, id: idOf && checkId(idOf(value), "a message's id") };
      }),
  };
}
