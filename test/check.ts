/**
 * Types, lint and format, side by side: each takes one core, and none needs another's answer.
 *
 *     npm run check
 *
 * What one says is printed as a whole when it has ended. Exit code 1: one of them found something.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";

const bin = join(import.meta.dirname, "../node_modules/.bin");
const checks: readonly (readonly [name: string, ...args: readonly string[]])[] = [
  ["eslint", ".", "--max-warnings", "0"],
  ["tsc", "-p", "."],
  ["prettier", "--check", "--log-level", "warn", "."],
];

const env = { ...process.env, ...(process.stdout.isTTY && { FORCE_COLOR: "1" }) };

function passes([name, ...args]: (typeof checks)[number]): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(join(bin, name), args, { maxBuffer: 1 << 26, env }, (error, stdout, stderr) => {
      process.stdout.write(stdout);
      process.stderr.write(stderr);
      if (typeof error?.code === "number") process.stderr.write(`${name} found what is to be mended\n`);
      else if (error !== null) process.stderr.write(`${name} could not be run: ${error.message}\n`);
      resolve(error === null);
    });
  });
}

const results = await Promise.all(checks.map(passes));
process.exitCode = results.every(Boolean) ? 0 : 1;
