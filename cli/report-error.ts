/** Tells the user what went wrong, in one line that says what to do. A stack is for our own mistakes, and only when asked for. */
import { MillraceError, messageOf } from "../runtime/base/errors.ts";

/** Exit codes: what a shell sees. */
export const exitCodes = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** Wrong arguments: the message says which, the usage how it is done. */
export class UsageError extends Error {}

/** Prints `error: …` and gives the exit code. */
export function reportError(error: unknown, print: (line: string) => void = (line) => console.error(line)): number {
  const usage = error instanceof UsageError || isArgumentError(error);
  print(`error: ${messageOf(error)}`);
  if (usage) print("see --help");
  else if (!(error instanceof MillraceError) || error.kind === "internal")
    print("this should not happen; MILLRACE_DEBUG=1 shows where");
  if (process.env.MILLRACE_DEBUG && error instanceof Error) print(String(error.stack));
  return usage ? exitCodes.usage : exitCodes.failed;
}

/** Of `parseArgs` in node:util. */
function isArgumentError(error: unknown): boolean {
  return String((error as { code?: unknown } | undefined)?.code).startsWith("ERR_PARSE_ARGS");
}
