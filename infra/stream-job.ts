/**
 * A job as infrastructure, in one construct: everything that runs it, from its module alone.
 *
 * J1 The plan decides what there is: streams, functions and mappings follow from the stages, names from functions/contract.ts.
 * J2 What holds state (storage.ts, channels.ts) stays when it is taken out of the stack, and its ids do not change.
 */
import { Annotations, CfnOutput, Stack, Tags } from "aws-cdk-lib";
import type { Role } from "aws-cdk-lib/aws-iam";
import { Construct } from "constructs";
import type { Settings } from "../functions/contract.ts";
import { MillraceError } from "../runtime/base/errors.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import { allowLogs } from "./allow-logs.ts";
import { JobChannels } from "./channels.ts";
import { cellsOf } from "./cells.ts";
import { type CheckedProps, checkPlan, checkProps, visibilityOf } from "./check-props.ts";
import { type Bound, bindingsOf } from "./bindings.ts";
import { connectorsOf } from "./connectors-of.ts";
import { JobCoordinator } from "./coordinator.ts";
import { deploymentOrdinal } from "./deployment-ordinal.ts";
import { checkEnvironmentSize } from "./environment-size.ts";
import { JobEvents } from "./job-events.ts";
import type { FunctionSurroundings } from "./job-function.ts";
import { jobTag } from "./job-tag.ts";
import { loadJob } from "./load-job.ts";
import { JobObservability } from "./observability.ts";
import {
  checkAgainst,
  planFileOf,
  type PlanRecord,
  planRecordOf,
  readPlanRecord,
  recordPlansContext,
  writePlanRecord,
} from "./plan-record.ts";
import { checkRegion } from "./regions.ts";
import { type StartCheck, startCheckOf } from "./start-check.ts";
import { JobStorage } from "./storage.ts";
import type { StreamJobProps } from "./stream-job-props.ts";
import { TaskFunctions } from "./task-functions.ts";

/** CloudFormation has not taken tags of them for long, nor everywhere. */
const untagged = ["AWS::CloudWatch::Dashboard"];

/** Throws `invalid` for a job that cannot be deployed so; says what to change. */
export class StreamJob extends Construct {
  /** What runs: stages, operators, exchanges. */
  readonly plan: JobGraph;
  readonly storage: JobStorage;
  readonly channels: JobChannels;
  readonly tasks: TaskFunctions;
  readonly coordinator: JobCoordinator;
  readonly observability: JobObservability;
  /** Queues and rules of what `events` says. */
  readonly events: JobEvents;
  /** Undefined: the context leaves it out. */
  readonly startCheck: StartCheck | undefined;

  constructor(scope: Construct, id: string, given: StreamJobProps) {
    super(scope, id);
    const props = checkProps(given);
    checkRegion(Stack.of(this).region, props);
    const job = loadJob(props);
    this.plan = job;
    const stateful = props.statefulScope === undefined ? this : new Construct(props.statefulScope, id);
    const events = (this.events = new JobEvents(stateful, "Events", {
      events: props.events ?? {},
      visibilityTimeout: visibilityOf(props),
      removalPolicy: props.removalPolicy,
      encryptionKey: props.encryptionKey,
    }));
    const bound = { ...props, queues: withEvents(props, events) };
    const connectors = connectorsOf(job, bound, Stack.of(this));
    checkPlan(job, props, connectors);
    const record = this.#record(props);

    this.storage = new JobStorage(stateful, "Storage", {
      removalPolicy: props.removalPolicy,
      encryptionKey: props.encryptionKey,
      deadLetters: props.deadLetters,
    });
    this.channels = new JobChannels(stateful, "Inboxes", {
      inboxes: inboxesOf(job, props, record),
      retention: props.inboxRetention,
      removalPolicy: props.removalPolicy,
      encryptionKey: props.encryptionKey,
    });
    const shared = { job, props, connectors, storage: this.storage, channels: this.channels };
    const settings = this.#settings(props, bound);
    const surroundings = surroundingsOf(props);
    if (props.encryptionKey !== undefined) allowLogs(this, props.encryptionKey);
    this.tasks = new TaskFunctions(this, "Tasks", { ...shared, surroundings, settings });
    this.coordinator = new JobCoordinator(this, "Coordination", { ...shared, tasks: this.tasks, surroundings, settings });
    this.startCheck = startCheckOf(this, "StartCheck", { ...shared, surroundings, settings });
    this.#order();
    this.observability = new JobObservability(this, "Observability", {
      job,
      props,
      tasks: this.tasks,
      coordinator: this.coordinator,
      undelivered: events.undelivered,
    });
    checkEnvironmentSize(job, { ...shared, tasks: this.tasks, bound });
    this.#outputs(record, [...new Set<Construct>([this, stateful])]);
  }

