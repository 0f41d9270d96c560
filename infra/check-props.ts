/** Checks what the caller says and fills in the defaults. Throws `invalid` in the caller's terms, with the prop and its value. */
import { Duration, RemovalPolicy, Token } from "aws-cdk-lib";
import { CfnStream, type IStream } from "aws-cdk-lib/aws-kinesis";
import { RetentionDays } from "aws-cdk-lib/aws-logs";
import { CfnQueue } from "aws-cdk-lib/aws-sqs";
import { executionsOf, queueExecutions, refusalOfExecutions } from "../functions/executions.ts";
import { MillraceError } from "../runtime/base/errors.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import { cellsOf } from "./cells.ts";
import { type Bell, bellId, type Connector } from "./connector.ts";
import type { ExternalQueue } from "./external.ts";
import { refusedProps } from "./refusals.ts";
import type { StreamJobProps } from "./stream-job-props.ts";

const defaults = {
  removalPolicy: RemovalPolicy.RETAIN,
  tasksPerCell: 8,
  inboxRetention: Duration.hours(24),
  memorySize: 1024,
  timeout: Duration.minutes(1),
  accountConcurrency: 1000,
  batchSize: 1000,
  batchWindow: Duration.seconds(1),
  logRetention: RetentionDays.ONE_MONTH,
  watermarkLagMax: Duration.minutes(15),
  offsetLagMax: 100_000,
  deadLettersMax: 0,
  dashboard: true,
} as const satisfies Partial<StreamJobProps>;

/** With every default filled in. */
export type CheckedProps = StreamJobProps & Required<Pick<StreamJobProps, keyof typeof defaults>>;

/** Every prop, so that one which is misspelt is not passed over in silence. */
const names: Readonly<Record<keyof StreamJobProps, true>> = {
  accountConcurrency: true,
  alarmTopic: true,
  batchSize: true,
  batchWindow: true,
  buckets: true,
  budgetEmail: true,
  dashboard: true,
  deadLetters: true,
  deadLettersMax: true,
  deliveryStreams: true,
  deployment: true,
  encryptionKey: true,
  endpoints: true,
  entry: true,
  eventBuses: true,
  events: true,
  functions: true,
  inboxRetention: true,
  kafkaTopics: true,
  logRetention: true,
  memorySize: true,
  monthlyBudget: true,
  offsetLagMax: true,
  parameters: true,
  planFile: true,
  queues: true,
  removalPolicy: true,
  reservedConcurrency: true,
  securityGroups: true,
  statefulScope: true,
  streams: true,
  tables: true,
  tasksPerCell: true,
  timeout: true,
  topics: true,
  vpc: true,
  vpcSubnets: true,
  watermarkLagMax: true,
};

export function checkProps(props: StreamJobProps): CheckedProps {
  for (const name of Object.keys(props)) {
    if (Object.hasOwn(names, name)) continue;
    const reason = refusedProps[name];
    throw invalid(reason === undefined ? `a StreamJob has no prop of this name: ${name}` : `${name} cannot be set: ${reason}`);
  }
  const given = Object.fromEntries(Object.entries(props).filter(([, value]) => value !== undefined)) as unknown as StreamJobProps;
  const checked: CheckedProps = { ...defaults, ...given };
  whole("memorySize", checked.memorySize, 128, 10_240);
  whole("tasksPerCell", checked.tasksPerCell, 1, 64);
  whole("batchSize", checked.batchSize, 1, 10_000);
  whole("accountConcurrency", checked.accountConcurrency, 1, Number.MAX_SAFE_INTEGER);
  whole("offsetLagMax", checked.offsetLagMax, 0, Number.MAX_SAFE_INTEGER);
  whole("deadLettersMax", checked.deadLettersMax, 0, Number.MAX_SAFE_INTEGER);
  if (checked.reservedConcurrency !== undefined) whole("reservedConcurrency", checked.reservedConcurrency, 1, 1_000);
  if (checked.deployment !== undefined) whole("deployment", checked.deployment, 1, Number.MAX_SAFE_INTEGER);
  length("timeout", checked.timeout, 10, 900);
  length("batchWindow", checked.batchWindow, 0, 300);
  length("inboxRetention", checked.inboxRetention, 24 * 3600, 365 * 24 * 3600);
  length("watermarkLagMax", checked.watermarkLagMax, 1, 365 * 24 * 3600);
  if (!checked.inboxRetention.toHours({ integral: false }).toString().match(/^\d+$/))
    throw invalid(`inboxRetention is whole hours: ${checked.inboxRetention.toHumanString()}`);
  if ((checked.monthlyBudget === undefined) !== (checked.budgetEmail === undefined))
    throw invalid("monthlyBudget goes with budgetEmail, which is told");
  if (checked.vpc === undefined && (checked.vpcSubnets ?? checked.securityGroups) !== undefined)
    throw invalid("vpcSubnets and securityGroups go with vpc");
  return checked;
}

/** What the plan and the props together do not allow. */
export function checkPlan(job: JobGraph, props: CheckedProps, connectors: readonly Connector[]): void {
  if (job.options.mode === "batch")
    throw invalid(`a job in batch mode ends; it is run by millrace run, not deployed: ${job.name}`);
  const assumesKeys = job.graph.nodes.some(({ inputs }) =>
    inputs.some(({ partitioning }) => partitioning.kind === "assumeKeyed"),
  );
  for (const connector of connectors) {
    const { bell } = connector;
    const keyed = connector.keyedStream ?? (assumesKeys && bell?.kind === "stream" ? bell.stream : undefined);
    if (keyed !== undefined && templateOf(keyed)?.recordDistributionStrategy === "AUTO")
      throw new MillraceError(
        "invalid",
        `the stream ignores partition keys (its record distribution strategy is AUTO), which this job counts on; set USER_PARTITION_KEY: ${connector.uid}`,
        { context: { operator: connector.uid } },
      );
  }
  for (const connector of connectors) if (connector.bell?.kind === "queue") checkQueue(connector, connector.bell.queue, props);
  checkConcurrency(job, props, connectors);
}

