/** What channels to AWS share: how the answer to a batch, or its failure, tells of each message. */
import { delivered, type Delivery } from "../../connectors/messages/message-target.ts";
import type { OutgoingMessage } from "../../connectors/messages/message.ts";
import { awsError, codeError, isThrottled } from "./aws-error.ts";

/** What a service says of an entry that it did not take. */
export interface EntryFailure {
  readonly code: string;
  readonly message: string;
  /** It will not be taken however often: the sender's fault. */
  readonly isFinal: boolean;
}

/**
 * What became of an entry. Throws `invalid` for what someone has to put right, such as a permission: no message is at fault then.
 */
export function deliveryOf(failure: EntryFailure | undefined, what: string): Delivery {
  if (failure === undefined) return delivered;
  const { code, message, isFinal } = failure;
  const known = codeError(code, message, what);
  if (known?.kind === "invalid") throw known;
  const reason = `${code}${message === "" ? "" : `: ${message}`}`;
  return isFinal && known === undefined ? { outcome: "refused", reason } : { outcome: "again", reason: code };
}

/** Makes a request. When the service asks to slow down, all are to be sent again; other failures are thrown. */
export async function sendBatch(
  messages: readonly OutgoingMessage[],
  what: string,
  request: () => Promise<readonly Delivery[]>,
): Promise<readonly Delivery[]> {
  try {
    return await request();
  } catch (error) {
    if (!isThrottled(error)) throw awsError(error, what);
    return messages.map(() => ({ outcome: "again", reason: "throttled" }));
  }
}
