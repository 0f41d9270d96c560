/** How the tasks of a stage are dealt out to cells: a function and an inbox stream each. Pure. */
import type { StagePlan } from "../runtime/plan/job-graph.ts";

/** As few as leave no cell with more than `tasksPerCell`, and each with as many tasks as the others. */
export function cellsOf({ parallelism }: Pick<StagePlan, "parallelism">, tasksPerCell: number): number {
  if (parallelism === "shards") return 1;
  for (let cells = Math.ceil(parallelism / tasksPerCell); ; cells++) if (parallelism % cells === 0) return cells;
}