/** What Lambda would refuse, and what would have messages delivered again while they are worked on. */
function checkQueue({ uid }: Connector, queue: ExternalQueue, { timeout, batchWindow, reservedConcurrency }: CheckedProps): void {
  const refuse = (why: string) => {
    throw new MillraceError("invalid", `${why}: ${uid}`, { context: { operator: uid } });
  };
  if (reservedConcurrency !== undefined && reservedConcurrency < queueExecutions)
    refuse(`a queue's mapping uses ${queueExecutions} executions at once, set reservedConcurrency to no less`);
  const visibility = templateOf(queue)?.visibilityTimeout ?? (templateOf(queue) && defaultVisibilitySeconds);
  const least = timeout.toSeconds() + (queue.fifo ? 0 : batchWindow.toSeconds());
  if (typeof visibility === "number" && !Token.isUnresolved(visibility) && visibility < least)
    refuse(
      `the queue's visibilityTimeout is ${visibility} seconds, in which messages would come again while they are worked on: set it to ${visibilityOf({ timeout, batchWindow }).toHumanString()}, at least to ${least} seconds (timeout and batchWindow)`,
    );
}

/** SQS'. */
const defaultVisibilitySeconds = 30;

/** Of a queue that a job reads: six times what a batch may take, as Lambda's guide advises, so that one that is throttled is not counted as received. */
export function visibilityOf({ timeout, batchWindow }: Pick<CheckedProps, "timeout" | "batchWindow">): Duration {
  return Duration.seconds(6 * timeout.toSeconds() + batchWindow.toSeconds());
}

function checkConcurrency(job: JobGraph, props: CheckedProps, connectors: readonly Connector[]): void {
  const most = executionsOf(job, {
    sourceShards: (stage) => {
      const bells = connectors.flatMap(({ bell, stage: own }) => (bell !== undefined && own === stage ? [bell] : []));
      // What several sources of a stage read rings once.
      const byId = new Map(bells.map((bell) => [bellId(bell), bell]));
      return [...byId.values()].reduce((sum, bell) => sum + shardsOf(bell), 0);
    },
    cells: (stage) => cellsOf(stage, props.tasksPerCell),
    reserved: props.reservedConcurrency,
  });
  const refusal = refusalOfExecutions(most, props.accountConcurrency);
  if (refusal !== undefined) throw invalid(`${refusal}; accountConcurrency is what the account has`);
}

/** Of a stream that the app makes; of others nothing is known here, and one shard is counted. An on-demand stream begins with four. */
function shardsOf(bell: Bell): number {
  if (bell.kind === "queue") return queueExecutions;
  if (bell.kind === "kafka") return bell.partitions;
  const template = bell.kind === "stream" ? templateOf(bell.stream) : undefined;
  if (template === undefined) return 1;
  return typeof template.shardCount === "number" && !Token.isUnresolved(template.shardCount) ? template.shardCount : 4;
}

/** Hours for which what rings keeps records: of what the app makes as it says, else the least that it can be. Undefined: not known at all. */
export function retentionHoursOf(bell: Bell): number | undefined {
  const known = (value: number | undefined, otherwise: number) =>
    value === undefined || Token.isUnresolved(value) ? otherwise : value;
  switch (bell.kind) {
    case "stream":
      return known(templateOf(bell.stream)?.retentionPeriodHours, 24);
    case "table":
      return 24;
    case "queue":
      return known(templateOf(bell.queue)?.messageRetentionPeriod, defaultMessageSeconds) / 3600;
    case "kafka":
      return undefined;
  }
}

/** SQS': four days. */
const defaultMessageSeconds = 4 * 24 * 3600;

function templateOf(made: IStream): CfnStream | undefined;
function templateOf(made: ExternalQueue): CfnQueue | undefined;
function templateOf({ node: { defaultChild } }: IStream | ExternalQueue): CfnStream | CfnQueue | undefined {
  return defaultChild instanceof CfnStream || defaultChild instanceof CfnQueue ? defaultChild : undefined;
}

function whole(name: keyof StreamJobProps, value: number, from: number, to: number): void {
  if (Token.isUnresolved(value)) throw invalid(`${name} must be known at synthesis`);
  if (Number.isInteger(value) && value >= from && value <= to) return;
  throw invalid(`${name} is a whole number from ${from} to ${to}: ${value}`);
}

function length(name: keyof StreamJobProps, value: Duration, fromSeconds: number, toSeconds: number): void {
  const seconds = value.toSeconds({ integral: false });
  if (Number.isInteger(seconds) && seconds >= fromSeconds && seconds <= toSeconds) return;
  const [from, to] = [Duration.seconds(fromSeconds), Duration.seconds(toSeconds)].map((bound) => bound.toHumanString());
  throw invalid(`${name} is whole seconds, from ${from} to ${to}: ${value.toHumanString()}`);
}

function invalid(message: string): MillraceError {
  return new MillraceError("invalid", message);
}
