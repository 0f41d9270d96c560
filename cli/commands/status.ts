/** `millrace status`: how a job stands, and what can be done next. */
import { fields, table } from "../layout.ts";
import { type JobStatus, numberOf, readStatus } from "../job-status.ts";
import type { Target } from "../target/target.ts";
import { duration, grouped, moment, plural } from "../words.ts";
import type { Answer } from "../answer.ts";

export async function status(target: Target): Promise<Answer> {
  const found = await readStatus(target);
  return { json: found, lines: describeStatus(found, target.ports.clock.now(), target.words) };
}

export function describeStatus(status: JobStatus, now: number, words: string): readonly string[] {
  const { totals, checkpoint, pending, savepoint } = status;
  const ago = (at: number | undefined) => (at === undefined ? "" : `, ${duration(Math.max(0, now - at))} ago`);
  return [
    ...fields([
      ["job", status.job],
      ["at", status.place],
      ["phase", phaseOf(status)],
      ["why", status.reason],
      ["run by", status.runner ?? "nobody"],
      ["generation", `${status.generation}, ${originOf(status)}${ago(status.since)}`],
      ["deployment", String(status.deployment)],
      ["checkpoint", checkpoint === undefined ? "none yet" : `${checkpoint.number}${ago(checkpoint.at)}`],
      ["under way", pending && `${pending.savepoint ? "savepoint" : "checkpoint"} ${pending.number}${ago(pending.since)}`],
      ["failed", status.failures === 0 ? undefined : `${plural(status.failures, "checkpoint")} in a row`],
      ["savepoint", savepoint && String(numberOf(savepoint))],
      ["events", grouped(totals.records)],
      ["dead letters", grouped(totals.deadLetters)],
      ["dropped as late", grouped(totals.lateDropped)],
    ]),
    ...below(
      table(
        ["source", "shard", "position", "watermark"],
        status.sources.map(({ source, shard, position, watermark }) => [source, shard, position, moment(watermark ?? -Infinity)]),
      ),
    ),
    ...below(
      table(
        ["task", "is", "commits", "records", "dead letters", "late"],
        status.tasks.map(({ task, state, seq, records, deadLetters, lateDropped }) => [
          task,
          state,
          grouped(seq),
          grouped(records),
          grouped(deadLetters),
          grouped(lateDropped),
        ]),
        [2, 3, 4, 5],
      ),
    ),
    ...below(nextOf(status, words)),
  ];
}

/** After a blank line, unless there is nothing. */
function below(lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : ["", ...lines];
}

function phaseOf({ phase, finished, runner }: JobStatus): string {
  if (finished) return "finished: nothing is left to do";
  return runner === undefined && phase !== "stopped" && phase !== "paused" ? `${phase}, as it was left` : phase;
}

function originOf({ from }: JobStatus): string {
  return from === undefined ? "from nothing" : `from checkpoint ${numberOf(from)}`;
}

function nextOf({ phase, finished, runner, totals }: JobStatus, words: string): readonly string[] {
  const next: string[] = [];
  const local = words.startsWith("--state");
  if (phase === "paused") next.push(`go on:    millrace resume ${words}`);
  if (phase === "stopped") next.push(`go on:    millrace start ${local ? `JOB ${words}` : words}`);
  if (runner === undefined && phase !== "stopped" && !finished) next.push(`run it:   millrace run JOB ${words}`);
  if (totals.deadLetters > 0) next.push(`look at:  millrace deadletters list ${words}`);
  return next;
}
