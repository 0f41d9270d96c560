/**
 * Who follows an order in a cloud is an invocation of the coordinator, which may die in it, and the job then stands still. Whoever invoked it
 * is told at once: so the order is given again, and takes the turn of the one that died.
 */
import { isKind } from "../../runtime/base/errors.ts";
import type { Clock } from "../../runtime/ports/clock.ts";

/** Behind an invocation that has ended before the order came about. */
const againMs = 6_000;
const retryMsMin = 50;

/** How often in a row an invocation may fail, for an order that is not taken or a question, before that is told. */
export const failuresMax = 5;

/** How long to wait behind so many invocations in a row that failed. */
export function retryMs(failures: number): number {
  return Math.min(againMs, retryMsMin * 2 ** failures);
}

/**
 * Has an invocation at an order until `ended`: `give` gives it, and returns when the invocation is over. Throws what says that the order is
 * refused, and `unavailable` when it is not taken at several tries.
 */
export async function attend(
  give: () => Promise<unknown>,
  clock: Clock,
  ended: AbortSignal,
  isTaken: () => boolean,
): Promise<void> {
  let failures = 0;
  while (!ended.aborted) {
    try {
      await give();
      failures = 0;
    } catch (error) {
      failures++;
      if (!isKind(error, "unavailable") || (failures === failuresMax && !isTaken())) throw error;
    }
    await clock.sleep(failures === 0 ? againMs : retryMs(failures), ended);
  }
}
