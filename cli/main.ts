#!/usr/bin/env node
/** `millrace`: the commands of program.ts. Answers go to standard output, what is said on the way to standard error. */
import { CommanderError } from "commander";
import { createProgram } from "./program.ts";
import { exitCodes, reportError, UsageError } from "./report-error.ts";

async function main(args: readonly string[]): Promise<number> {
  const done = { code: exitCodes.done as number };
  const json = args.includes("--json");
  try {
    await createProgram((code) => (done.code = code)).parseAsync([...args], { from: "user" });
    return done.code;
  } catch (error) {
    const print = json ? (line: string) => console.log(line) : undefined;
    if (!(error instanceof CommanderError)) return reportError(error, print, json);
    // Commander has said what was asked for, or to people what is wrong.
    if (error.exitCode === 0) return exitCodes.done;
    if (json) reportError(new UsageError(error.message.replace(/^error: /, "")), print, json);
    return exitCodes.usage;
  }
}

// Whoever reads may have seen enough: `millrace state export JOB | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(exitCodes.done);
});
process.exitCode = await main(process.argv.slice(2));
