#!/usr/bin/env node
/** `millrace run job.ts` and `millrace explain job.ts`: a job module on this machine; `millrace emulate`: a cloud on it. */
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { defaultDirectory } from "../runtime/adapters/local/open-local.ts";
import { withEnvironment } from "../runtime/api/environment-parameters.ts";
import type { Job } from "../runtime/api/job.ts";
import { MillraceError, messageOf } from "../runtime/base/errors.ts";
import { parseBindings } from "../runtime/connectors/bindings.ts";
import { explain } from "../runtime/plan/explain.ts";
import { planJob } from "../runtime/plan/plan-job.ts";
import { exitCodes, reportError, UsageError } from "./report-error.ts";
import { describeEnd, runJob } from "./run-job.ts";

const usage = `millrace run JOB      runs the job that the module exports by default
millrace explain JOB  prints its plan
millrace emulate CLOUD
                      runs an emulated cloud, of a topology (JSON) or of what cdk synth wrote (cdk.out):
                      Kinesis, DynamoDB, S3, and Lambda functions in processes of their own

  --bind NAME=PATH   a file for a source, a directory for a sink, by uid or name; may be repeated
  --param NAME=VALUE a parameter of the job; may be repeated. Else MILLRACE_PARAM_<NAME> of the
                     environment: in capitals, with _ for what is no letter or digit
  --output DIR       what relative paths of sinks are relative to (.)
  --state DIR        where the job keeps its state (.millrace/<job>)
  --batch            batch mode: bounded input, sorted by key, one key's state at a time
  --memory           keep no state
  --rate N           read at most N records a second
  --allow-skipped-state
                     go on without the state of operators and states that the job no longer has
  --share            run the job together with other processes started with --share

Ctrl-C stops with a checkpoint; the same command goes on from it.

Of emulate:
  --stack NAME       of cdk.out, a stack and those that it depends on; may be repeated
  --state DIR        where the cloud keeps its data; without it all is in memory
  --port N           the first of four ports, for Kinesis, DynamoDB, S3 and Lambda (4600); 0 takes free ones`;

const defaultPort = "4600";

async function main(args: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        bind: { type: "string", multiple: true, default: [] },
        param: { type: "string", multiple: true, default: [] },
        output: { type: "string", default: "." },
        state: { type: "string" },
        batch: { type: "boolean", default: false },
        memory: { type: "boolean", default: false },
        rate: { type: "string" },
        port: { type: "string" },
        stack: { type: "string", multiple: true, default: [] },
        share: { type: "boolean", default: false },
        "allow-skipped-state": { type: "boolean" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    const [command, module, ...more] = positionals;
    if (values.help) console.log(usage);
    else if (module === undefined || more.length > 0) throw new UsageError("name a command and one module or file");
    else if (command === "explain") console.log(explain(planJob(await loadJob(module, values))));
    else if (command === "run") await run(await loadJob(module, values), values);
    else if (command === "emulate") await runCloud(module, values);
    else throw new UsageError(`no such command: ${command}`);
    return exitCodes.done;
  } catch (error) {
    return reportError(error);
  }
}

interface RunValues {
  readonly bind: string[];
  readonly output: string;
  readonly state?: string;
  readonly memory: boolean;
  readonly rate?: string;
  readonly share: boolean;
  readonly "allow-skipped-state"?: boolean;
}

async function run(job: Job, values: RunValues): Promise<void> {
  const { bind, output, state, memory, rate, share } = values;
  if (rate !== undefined && !(Number(rate) >= 1)) throw new UsageError(`--rate is a number, at least 1: ${rate}`);
  const report = await runJob(job, {
    state: memory ? "memory" : (state ?? join(defaultDirectory, job.name)),
    output,
    bindings: parseBindings(bind),
    share,
    allowSkippedState: values["allow-skipped-state"],
    recordsPerSecond: rate === undefined ? undefined : Number(rate),
    stdin: process.stdin,
    // Rows that a job prints go to standard output, what is said about it to standard error.
    terminal: process.stderr,
  });
  console.error(report.outcome === "finishedBefore" ? "finished before: nothing is left to do" : describeEnd(report));
}

/** What emulates a cloud is loaded for this command alone. */
async function runCloud(
  path: string,
  { state, stack, port = defaultPort }: { state?: string; stack: readonly string[]; port?: string },
): Promise<void> {
  if (!/^\d+$/.test(port) || Number(port) > 65_532) throw new UsageError(`--port is a number, at most 65532: ${port}`);
  const { emulate } = await import("./emulate.ts");
  // Lines of functions go to standard output, what is said about the cloud to standard error.
  await emulate(path, { stacks: stack, state, port: Number(port), output: process.stdout, terminal: process.stderr });
}

async function loadJob(path: string, { param: parameters, batch }: { param: readonly string[]; batch: boolean }): Promise<Job> {
  let module: { default?: unknown };
  try {
    module = (await import(pathToFileURL(resolve(path)).href)) as { default?: unknown };
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    throw new MillraceError("invalid", `the job module cannot be loaded: ${path}: ${messageOf(error)}`, { cause: error });
  }
  const job = module.default as Partial<Job> | undefined;
  if (typeof job?.withParameters !== "function")
    throw new MillraceError("invalid", `the module must export a job by default, made by defineJob: ${path}`);
  const values = parameters.map((text) => [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1)] as const);
  if (parameters.some((text) => text.indexOf("=") < 1)) throw new UsageError("a parameter is written name=value");
  const given = withEnvironment(job as Job, process.env, Object.fromEntries(values));
  return batch ? { ...given, options: { ...given.options, mode: "batch" } } : given;
}

process.exitCode = await main(process.argv.slice(2));
