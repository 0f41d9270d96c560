/** `npm start`: runs the page views job on this machine, on made-up events or on the user's own. */
import { describeEnd, runJob, type RunJobOptions, type RunReport } from "../../cli/run-job.ts";
import { exitCodes, reportError } from "../../cli/report-error.ts";
import { files, seconds, type Source } from "../../runtime/index.ts";
import { PageviewsFindings } from "./findings.ts";
import { pageViewFormat, recognizeFiles, recognizeStdin } from "./input-format.ts";
import { pageviews } from "./job.ts";
import { madeUpViews } from "./made-up-views.ts";
import { type Options, parseOptions, usage } from "./options.ts";
import type { PageView } from "./page-view.ts";
import { describeNext, describePlaces, describeResults } from "./summary.ts";

/** Runs the example; gives the exit code. `around`: for tests, as in `LocalRunOptions`. */
export async function main(args: readonly string[], extra: Pick<RunJobOptions, "around" | "store"> = {}): Promise<number> {
  try {
    const options = parseOptions(args);
    if (options === "help") console.log(usage);
    else await run(options, extra);
    return exitCodes.done;
  } catch (error) {
    return reportError(error);
  }
}

async function run(options: Options, extra: Pick<RunJobOptions, "around" | "store">): Promise<void> {
  const source = await sourceOf(options);
  const job = pageviews({
    source,
    bound: seconds(options.boundSeconds),
    parallelism: options.parallelism,
    checkpointInterval: seconds(options.checkpointSeconds),
  });
  const findings = new PageviewsFindings(options.output);
  for (const line of describePlaces(options, source)) console.log(line);
  const { recordsPerSecond, state, output, share } = options;
  const report = await runJob(job, { state, output, share, recordsPerSecond, stdin: process.stdin, findings, ...extra });
  for (const line of describeReport(report, options, findings)) console.log(line);
}

function describeReport(report: RunReport, options: Options, findings: PageviewsFindings): readonly string[] {
  const { outcome } = report;
  const head = outcome === "finishedBefore" ? `finished before: nothing is left to do for this input` : describeEnd(report);
  return [
    ...(outcome === "finishedBefore" ? [""] : []),
    head,
    "",
    ...describeResults(findings, options),
    "",
    ...describeNext(options, outcome),
  ];
}

async function sourceOf({ inputs, format, count }: Options): Promise<Source<PageView>> {
  if (inputs.length === 0) return madeUpViews(count);
  const recognized = format !== "auto" ? format : await recognize(inputs);
  return files({ paths: inputs, format: pageViewFormat(recognized) });
}

function recognize(inputs: readonly string[]) {
  const named = inputs.filter((path) => path !== "-");
  return named.length > 0 ? recognizeFiles(named) : recognizeStdin(process.stdin);
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
