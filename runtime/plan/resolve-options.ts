import { millis, minutes, seconds } from "../api/duration.ts";
import type { JobOptions } from "../api/graph.ts";
import { invalid } from "../api/invalid.ts";
import type { ResolvedJobOptions } from "./job-graph.ts";

/** Key groups are the top bits of a hash, and their number is stored with the state (Flink's upper bound of maxParallelism). */
export const keyGroupsMax = 32_768;

/** Fills in the defaults. Throws `invalid` for values that cannot be meant. */
export function resolveOptions(options: JobOptions): ResolvedJobOptions {
  const { checkpoints = {} } = options;
  const resolved: ResolvedJobOptions = {
    parallelism: options.parallelism ?? 1,
    keyGroups: options.keyGroups ?? keyGroupsMax,
    checkpointIntervalMs: checkpoints.interval ?? minutes(1),
    checkpointTimeoutMs: checkpoints.timeout ?? minutes(10),
    checkpointMinPauseMs: checkpoints.minPause ?? 0,
    checkpointsRetained: checkpoints.retained ?? 3,
    tolerableCheckpointFailures: checkpoints.tolerableFailures ?? Number.MAX_SAFE_INTEGER,
    onUserError: options.onUserError ?? "deadLetter",
    deadLettersPerMinuteMax: options.deadLetters?.perMinuteMax ?? Number.MAX_SAFE_INTEGER,
    watermarkStepMs: options.watermarkStep ?? seconds(1),
    watermarkIntervalMs: options.watermarkInterval ?? millis(200),
    mode: options.mode ?? "streaming",
    allowSkippedState: options.allowSkippedState ?? false,
    statePlacement: options.statePlacement ?? "cooling",
  };
  checkOptions(resolved);
  return resolved;
}

/** Throws `invalid` unless `parallelism` tasks can share `keyGroups` key groups. */
export function checkParallelism(parallelism: number, keyGroups: number, values: Readonly<Record<string, unknown>> = {}): void {
  if (Number.isInteger(parallelism) && parallelism >= 1 && parallelism <= keyGroups) return;
  throw invalid("parallelism must be a whole number from 1 to the number of key groups", { ...values, parallelism, keyGroups });
}

function checkOptions(options: ResolvedJobOptions): void {
  const { keyGroups } = options;
  if (!(Number.isInteger(Math.log2(keyGroups)) && keyGroups >= 1 && keyGroups <= keyGroupsMax))
    throw invalid(`keyGroups must be a power of two from 1 to ${keyGroupsMax}`, { keyGroups });
  checkParallelism(options.parallelism, keyGroups);
  if (options.mode !== "streaming" && options.mode !== "batch")
    throw invalid('a job\'s mode is "streaming" or "batch"', { mode: options.mode });
  atLeast(1, options, ["checkpointIntervalMs", "checkpointTimeoutMs", "checkpointsRetained", "watermarkStepMs"]);
  atLeast(0, options, ["checkpointMinPauseMs", "watermarkIntervalMs", "tolerableCheckpointFailures", "deadLettersPerMinuteMax"]);
}

type Count = { [P in keyof ResolvedJobOptions]: ResolvedJobOptions[P] extends number ? P : never }[keyof ResolvedJobOptions];

function atLeast(least: number, options: ResolvedJobOptions, names: readonly Count[]): void {
  for (const name of names)
    if (!(Number.isSafeInteger(options[name]) && options[name] >= least))
      throw invalid(`a job option must be a whole number, at least ${least}`, { option: name, value: options[name] });
}
