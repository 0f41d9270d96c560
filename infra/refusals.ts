/** Settings of mappings, and of streams, under which records could be lost or taken in twice: each with the reason. Pure. */

import type { Bell } from "./connector.ts";

type Properties = Readonly<Record<string, unknown>>;
type Kind = Bell["kind"];

interface Refusal {
  /** Of mappings of these alone; default: of all. */
  readonly of?: readonly Kind[];
  readonly holds: (properties: Properties) => boolean;
  readonly reason: string;
}

const mappingRefusals: readonly Refusal[] = [
  {
    of: ["stream", "table", "kafka"],
    holds: ({ StartingPosition: start }) => start !== "TRIM_HORIZON" && start !== "AT_TIMESTAMP",
    reason:
      "a mapping starts at TRIM_HORIZON or AT_TIMESTAMP: at LATEST, records that arrive while it is created or changed are lost; say where the job begins with the source's startFrom",
  },
  {
    holds: ({ ParallelizationFactor: factor = 1 }) => factor !== 1,
    reason: "a mapping's parallelization factor is 1: two batches of one shard at a time would be taken in out of order",
  },
  {
    holds: ({ MaximumRetryAttempts: attempts = -1 }) => attempts !== -1,
    reason: "a mapping retries without end: a batch that is given up is lost; what cannot be processed goes to the dead letters",
  },
  {
    holds: ({ MaximumRecordAgeInSeconds: age = -1 }) => age !== -1,
    reason: "a mapping knows no oldest age of records: those beyond it would be lost",
  },
  {
    of: ["stream", "table", "queue"],
    holds: ({ FunctionResponseTypes: types }) => !Array.isArray(types) || !types.includes("ReportBatchItemFailures"),
    reason: "a mapping takes partial responses (ReportBatchItemFailures): a task says which records it has not committed",
  },
  {
    holds: ({ TumblingWindowInSeconds: window = 0 }) => window !== 0,
    reason: "a mapping has no tumbling window: windows are the job's own",
  },
  {
    holds: ({ FilterCriteria: criteria }) => criteria !== undefined,
    reason: "a mapping filters nothing: watermarks would not see what it leaves out; use filter() in the job",
  },
  {
    holds: ({ EventSourceArn: arn }) => JSON.stringify(arn)?.includes("/consumer/"),
    reason:
      "a mapping reads its stream without enhanced fan-out: of KPL-aggregated records, Lambda drops some there without a word",
  },
];

/** Why a mapping with these properties of CloudFormation is refused. */
export function refusalsOf(kind: Kind, mapping: Properties): string[] {
  const held = mappingRefusals.filter(({ of, holds }) => (of === undefined || of.includes(kind)) && holds(mapping));
  return held.map(({ reason }) => reason);
}

/** Props that a caller may look for in vain, and why there are none. */
export const refusedProps: Readonly<Record<string, string>> = {
  startingPosition: mappingRefusals[0]!.reason,
  parallelizationFactor: mappingRefusals[1]!.reason,
  retryAttempts: mappingRefusals[2]!.reason,
  maxRecordAge: mappingRefusals[3]!.reason,
  bisectBatchOnError: "a mapping does not bisect: a task says itself which record fails",
  reportBatchItemFailures: mappingRefusals[4]!.reason,
  tumblingWindow: mappingRefusals[5]!.reason,
  filters: mappingRefusals[6]!.reason,
  enhancedFanOut: mappingRefusals[7]!.reason,
  onFailure: "nothing is given up, so nothing is sent to a destination of failures; see deadLetters",
};
