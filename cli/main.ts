#!/usr/bin/env node
/** `millrace`: the commands of program.ts. Answers go to standard output, what is said on the way to standard error. */
import { CommanderError } from "commander";
import { createProgram } from "./program.ts";
import { exitCodes, reportError } from "./report-error.ts";

async function main(args: readonly string[]): Promise<number> {
  const done = { code: exitCodes.done as number };
  try {
    await createProgram((code) => (done.code = code)).parseAsync([...args], { from: "user" });
    return done.code;
  } catch (error) {
    // Commander has said what is wrong, or what was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
    const json = args.includes("--json");
    return reportError(error, json ? (line) => console.log(line) : undefined, json);
  }
}

// Whoever reads may have seen enough: `millrace state export JOB | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(exitCodes.done);
});
process.exitCode = await main(process.argv.slice(2));
