/**
 * A plan as text for a terminal: one block per stage, its operators as trees, its exchanges as arrows out of it.
 */
import { explainJson, type ExplainedJob, type ExplainedStage } from "./explain-json.ts";
import { treeRows, type TreeRow } from "./explain-tree.ts";
import { formatMs } from "./units.ts";
import type { JobGraph } from "./job-graph.ts";

/** The plan as lines of text, without a newline at the end. */
export function explain(graph: JobGraph): string {
  const job = explainJson(graph);
  const blocks = job.stages.map((stage) => ({ stage, rows: treeRows(stage.operators) }));
  const align = aligner(blocks.flatMap(({ rows }) => rows));
  const stages = blocks.map(({ stage, rows }) => [stageHeader(stage, job), ...rows.map((row) => `│  ${align(row)}`)]);
  return [header(job), ...stages].map((lines) => lines.join("\n")).join("\n\n");
}

function header({ job, fingerprint, options, parameters, stages, exchanges }: ExplainedJob): readonly string[] {
  const batch = options.mode === "batch";
  const checkpoints = batch
    ? "batch mode: each key's input is sorted by timestamp, no checkpoints"
    : `checkpoints every ${formatMs(options.checkpointIntervalMs)}, ${options.checkpointsRetained} retained`;
  const set = Object.entries(parameters).map(([name, value]) => `${name} = ${value}`);
  return [
    `Job ${job}: ${countOf(stages.length, "stage")}, ${countOf(exchanges.length, "exchange")}`,
    `parallelism ${options.parallelism} · ${grouped(options.keyGroups)} key groups · ${checkpoints}`,
    options.onUserError === "fail"
      ? "a throwing handler stops the job"
      : "a throwing handler sends its record to the dead letters",
    ...(set.length > 0 ? [`parameters ${set.join(" · ")}`] : []),
    `fingerprint ${fingerprint}`,
  ];
}

function stageHeader({ id, kind, tasks }: ExplainedStage, { exchanges }: ExplainedJob): string {
  const run = { single: "the whole job in one task", source: "one task per source shard", keyed: countOf(Number(tasks), "task") };
  const feeders = new Set(exchanges.filter(({ toStage }) => toStage === id).map(({ fromStage }) => fromStage));
  const fedBy = feeders.size > 0 ? [`fed by ${[...feeders].join(", ")}`] : [];
  return [`┌─ Stage ${id}`, run[kind], ...fedBy].join(" · ");
}

/** Puts rows in columns as wide as the widest of `rows`. */
function aligner(rows: readonly TreeRow[]): (row: TreeRow) => string {
  const widthOf = (column: "tree" | "kind") => Math.max(0, ...rows.map((row) => row[column].length));
  const [treeWidth, kindWidth] = [widthOf("tree"), widthOf("kind")];
  return ({ tree, kind, words }) => `${tree.padEnd(treeWidth)}  ${kind.padEnd(kindWidth)}  ${words}`.trimEnd();
}

/** 32,768 */
function grouped(n: number): string {
  return `${n}`.replace(/\B(?=(\d{3})+$)/g, ",");
}

function countOf(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
