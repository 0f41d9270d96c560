/** Checks what the caller says and fills in the defaults. Throws `invalid` in the caller's terms, with the prop and its value. */
import { Duration, RemovalPolicy, Token } from "aws-cdk-lib";
import { CfnStream, type IStream } from "aws-cdk-lib/aws-kinesis";
import { RetentionDays } from "aws-cdk-lib/aws-logs";
import { executionsOf, refusalOfExecutions } from "../functions/executions.ts";
import { MillraceError } from "../runtime/base/errors.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import { cellsOf } from "./cells.ts";
import type { Connector } from "./connector.ts";
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
  deployment: true,
  encryptionKey: true,
  entry: true,
  inboxRetention: true,
  logRetention: true,
  memorySize: true,
  monthlyBudget: true,
  parameters: true,
  planFile: true,
  removalPolicy: true,
  reservedConcurrency: true,
  securityGroups: true,
  statefulScope: true,
  streams: true,
  tables: true,
  tasksPerCell: true,
  timeout: true,
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
    const keyed = connector.keyedStream ?? (assumesKeys ? connector.rings?.stream : undefined);
    if (keyed !== undefined && templateOf(keyed)?.recordDistributionStrategy === "AUTO")
      throw new MillraceError(
        "invalid",
        `the stream ignores partition keys (its record distribution strategy is AUTO), which this job counts on; set USER_PARTITION_KEY: ${connector.uid}`,
        { context: { operator: connector.uid } },
      );
  }
  checkConcurrency(job, props, connectors);
}

function checkConcurrency(job: JobGraph, props: CheckedProps, connectors: readonly Connector[]): void {
  const most = executionsOf(job, {
    sourceShards: (stage) => {
      const read = connectors.flatMap((one) => (one.rings && one.stage === stage ? [one.rings.stream] : []));
      // A stream that several sources of a stage read rings once.
      const streams = new Map(read.map((stream) => [stream.streamArn, stream]));
      return [...streams.values()].reduce((sum, stream) => sum + shardsOf(stream), 0);
    },
    cells: (stage) => cellsOf(stage, props.tasksPerCell),
    reserved: props.reservedConcurrency,
  });
  const refusal = refusalOfExecutions(most, props.accountConcurrency);
  if (refusal !== undefined) throw invalid(`${refusal}; accountConcurrency is what the account has`);
}

/** Of a stream that the app makes; of others nothing is known here, and one shard is counted. An on-demand stream begins with four. */
function shardsOf(stream: IStream): number {
  const template = templateOf(stream);
  if (template === undefined) return 1;
  return typeof template.shardCount === "number" && !Token.isUnresolved(template.shardCount) ? template.shardCount : 4;
}

/** Hours for which the stream keeps records, where the app makes it; 24 otherwise, which is the least. */
export function retentionHoursOf(stream: IStream): number {
  const hours = templateOf(stream)?.retentionPeriodHours;
  return hours === undefined || Token.isUnresolved(hours) ? 24 : hours;
}

function templateOf({ node }: IStream): CfnStream | undefined {
  return node.defaultChild instanceof CfnStream ? node.defaultChild : undefined;
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
