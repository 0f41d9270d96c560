/**
 * The task functions of a job: one for each stage that reads sources, one for each cell of a stage behind an exchange; and the mappings that
 * ring them.
 *
 * F1 A function reads its own inbox and the sources of its stage, and writes the inboxes and sinks that its stage feeds, and no other.
 */
import type { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { IStream } from "aws-cdk-lib/aws-kinesis";
import { Construct } from "constructs";
import type { Settings } from "../functions/contract.ts";
import type { JobGraph, StagePlan } from "../runtime/plan/job-graph.ts";
import type { JobChannels } from "./channels.ts";
import { type Connector, keysOf } from "./connector.ts";
import { jobCode } from "./job-code.ts";
import { type FunctionSurroundings, JobFunction } from "./job-function.ts";
import { JobMapping } from "./mapping.ts";
import * as permissions from "./permissions.ts";
import type { JobStorage } from "./storage.ts";
import type { CheckedProps } from "./check-props.ts";

export interface TaskFunctionsProps {
  readonly job: JobGraph;
  readonly props: CheckedProps;
  readonly connectors: readonly Connector[];
  readonly storage: JobStorage;
  readonly channels: JobChannels;
  readonly surroundings: FunctionSurroundings;
  readonly settings: Settings;
}

/** One cell: its function, and the streams that ring it. */
export interface Cell {
  readonly stage: string;
  readonly cell: number;
  readonly function: JobFunction;
  readonly mappings: readonly { readonly stream: IStream; readonly mapping: JobMapping }[];
}

export class TaskFunctions extends Construct {
  readonly cells: readonly Cell[];

  constructor(scope: Construct, id: string, props: TaskFunctionsProps) {
    super(scope, id);
    const code = jobCode(this, "task", props.props);
    this.cells = props.job.stages.flatMap((stage) => {
      const inboxes = props.channels.inboxes.get(stage.id) ?? [undefined];
      return inboxes.map((inbox, cell) => this.#cell(stage, cell, inbox, code, props));
    });
  }

  /** By stage, the names of its functions, cell by cell. */
  get names(): Record<string, readonly string[]> {
    const stages = [...new Set(this.cells.map(({ stage }) => stage))];
    const namesOf = (stage: string) =>
      this.cells.filter((cell) => cell.stage === stage).map((cell) => cell.function.function.functionName);
    return Object.fromEntries(stages.map((stage) => [stage, namesOf(stage)]));
  }

  #cell(
    stage: StagePlan,
    cell: number,
    inbox: IStream | undefined,
    code: ReturnType<typeof jobCode>,
    all: TaskFunctionsProps,
  ): Cell {
    const { job, props, settings, surroundings } = all;
    const made = new JobFunction(this, `${stage.id}-${cell}`, {
      surroundings,
      code,
      description: `Millrace job ${job.name}: tasks of stage ${stage.id}, cell ${cell}`,
      memorySize: props.memorySize,
      timeout: props.timeout,
      reservedConcurrency: props.reservedConcurrency,
      settings: { ...settings, stage: stage.id, cell },
      permissions: permissionsOf(stage, inbox, all),
      // A poke is a doorbell: the coordinator rings again.
      asyncRetries: 0,
    });
    const rings = inbox === undefined ? sourcesOf(stage, all.connectors) : [{ id: "Inbox", stream: inbox, startAt: undefined }];
    const mappings = rings.map(({ id, stream, startAt }) => {
      const { batchSize, batchWindow } = props;
      return { stream, mapping: new JobMapping(made, id, { function: made, stream, batchSize, batchWindow, startAt }) };
    });
    return { stage: stage.id, cell, function: made, mappings };
  }
}

/** The streams that a stage reads: one that several sources read rings once, from the earliest of their beginnings. */
function sourcesOf({ id: stage }: StagePlan, connectors: readonly Connector[]) {
  const byStream = new Map<string, { readonly id: string; readonly stream: IStream; readonly startAt: Date | undefined }>();
  for (const connector of connectors) {
    if (connector.rings === undefined || connector.stage !== stage) continue;
    const { stream, startAt } = connector.rings;
    const known = byStream.get(stream.streamArn);
    const earliest =
      known === undefined ? startAt : known.startAt && startAt && (known.startAt < startAt ? known.startAt : startAt);
    byStream.set(stream.streamArn, { id: known?.id ?? `Source-${connector.uid}`, stream, startAt: earliest });
  }
  return [...byStream.values()];
}

function permissionsOf(
  stage: StagePlan,
  inbox: IStream | undefined,
  { job, connectors, storage, channels }: TaskFunctionsProps,
): PolicyStatement[] {
  const mine = connectors.filter((connector) => connector.stage === stage.id);
  const fed = [...new Set(job.exchanges.filter(({ fromStage }) => fromStage === stage.id).map(({ toStage }) => toStage))];
  return [
    permissions.useStateTable(job.name, storage.table),
    ...permissions.useState(job.name, storage.bucket),
    ...permissions.useDeadLetters(job.name, storage.deadLetters),
    ...permissions.readStreams(inbox ? [inbox] : []),
    // Which shard is whose: of all cells of its own stage.
    ...permissions.listStreams((channels.inboxes.get(stage.id) ?? []).filter((other) => other !== inbox)),
    ...permissions.writeStreams(fed.flatMap((to) => channels.inboxes.get(to) ?? [])),
    ...mine.flatMap((connector) => connector.permissions.task),
    ...keysOf(mine).map(permissions.useKey),
  ];
}
