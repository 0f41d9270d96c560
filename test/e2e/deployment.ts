/**
 * The topology of a job on AWS, from its plan: what a deployment makes of it. One cell per stage.
 *
 * This is the one place that the end-to-end tests get a topology from: one that is read from a synthesised assembly can take its place.
 */
import { join } from "node:path";
import type { MappingResource, Topology } from "../../emulator/cloud/index.ts";
import { defaultInbox, entryOf, lookCommand, writeSettings } from "../../functions/contract.ts";
import { stateTableKeys } from "../../runtime/adapters/aws/state-table.ts";
import type { JobGraph } from "../../runtime/plan/job-graph.ts";
import type { StagePlan } from "../../runtime/plan/job-graph.ts";

export interface DeploymentOptions {
  readonly graph: JobGraph;
  /** The module whose default export is the job; relative to `directory`. */
  readonly module: string;
  readonly directory: string;
  /** Where functions/ is, as the modules of `directory` see it. */
  readonly functions: string;
  /** Rises with each. */
  readonly deployment: number;
  /** What the job reads and writes. */
  readonly outside: Pick<Topology, "streams" | "tables" | "buckets">;
  /** Seconds. */
  readonly timeouts: { readonly task: number; readonly coordinator: number };
  /** MB. */
  readonly memorySize: number;
  /** Environments of a stage at most. */
  readonly concurrency?: number;
  readonly batchSize?: number;
  /** Seconds for which mappings gather records; default none. */
  readonly batchWindow?: number;
}

const deadLetterBucket = "dead-letters";

/** Names of the job's own resources: what is asked for by name. */
export function namesOf(job: string) {
  return {
    stateTable: `${job}-state`,
    stateBucket: `${job}-state`,
    deadLetterBucket,
    coordinator: `${job}-coordinator`,
    taskFunction: (stage: string) => `${job}-task-${stage}`,
    schedule: `${job}-look`,
  };
}

export function topologyOf(options: DeploymentOptions): Topology {
  const { graph, outside, memorySize, timeouts, concurrency } = options;
  const { stages, name: job } = graph;
  const names = namesOf(job);
  const [partitionKey, sortKey] = stateTableKeys.KeySchema.map(({ AttributeName }) => ({
    name: AttributeName!,
    type: "S" as const,
  }));
  const task = ({ id }: StagePlan) => ({
    ...codeOf("task", options),
    environment: settingsOf(options, id),
    memorySize,
    timeout: timeouts.task,
    ...(concurrency === undefined ? {} : { reservedConcurrentExecutions: concurrency }),
  });
  const coordinator = {
    ...codeOf("coordinator", options),
    environment: settingsOf(options, ""),
    memorySize,
    timeout: timeouts.coordinator,
    // One looks on, some follow orders: on a machine that they share, more would keep each other from ever getting there.
    reservedConcurrentExecutions: 4,
  };
  const inboxes = stages.flatMap(({ id, kind, parallelism }) =>
    kind === "keyed" ? [[defaultInbox(job, id), { shardCount: Number(parallelism) }] as const] : [],
  );
  return {
    streams: { ...outside.streams, ...Object.fromEntries(inboxes) },
    tables: { ...outside.tables, [names.stateTable]: { partitionKey: partitionKey!, sortKey: sortKey! } },
    buckets: [...(outside.buckets ?? []), names.stateBucket, names.deadLetterBucket],
    functions: {
      ...Object.fromEntries(stages.map((stage) => [names.taskFunction(stage.id), task(stage)])),
      [names.coordinator]: coordinator,
    },
    eventSourceMappings: stages.flatMap((stage) => mappingsOf(stage, options)),
    schedules: {
      [names.schedule]: { scheduleExpression: "rate(1 minute)", functionName: names.coordinator, input: lookCommand },
    },
  };
}

function codeOf(kind: "task" | "coordinator", { module, directory, functions }: DeploymentOptions) {
  return { entry: { contents: entryOf(kind, module, functions), directory } };
}

function settingsOf({ graph, deployment }: DeploymentOptions, stage: string): Record<string, string> {
  const names = namesOf(graph.name);
  return writeSettings({
    stateTable: names.stateTable,
    stateBucket: names.stateBucket,
    deadLetterBucket: names.deadLetterBucket,
    deployment,
    bindings: {},
    inboxes: {},
    taskFunctions: Object.fromEntries(graph.stages.map(({ id }) => [id, [names.taskFunction(id)]])),
    stage,
    cell: 0,
  });
}

function mappingsOf(stage: StagePlan, { graph, batchSize, batchWindow }: DeploymentOptions): readonly MappingResource[] {
  const { id, kind, sources } = stage;
  const streams = kind === "keyed" ? [defaultInbox(graph.name, id)] : sources.map((uid) => streamOf(graph, uid));
  return [...new Set(streams)].map((streamName) => ({
    functionName: namesOf(graph.name).taskFunction(id),
    streamName,
    startingPosition: "TRIM_HORIZON",
    functionResponseTypes: ["ReportBatchItemFailures"],
    ...(batchSize === undefined ? {} : { batchSize }),
    ...(batchWindow === undefined ? {} : { maximumBatchingWindowInSeconds: batchWindow }),
  }));
}

/** A source's name is that of its stream: nothing is bound. */
function streamOf({ operators }: JobGraph, uid: string): string {
  const { spec } = operators.get(uid)!.node;
  if (spec.kind !== "source") throw new Error(`no source: ${uid}`);
  return spec.source.name;
}

/** The path of functions/ in this repository. */
export const functionsDirectory = join(import.meta.dirname, "../../functions");
