/** The command line of the example. */
import { availableParallelism } from "node:os";
import { basename, join, normalize } from "node:path";
import { parseArgs } from "node:util";
import { UsageError } from "../../cli/report-error.ts";
import { type FormatName, formatNames } from "./input-format.ts";

export interface Options {
  /** Empty: made-up views. */
  readonly inputs: readonly string[];
  readonly output: string;
  readonly state: string | "memory";
  readonly format: FormatName | "auto";
  readonly boundSeconds: number;
  readonly parallelism: number;
  readonly recordsPerSecond: number | undefined;
  readonly checkpointSeconds: number;
  readonly count: number;
  readonly share: boolean;
}

export const usage = `Page views per minute and page, and sessions per user, from access events.

  npm start                                       made-up events
  npm start -- --input FILE [--output DIR]        your own: NDJSON, CSV or an access log, also gzipped

Input
  --input FILE             a file of events; may be repeated; "-" is standard input
  --format FORMAT          ndjson, csv or access-log; default: told by the first line
                           NDJSON: {"user":"…","page":"/…","at":1431857103000 or "2015-05-17T10:05:03Z"}
                           CSV: a header line with the columns user, page, at
  --count N                how many events to make up (300000)
  --rate N                 read at most N events a second

Results
  --output DIR             where results go (results/<name of the input>)
  --bound SECONDS          how far an event may lie behind the latest one and still count (60)

Running
  --state DIR              where the job keeps its state (<output>/.millrace)
  --memory                 keep no state: a run that ends early cannot be gone on with
  --parallelism N          tasks for each keyed step (1)
  --checkpoint-interval S  seconds between checkpoints (2)
  --share                  run the job together with other processes started with --share
  --help

Ctrl-C stops with a checkpoint; the same command goes on from it.`;

/** "help" when that was asked for. Throws a usage error. */
export function parseOptions(args: readonly string[]): Options | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      input: { type: "string", multiple: true, default: [] },
      output: { type: "string" },
      state: { type: "string" },
      format: { type: "string", default: "auto" },
      bound: { type: "string", default: "60" },
      parallelism: { type: "string", default: "1" },
      rate: { type: "string" },
      "checkpoint-interval": { type: "string", default: "2" },
      count: { type: "string" },
      memory: { type: "boolean", default: false },
      share: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return "help";
  const inputs = values.input.map((path) => (path === "-" ? path : normalize(path)));
  if (values.count !== undefined && inputs.length > 0) throw new UsageError("--count is of made-up events: leave out --input");
  const count = wholeNumberOf("count", values.count ?? "300000", 1, 1e12);
  const output = values.output ?? join("results", nameOf(inputs, count));
  if (values.memory && values.state !== undefined) throw new UsageError("--memory keeps no state: leave out --state");
  if (values.memory && values.share) throw new UsageError("--share needs state that processes can share: leave out --memory");
  if (values.share && inputs.includes("-")) throw new UsageError("standard input belongs to one process: leave out --share");
  return {
    inputs,
    output,
    state: values.memory ? "memory" : (values.state ?? join(output, ".millrace")),
    format: formatOf(values.format),
    boundSeconds: numberOf("bound", values.bound, 0),
    parallelism: wholeNumberOf("parallelism", values.parallelism, 1, 64 * availableParallelism()),
    recordsPerSecond: values.rate === undefined ? undefined : numberOf("rate", values.rate, 1),
    checkpointSeconds: numberOf("checkpoint-interval", values["checkpoint-interval"], 0.1),
    count,
    share: values.share,
  };
}

function nameOf(inputs: readonly string[], count: number): string {
  if (inputs.length === 0) return `${count}-made-up`;
  const [first] = inputs as [string];
  const name = first === "-" ? "stdin" : basename(first);
  return inputs.length === 1 ? name : `${name}-and-${inputs.length - 1}-more`;
}

function formatOf(text: string): FormatName | "auto" {
  if (text === "auto" || (formatNames as readonly string[]).includes(text)) return text as FormatName | "auto";
  throw new UsageError(`--format is one of auto, ${formatNames.join(", ")}: ${text}`);
}

function numberOf(option: string, text: string, least: number): number {
  const n = text.trim() === "" ? NaN : Number(text);
  if (Number.isFinite(n) && n >= least) return n;
  throw new UsageError(`--${option} is a number, at least ${least}: ${text}`);
}

function wholeNumberOf(option: string, text: string, least: number, most: number): number {
  const n = numberOf(option, text, least);
  if (Number.isSafeInteger(n) && n <= most) return n;
  throw new UsageError(`--${option} is a whole number from ${least} to ${most}: ${text}`);
}
