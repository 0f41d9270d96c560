/** What a command answers with: the same for people and for programs. */
import { exitCodes } from "./report-error.ts";

export interface Answer {
  /** With `--json`, printed as one document; undefined: nothing is. */
  readonly json: unknown;
  /** Without. */
  readonly lines: readonly string[];
  /** Default: done. */
  readonly code?: number;
}

/** Prints the answer to standard output and gives the exit code. */
export function printAnswer({ json, lines, code = exitCodes.done }: Answer, asJson: boolean): number {
  if (asJson && json !== undefined) process.stdout.write(`${JSON.stringify(json, plain, 2)}\n`);
  else if (!asJson) for (const line of lines) process.stdout.write(`${line}\n`);
  return code;
}

/** What JSON has no form for, as the text that people would read. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  return value;
}
