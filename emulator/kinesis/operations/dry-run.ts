/** DryRun: the call is checked but not carried out, which Kinesis says by an exception. */
import type { Input } from "../input.ts";
import { KinesisError } from "../kinesis-error.ts";

/** Throws DryRunOperationException where a call asks for no more than its checks. */
export function checkDryRun(input: Input): void {
  if (input.flag("DryRun")) {
    throw new KinesisError("DryRunOperationException", "Request would have succeeded, but DryRun flag is set.");
  }
}
