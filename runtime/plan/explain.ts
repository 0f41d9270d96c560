/**
 * A plan as text for a terminal: one block per stage, its operators as a tree, its exchanges as arrows out of it.
 */
import {
  explainJson,
  type ExplainedEdge,
  type ExplainedJob,
  type ExplainedOperator,
  type ExplainedStage,
} from "./explain-json.ts";
import { describeOperator, describePartitioning, formatMs } from "./explain-words.ts";
import type { JobGraph } from "./job-graph.ts";

/** A line of the tree: what stands in each column. */
interface Row {
  readonly tree: string;
  readonly kind: string;
  readonly words: string;
}

/** The plan as lines of text, without a newline at the end. */
export function explain(graph: JobGraph): string {
  const job = explainJson(graph);
  const blocks = job.stages.map((stage) => ({ stage, rows: stageRows(stage) }));
  const rows = blocks.flatMap((block) => block.rows);
  const widths = { tree: widest(rows.map(({ tree }) => tree)), kind: widest(rows.map(({ kind }) => kind)) };
  const stages = blocks.map((block) => [stageHeader(block.stage, job), ...block.rows.map((row) => `│  ${line(row, widths)}`)]);
  return [header(job), ...stages].map((lines) => lines.join("\n")).join("\n\n");
}

function header({ job, fingerprint, options, parameters, stages, exchanges }: ExplainedJob): string[] {
  const counts = `${countOf(stages.length, "stage")}, ${countOf(exchanges.length, "exchange")}`;
  const checkpoints = `checkpoints every ${formatMs(options.checkpointIntervalMs)}, ${options.checkpointsRetained} retained`;
  const errors =
    options.onUserError === "fail"
      ? "a throwing handler stops the job"
      : "a throwing handler sends its record to the dead letters";
  const set = Object.entries(parameters).map(([name, value]) => `${name} = ${value}`);
  return [
    `Job ${job}: ${counts}`,
    `parallelism ${options.parallelism} · ${grouped(options.keyGroups)} key groups · ${checkpoints}`,
    errors,
    ...(set.length > 0 ? [`parameters ${set.join(" · ")}`] : []),
    `fingerprint ${fingerprint}`,
  ];
}

function stageHeader({ id, kind, tasks, operators }: ExplainedStage, { exchanges }: ExplainedJob): string {
  const where = {
    single: "the whole job in one task",
    source: "one task per source shard",
    keyed: countOf(Number(tasks), "task"),
  }[kind];
  const uids = new Set(operators.map(({ uid }) => uid));
  const feeders = exchanges.filter(({ to }) => uids.has(to)).map(({ fromStage }) => fromStage);
  const fedBy = feeders.length > 0 ? ` · fed by ${[...new Set(feeders)].join(", ")}` : "";
  return `┌─ Stage ${id} · ${where}${fedBy}`;
}

/** The operators of a stage as trees, each below the first operator that feeds it without an exchange. */
function stageRows({ operators }: ExplainedStage): readonly Row[] {
  const parentOf = new Map<string, string>();
  for (const { uid, outputs } of operators)
    for (const { to, exchange } of outputs) if (exchange === null && !parentOf.has(to)) parentOf.set(to, uid);
  const byUid = new Map(operators.map((operator) => [operator.uid, operator]));
  const shown = new Set<string>();

  const below = (edge: ExplainedEdge, from: string, indent: string, last: boolean): readonly Row[] => {
    const [branch, next] = last ? ["└", `${indent}   `] : ["├", `${indent}│  `];
    const tag = edge.tag === null ? "" : `side output ${edge.tag}`;
    if (edge.exchange !== null) {
      const words = [`exchange ${edge.exchange}`, describePartitioning(edge.partitioning), tag].filter(Boolean).join(", ");
      return [{ tree: `${indent}${branch}─▶ ${edge.to}`, kind: "", words }];
    }
    const child = byUid.get(edge.to);
    if (!child || parentOf.get(edge.to) !== from || shown.has(edge.to))
      return [
        {
          tree: `${indent}${branch}── ${edge.to}`,
          kind: "",
          words: [shown.has(edge.to) ? "as above" : "as below", tag].filter(Boolean).join(", "),
        },
      ];
    return tree(child, `${indent}${branch}── `, next, [tag, describePartitioning(edge.partitioning)]);
  };
  const tree = (operator: ExplainedOperator, lead: string, indent: string, notes: readonly string[]): readonly Row[] => {
    shown.add(operator.uid);
    const { words, more } = describeOperator(operator);
    const { outputs } = operator;
    const trunk = outputs.length > 0 ? `${indent}│` : indent;
    return [
      { tree: `${lead}${operator.uid}`, kind: operator.kind, words: [words, ...notes].filter(Boolean).join(" · ") },
      ...more.map((text) => ({ tree: trunk, kind: "", words: text })),
      ...outputs.flatMap((edge, i) => below(edge, operator.uid, indent, i === outputs.length - 1)),
    ];
  };
  return operators.filter(({ uid }) => !parentOf.has(uid)).flatMap((root) => tree(root, "", "", []));
}

function line({ tree, kind, words }: Row, widths: { readonly tree: number; readonly kind: number }): string {
  return `${tree.padEnd(widths.tree)}  ${kind.padEnd(widths.kind)}  ${words}`.trimEnd();
}

function widest(texts: readonly string[]): number {
  return Math.max(0, ...texts.map((text) => text.length));
}

/** 32,768 */
function grouped(n: number): string {
  return `${n}`.replace(/\B(?=(\d{3})+$)/g, ",");
}

function countOf(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
