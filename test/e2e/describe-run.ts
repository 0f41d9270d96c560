/** A report in words. */
import { costOf, describeUnits, type Figures } from "./figures.ts";
import type { Phase, RunReport } from "./run-scenario.ts";

export function describeRun({ failures, records, lines, trouble, phases, restored, tookMs }: RunReport): readonly string[] {
  const { kills, coordinatorKills, throttles, drops } = trouble;
  return [
    `${records} records in ${(tookMs / 1000).toFixed(1)} s; ${kills} kills, ${coordinatorKills} of them of the coordinator; ${throttles} calls refused, ${drops} cut`,
    `outputs: ${Object.entries(lines)
      .map(([name, count]) => `${name} ${count}`)
      .join(", ")}`,
    ...phases.flatMap(describePhase),
    `restored to the same: ${restored.join(", ") || "nothing was restored"}`,
    ...failures.map((failure) => `RED ${failure}`),
    ...(failures.length === 0 ? ["green: every output equals the script's"] : []),
  ];
}

function describePhase({ name, figures, lengthMs }: Phase): readonly string[] {
  const { invocations, failures, coldStarts, duplicates } = figures;
  const commits = figures.count("Commits");
  const units = figures.units;
  return [
    `${name}, ${(lengthMs / 1000).toFixed(1)} s: ${figures.count("Records")} records in ${commits} commits; ${invocations} invocations, ${coldStarts} cold, ${failures} failed, ${duplicates} deliveries repeated`,
    `  ${describeRepetition(figures)}; late and dropped ${figures.count("LateDropped")}, dead letters ${figures.count("DeadLetters")}`,
    `  ${describeUnits(units)}: USD ${costOf(units).toFixed(6)}`,
  ];
}

export function describeRepetition(figures: Figures): string {
  const commits = figures.count("Commits");
  const repeated = figures.count("EffectsRepeated");
  const each = commits === 0 ? "" : ` (${(repeated / commits).toFixed(2)} a commit)`;
  return `effects repeated ${repeated}${each}, batches rerun ${figures.count("BatchesRerun")}, races lost ${figures.count("RacesLost")}`;
}
