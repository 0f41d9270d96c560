/** The coordinator of a job: a function, and the schedule that rings it once a minute. */
import { Duration, Stack } from "aws-cdk-lib";
import { Rule, RuleTargetInput, Schedule } from "aws-cdk-lib/aws-events";
import { LambdaFunction } from "aws-cdk-lib/aws-events-targets";
import { PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { CfnSchedule } from "aws-cdk-lib/aws-scheduler";
import { Construct, type IConstruct } from "constructs";
import { lookCommand, type Settings } from "../functions/contract.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import type { JobChannels } from "./channels.ts";
import type { CheckedProps } from "./check-props.ts";
import { type Connector, keysOf } from "./connector.ts";
import { jobCode } from "./job-code.ts";
import { type FunctionSurroundings, JobFunction } from "./job-function.ts";
import { isForLocalstack } from "./localstack.ts";
import * as permissions from "./permissions.ts";
import type { JobStorage } from "./storage.ts";
import type { TaskFunctions } from "./task-functions.ts";

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

/** EventBridge Scheduler's shortest. */
const interval = Duration.minutes(1);
/** Long enough for a restore; a look that has nothing to wait for ends within a minute. */
const timeout = Duration.minutes(15);
const memorySize = 512;

export class JobCoordinator extends Construct {
  readonly function: JobFunction;
  /** What rings it. */
  readonly schedule: IConstruct;

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
    this.schedule = isForLocalstack(this) ? this.#rule() : this.#schedule();
  }

  /** Fires where EventBridge Scheduler does not. */
  #rule(): Rule {
    const event = RuleTargetInput.fromObject(lookCommand);
    return new Rule(this, "Rule", {
      schedule: Schedule.rate(interval),
      targets: [new LambdaFunction(this.function.function, { event })],
    });
  }

  #schedule(): CfnSchedule {
    const { functionArn } = this.function.function;
    // Schedules of other accounts are not let in.
    const conditions = { StringEquals: { "aws:SourceAccount": Stack.of(this).account } };
    const role = new Role(this, "ScheduleRole", { assumedBy: new ServicePrincipal("scheduler.amazonaws.com", { conditions }) });
    role.addToPolicy(permissions.allow(["lambda:InvokeFunction"], [functionArn]));
    const schedule = new CfnSchedule(this, "Schedule", {
      description: "Rings the coordinator",
      scheduleExpression: Schedule.rate(interval).expressionString,
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
    ...connectors.flatMap((connector) => connector.permissions.coordinator),
    ...permissions.resizeStreams(inboxes),
    permissions.allow(["lambda:InvokeFunction"], functions),
    ...keysOf(connectors).map(permissions.useKey),
  ];
}
