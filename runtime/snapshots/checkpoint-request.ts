/** What the coordinator asks of a task that reads sources: a message in its mailbox, whose version is the checkpoint's number. */
import { decodeValue, encodeValue } from "../base/message-pack.ts";
import * as is from "../base/shape.ts";

export interface CheckpointRequest {
  readonly savepoint: boolean;
  /** The job ends with it, or pauses: behind its barrier the task rests until a later checkpoint is asked for. */
  readonly stop: boolean;
}

const requestShape = is.object({ savepoint: is.flag, stop: is.flag });

export function encodeRequest(request: CheckpointRequest): Uint8Array {
  return encodeValue(request);
}

/** Throws `corrupt`. */
export function decodeRequest(bytes: Uint8Array): CheckpointRequest {
  const request = decodeValue(bytes);
  is.checkShape("a request", request, requestShape);
  return request as CheckpointRequest;
}