  /**
   * Of the functions that run the author's code: for what the job uses beside its sources and sinks, as a secret that `headers` of an HTTP
   * sink reads, or what a custom sink writes to: `for (const role of job.taskRoles) secret.grantRead(role)`.
   */
  get taskRoles(): readonly Role[] {
    return this.tasks.cells.map(({ function: { role } }) => role);
  }

  /** Mappings come last: what a region does not have, or the check refuses, ends the deployment before a record is read. */
  #order(): void {
    const functions = [...this.tasks.cells.map((cell) => cell.function), this.coordinator.function];
    this.startCheck?.comesBefore(...functions.map((made) => made.function));
    for (const { mappings } of this.tasks.cells)
      for (const { mapping } of mappings) mapping.node.addDependency(this.coordinator.schedule);
  }

  #record(props: CheckedProps): PlanRecord {
    const path = planFileOf(props);
    const recorded = readPlanRecord(path);
    if (recorded !== undefined) checkAgainst(recorded, this.plan, path);
    const record = planRecordOf(this.plan, props.tasksPerCell, recorded);
    if (this.node.tryGetContext(recordPlansContext)) writePlanRecord(path, record);
    else if (recorded === undefined)
      Annotations.of(this).addInfo(
        `nothing is recorded of what is deployed, so changes of the job are not compared with its state here: after deploying, synthesise with -c ${recordPlansContext}=true and keep ${path}`,
      );
    return record;
  }

  #settings(props: CheckedProps, bound: Bound): Settings {
    const names = [...this.channels.inboxes].map(([stage, cells]) => [stage, cells.map(({ streamName }) => streamName)] as const);
    return {
      stateTable: this.storage.table.tableName,
      stateBucket: this.storage.bucket.bucketName,
      deadLetterBucket: this.storage.deadLetters.bucketName,
      deployment: props.deployment ?? deploymentOrdinal(this),
      bindings: bindingsOf(bound),
      inboxes: Object.fromEntries(names),
      taskFunctions: {},
      stage: "",
      cell: 0,
    };
  }

  #outputs(record: PlanRecord, tagged: readonly Construct[]): void {
    for (const construct of tagged) Tags.of(construct).add(jobTag, this.plan.name, { excludeResourceTypes: untagged });
    // What is deployed can be told from the template alone.
    this.coordinator.function.function.node.defaultChild!.node.addMetadata("millrace:plan", record.fingerprint);
    const { templateOptions } = Stack.of(this);
    const plans = (templateOptions.metadata?.["millrace:plans"] ?? {}) as Record<string, unknown>;
    templateOptions.metadata = { ...templateOptions.metadata, "millrace:plans": { ...plans, [this.plan.name]: record } };
    new CfnOutput(this, "CoordinatorFunction", {
      description: `Takes orders to job ${this.plan.name}`,
      value: this.coordinator.function.function.functionName,
    });
    new CfnOutput(this, "DeadLetterBucket", {
      description: `Has the dead letters of job ${this.plan.name}`,
      value: this.storage.deadLetters.bucketName,
    });
  }
}

/** Of a stage that has fewer cells than once, those that are left. */
function inboxesOf(
  job: JobGraph,
  { tasksPerCell }: CheckedProps,
  { inboxes }: PlanRecord,
): ReadonlyMap<string, readonly number[]> {
  const keyed = job.stages.filter(({ kind }) => kind === "keyed");
  return new Map(keyed.map((stage) => [stage.id, inboxes[stage.id]!.slice(0, cellsOf(stage, tasksPerCell))]));
}

/** Throws `invalid` for a name that is among the queues too. */
function withEvents({ queues = {} }: CheckedProps, events: JobEvents): NonNullable<Bound["queues"]> {
  const twice = [...events.queues.keys()].find((name) => Object.hasOwn(queues, name));
  if (twice === undefined) return { ...queues, ...Object.fromEntries(events.queues) };
  throw new MillraceError("invalid", `a source of events has a queue of your own or one that is made for it, not both: ${twice}`);
}

function surroundingsOf({ logRetention, encryptionKey, vpc, vpcSubnets, securityGroups }: CheckedProps): FunctionSurroundings {
  return { logRetention, encryptionKey, vpc, vpcSubnets, securityGroups };
}
