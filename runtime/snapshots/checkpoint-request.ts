/** What the coordinator asks of a task that reads sources: a message in its mailbox, whose version is the checkpoint's number. */
import { decodeValue, encodeValue } from "../base/message-pack.ts";

export interface CheckpointRequest {
  readonly savepoint: boolean;
  /** The job ends with it: behind its barrier the task takes nothing in until a later checkpoint is asked for. */
  readonly stop: boolean;
}

export function encodeRequest(request: CheckpointRequest): Uint8Array {
  return encodeValue(request);
}

export function decodeRequest(bytes: Uint8Array): CheckpointRequest {
  return decodeValue(bytes) as CheckpointRequest;
}
