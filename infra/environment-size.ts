/**
 * Environment variables may have 4 KB together (N2 of functions/contract.ts). Names are given by CloudFormation when it deploys, so what
 * they can come to is reckoned from how it makes them: of the stack's name, the logical id and characters of its own, cut to what the service
 * allows.
 */
import { CfnElement, Stack, Token } from "aws-cdk-lib";
import type { IConstruct } from "constructs";
import { writeSettings } from "../functions/contract.ts";
import { MillraceError } from "../runtime/base/errors.ts";
import type { JobGraph, StagePlan } from "../runtime/plan/job-graph.ts";
import { type Bound, longestBindingsOf } from "./bindings.ts";
import { cellsOf } from "./cells.ts";
import type { JobChannels } from "./channels.ts";
import type { CheckedProps } from "./check-props.ts";
import type { JobStorage } from "./storage.ts";
import type { TaskFunctions } from "./task-functions.ts";

export interface EnvironmentParts {
  readonly tasks: TaskFunctions;
  readonly channels: JobChannels;
  readonly storage: JobStorage;
  readonly bound: Bound;
  readonly props: CheckedProps;
}

const bytesMax = 4096;
const tasksPerCellMax = 64;
/** The services' longest names. */
const longest = { function: 64, stream: 128, table: 255, bucket: 63 } as const;
/** Two hyphens, and what CloudFormation puts at the end. */
const madeUpLength = 15;

/** Throws `invalid` where the coordinator's variables, which are the longest, could have too many bytes. */
export function checkEnvironmentSize(job: JobGraph, parts: EnvironmentParts): void {
  const { tasksPerCell } = parts.props;
  const bytes = bytesWith(tasksPerCell, job, parts);
  if (bytes <= bytesMax) return;
  let fitting = tasksPerCell + 1;
  while (fitting <= tasksPerCellMax && bytesWith(fitting, job, parts) > bytesMax) fitting++;
  const advice =
    fitting <= tasksPerCellMax
      ? `set tasksPerCell: ${fitting}, so that there are fewer functions and streams`
      : "give the stack, the construct, or the job's stages and bindings shorter names, or the job fewer stages";
  throw new MillraceError(
    "invalid",
    `the functions' environment variables may have ${bytesMax} bytes and could have ${bytes}: ${advice}`,
  );
}

function bytesWith(tasksPerCell: number, job: JobGraph, { tasks, channels, storage, bound }: EnvironmentParts): number {
  const inboxes: Record<string, string[]> = {};
  const taskFunctions: Record<string, string[]> = {};
  for (const stage of job.stages) {
    const own = tasks.cells.filter((cell) => cell.stage === stage.id).map((cell) => cell.function.function);
    taskFunctions[stage.id] = namesOf(stage, tasksPerCell, own, longest.function);
    const streams = channels.inboxes.get(stage.id);
    if (streams !== undefined) inboxes[stage.id] = namesOf(stage, tasksPerCell, streams, longest.stream);
  }
  const variables = writeSettings({
    ...{ inboxes, taskFunctions, bindings: longestBindingsOf(bound), stage: "coordinator", cell: 0 },
    stateTable: longestNameOf(storage.table, longest.table),
    stateBucket: longestNameOf(storage.bucket, longest.bucket),
    deadLetterBucket: "x".repeat(longest.bucket),
    deployment: Number.MAX_SAFE_INTEGER,
  });
  return Object.entries(variables).reduce((sum, pair) => sum + Buffer.byteLength(pair.join("")), 0);
}

/** Of as many cells as there are then, each as long as the longest of those that there are. */
function namesOf(stage: StagePlan, tasksPerCell: number, made: readonly IConstruct[], lengthMax: number): string[] {
  const names = made.map((one) => longestNameOf(one, lengthMax)).sort((a, b) => b.length - a.length);
  return Array<string>(cellsOf(stage, tasksPerCell)).fill(names[0]!);
}

function longestNameOf(made: IConstruct, lengthMax: number): string {
  const { stackName } = Stack.of(made);
  const resource = made.node.defaultChild;
  const isKnown = CfnElement.isCfnElement(resource) && !Token.isUnresolved(stackName);
  const id = isKnown ? (Stack.of(made).resolve(resource.logicalId) as string) : "";
  return "x".repeat(isKnown ? Math.min(lengthMax, stackName.length + id.length + madeUpLength) : lengthMax);
}
