/** Runs a job in a terminal: says where it begins, shows how it goes, stops on Ctrl-C, says how it ended. */
import type { Readable } from "node:stream";
import type { Job } from "../runtime/api/job.ts";
import { LocalRun, type LocalRunOptions, type RunProgress } from "./local-run.ts";
import { type DisplayOptions, RunDisplay } from "./run-display.ts";
import { onStopSignals } from "./stop-signals.ts";
import type { Standing } from "./standing.ts";
import { duration, grouped, plural } from "./words.ts";

export interface RunJobOptions extends Omit<LocalRunOptions, "events" | "stdin" | "console"> {
  readonly stdin?: Readable;
  /** Where everything is printed; default standard output. */
  readonly terminal?: DisplayOptions["output"];
  /** What the job found so far: asked for while it runs. */
  readonly findings?: Findings;
}

export interface Findings {
  /** Brings the findings up to date; called after each checkpoint and at the end. */
  refresh(): Promise<void>;
  lines(): readonly string[];
  counts(): readonly (readonly [label: string, n: number])[];
}

/** How a run went. */
export interface RunReport {
  readonly outcome: "finished" | "stopped" | "finishedBefore";
  readonly progress: RunProgress;
  /** Events taken in by this run, and the time it took; `progress` has the totals of all runs. */
  readonly events: number;
  readonly tookMs: number;
}

/** Throws what `LocalRun.open` and `LocalRun.run` throw. */
export async function runJob(job: Job, options: RunJobOptions): Promise<RunReport> {
  const { terminal = process.stdout, findings } = options;
  const print = (line: string) => terminal.write(`${line}\n`);
  const stop = new AbortController();
  let display: RunDisplay | undefined;
  const refresh = refresher(findings);
  const takeOff = onStopSignals(() => {
    stop.abort();
    display?.note("stopping: taking a last checkpoint (Ctrl-C again: at once)");
  });
  const run = await LocalRun.open(job, {
    ...options,
    events: {
      checkpoint: () => refresh.soon(),
      retry: (error, delayMs) => display?.note(`waiting: ${error.message}; trying again in ${duration(delayMs)}`),
      warning: (message) => display?.note(`warning: ${message}`),
    },
  });
  try {
    for (const line of describeStart(run)) print(line);
    const before = run.standing.totals.records;
    const startedAt = performance.now();
    if (!run.finishedBefore) {
      display = new RunDisplay({
        output: terminal,
        title: `millrace · ${job.name}`,
        progress: () => run.progress(),
        ...(findings && { findings: () => findings.lines(), counts: () => findings.counts() }),
      });
    }
    const outcome = await run.run(stop.signal);
    const tookMs = performance.now() - startedAt;
    display?.stop();
    await refresh.now();
    const progress = run.progress();
    const events = progress.totals.records - before;
    return { outcome: run.finishedBefore ? "finishedBefore" : outcome, progress, events, tookMs };
  } finally {
    display?.stop();
    takeOff();
    await run.close();
  }
}

/** Where a run begins: always printed, so that every restart says from where it goes on. */
function describeStart({ standing, finishedBefore }: LocalRun): readonly string[] {
  if (finishedBefore) return [];
  const { generation, checkpoint, totals, shards } = standing;
  const fresh = totals.records === 0 && checkpoint === 0;
  const from = [`generation ${generation}`, checkpoint === 0 ? "no checkpoint" : `checkpoint ${checkpoint}`];
  const head = fresh ? "begins" : "goes on from";
  return [`${head}: ${from.join(", ")}, ${plural(totals.records, "event")} so far`, ...shards.map(describeShard), ""];
}

function describeShard({ source, shard, position }: Standing["shards"][number]): string {
  return `  ${source}  ${shard}  at ${/^\d+$/.test(position) ? `position ${position}` : `its ${position}`}`;
}

/** One line on how the run went. */
export function describeEnd({ outcome, progress, events, tookMs }: RunReport): string {
  const rate = `${grouped((events * 1000) / Math.max(1, tookMs))}/s`;
  const all = progress.totals.records > events ? `, ${grouped(progress.totals.records)} in all` : "";
  const did = `${plural(events, "event")} in ${duration(tookMs)} (${rate})${all}`;
  if (outcome === "finished") return `finished: ${did}`;
  return `stopped at checkpoint ${progress.checkpoint}: ${did}`;
}

/** Brings findings up to date, one reading after the other. */
function refresher(findings: Findings | undefined) {
  let reading: Promise<void> = Promise.resolve();
  let waiting = false;
  const read = async () => {
    waiting = false;
    await findings?.refresh();
  };
  const soon = () => {
    if (waiting) return;
    waiting = true;
    // What cannot be read now is read at the end, where an error counts.
    reading = reading.then(read).catch(() => undefined);
  };
  const now = async () => {
    await reading;
    await read();
  };
  return { soon, now };
}
