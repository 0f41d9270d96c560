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
import { type Bell, bellId, type Connector, keysOf } from "./connector.ts";
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

/** One cell: its function, and what rings it. */
export interface Cell {
  readonly stage: string;
  readonly cell: number;
  readonly function: JobFunction;
  readonly mappings: readonly { readonly bell: Bell; readonly mapping: JobMapping }[];
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
    const { batchSize, batchWindow } = props;
    const mappings = (inbox === undefined ? bellsOf(stage, all.connectors) : [inboxBell(inbox)]).map(({ id, bell }) => {
      return { bell, mapping: new JobMapping(made, id, { function: made, bell, batchSize, batchWindow }) };
    });
    return { stage: stage.id, cell, function: made, mappings };
  }
}

interface NamedBell {
  readonly id: string;
  readonly bell: Bell;
}

function inboxBell(stream: IStream): NamedBell {
  return { id: "Inbox", bell: { kind: "stream", stream, startAt: undefined } };
}

/** What rings a stage that reads sources: what several sources read rings once, from the earliest of their beginnings. */
function bellsOf({ id: stage }: StagePlan, connectors: readonly Connector[]): readonly NamedBell[] {
  const bells = new Map<string, NamedBell>();
  for (const { bell, stage: own, uid } of connectors) {
    if (bell === undefined || own !== stage) continue;
    const known = bells.get(bellId(bell));
    bells.set(bellId(bell), known === undefined ? { id: `Source-${uid}`, bell } : { ...known, bell: earliest(known.bell, bell) });
  }
  return [...bells.values()];
}

function earliest(one: Bell, other: Bell): Bell {
  if (one.kind !== "stream" || other.kind !== "stream" || one.startAt === undefined) return one;
  return other.startAt === undefined || other.startAt < one.startAt ? other : one;
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
