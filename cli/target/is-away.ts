import { coordinatorVariable } from "./open-target.ts";

/**
 * Whether a command that may need the job's code here is about one that is deployed: its coordinator is named, or by the environment alone
 * where nothing on this machine is.
 */
export function isAway(
  path: string | undefined,
  { coordinator, state }: { readonly coordinator?: string; readonly state?: string },
): boolean {
  return (
    coordinator !== undefined || (state === undefined && path === undefined && process.env[coordinatorVariable] !== undefined)
  );
}
