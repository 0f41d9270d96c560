/** The coordinator of a job: a function, and the schedule that rings it once a minute. */
import { Duration } from "aws-cdk-lib";
import { PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { CfnSchedule } from "aws-cdk-lib/aws-scheduler";
import { Construct } from "constructs";
import { lookCommand, type Settings } from "../functions/contract.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import type { JobChannels } from "./channels.ts";
import type { CheckedProps } from "./check-props.ts";
import type { Connector } from "./connectors-of.ts";
import { jobCode } from "./job-code.ts";
import { type FunctionSurroundings, JobFunction } from "./job-function.ts";
import * as permissions from "./permissions.ts";
import type { JobStorage } from "./storage.ts";
import { keysOf, type TaskFunctions } from "./task-functions.ts";

export interface JobCoordinatorProps {
  readonly job: JobGraph;
  readonly props: CheckedProps;
  readonly connectors: readonly Connector[];
  readonly storage: JobStorage;
  readonly channels: JobChannels;
  readonly tasks: TaskFunctions;
  readonly surroundings: FunctionSurroundings;
  readonly settings: Settings;
}

/** EventBridge Scheduler's shortest rate. */
const rate = "rate(1 minute)";
/** Long enough for a restore; a look that has nothing to wait for ends within a minute. */
const timeout = Duration.minutes(15);
const memorySize = 512;

export class JobCoordinator extends Construct {
  readonly function: JobFunction;
  readonly schedule: CfnSchedule;

  constructor(scope: Construct, id: string, props: JobCoordinatorProps) {
    super(scope, id);
    const { job, tasks, settings, surroundings } = props;
    this.function = new JobFunction(this, "Coordinator", {
      surroundings,
      code: jobCode(this, "coordinator", props.props),
      description: `Millrace job ${job.name}: the coordinator`,
      memorySize,
      timeout,
      reservedConcurrency: undefined,
      settings: { ...settings, taskFunctions: tasks.names, stage: "coordinator" },
      permissions: permissionsOf(props),
      asyncRetries: 0,
    });
    this.schedule = this.#schedule();
  }

  #schedule(): CfnSchedule {
    const { functionArn } = this.function.function;
    const role = new Role(this, "ScheduleRole", { assumedBy: new ServicePrincipal("scheduler.amazonaws.com") });
    role.addToPolicy(permissions.allow(["lambda:InvokeFunction"], [functionArn]));
    const schedule = new CfnSchedule(this, "Schedule", {
      description: "Rings the coordinator",
      scheduleExpression: rate,
      flexibleTimeWindow: { mode: "OFF" },
      state: "ENABLED",
      target: {
        arn: functionArn,
        roleArn: role.roleArn,
        input: JSON.stringify(lookCommand),
        // The next minute brings the next.
        retryPolicy: { maximumEventAgeInSeconds: 60, maximumRetryAttempts: 0 },
      },
    });
    schedule.node.addDependency(role);
    return schedule;
  }
}

/** It reads where tasks read, so that a job can begin and be restored, takes back what sinks have written, and rings the tasks. */
function permissionsOf({ job, connectors, storage, channels, tasks }: JobCoordinatorProps): PolicyStatement[] {
  const inboxes = [...channels.inboxes.values()].flat();
  const functions = tasks.cells.map((cell) => cell.function.function.functionArn);
  return [
    permissions.useStateTable(job.name, storage.table),
    ...permissions.useState(job.name, storage.bucket),
    ...permissions.useDeadLetters(job.name, storage.deadLetters),
    ...permissions.readStreams(connectors.flatMap((connector) => (connector.kind === "streamSource" ? [connector.stream] : []))),
    ...permissions.listStreams(connectors.flatMap((connector) => (connector.kind === "streamSink" ? [connector.stream] : []))),
    ...permissions.resizeStreams(inboxes),
    ...connectors.flatMap((connector) => {
      if (connector.kind === "tableSink") return [permissions.restoreRows(connector.table)];
      return connector.kind === "bucketSink" ? permissions.useObjects(connector.bucket, connector.prefix) : [];
    }),
    permissions.allow(["lambda:InvokeFunction"], functions),
    ...keysOf(connectors).map(permissions.useKey),
  ];
}
