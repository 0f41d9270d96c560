/** Calls that AWS asks to make later are made again, within the invocation's budget. */
import { backOff, type Pace } from "../../connectors/pace.ts";
import { isThrottled } from "./aws-error.ts";

export { backOff, type Pace };

/** Makes a call, and makes it again as long as AWS asks to slow down. Throws what the call throws. */
export async function untilAdmitted<T>(pace: Pace, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (!isThrottled(error) || !(await backOff(pace, attempt))) throw error;
    }
  }
}
