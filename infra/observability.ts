/**
 * What tells how a job is doing: alarms, a dashboard, a budget.
 *
 * O1 Every alarm names its section of the runbook.
 */
import { Duration, Fn, Names } from "aws-cdk-lib";
import { CfnBudget } from "aws-cdk-lib/aws-budgets";
import {
  Alarm,
  ComparisonOperator,
  Dashboard,
  GraphWidget,
  type IMetric,
  MathExpression,
  Metric,
  type MetricProps,
  TextWidget,
  TreatMissingData,
} from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import { Construct } from "constructs";
import { metricNamespace, type metrics } from "../functions/metrics.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import { type AlarmSpec, alarmsOf, eventsUndelivered, iteratorAge, offsetLag, runbookSection, throttles } from "./alarms.ts";
import { type CheckedProps, retentionHoursOf } from "./check-props.ts";
import type { Bell } from "./connector.ts";
import type { JobCoordinator } from "./coordinator.ts";
import type { ExternalQueue } from "./external.ts";
import { jobTag } from "./job-tag.ts";
import { isForLocalstack } from "./localstack.ts";
import type { Cell, TaskFunctions } from "./task-functions.ts";

export interface JobObservabilityProps {
  readonly job: JobGraph;
  readonly props: CheckedProps;
  readonly tasks: TaskFunctions;
  readonly coordinator: JobCoordinator;
  /** By name of the events: the queue of what a rule could not hand over. */
  readonly undelivered: ReadonlyMap<string, ExternalQueue>;
}

export class JobObservability extends Construct {
  readonly alarms: readonly Alarm[];

  constructor(scope: Construct, id: string, all: JobObservabilityProps) {
    super(scope, id);
    const { job, props, tasks } = all;
    if (isForLocalstack(this)) {
      this.alarms = [];
      return;
    }
    this.alarms = [
      ...alarmsOf(job, props).map((spec) => this.#jobAlarm(spec, all)),
      ...tasks.cells.flatMap((cell) => this.#ages(cell, all)),
      ...[...all.undelivered].map(([name, queue]) => this.#undelivered(name, queue, all)),
      this.#throttles(all),
    ];
    if (props.dashboard) this.#dashboard(all);
    if (props.monthlyBudget !== undefined) this.#budget(all);
  }

  /** How far behind a cell is, by what each kind of mapping tells. */
  #ages(cell: Cell, all: JobObservabilityProps): readonly Alarm[] {
    const bells = cell.mappings.map(({ bell }) => bell);
    const ofShards = bells.filter(({ kind }) => kind === "stream" || kind === "table");
    const ofQueues = cell.mappings.flatMap(({ bell, mapping }) =>
      bell.kind === "queue" ? [this.#messageAge(`${cell.stage}-${mapping.node.id}`, bell, all)] : [],
    );
    const ofTopics = bells.some(({ kind }) => kind === "kafka") ? [this.#offsetLag(cell, all)] : [];
    return [...(ofShards.length > 0 ? [this.#iteratorAge(cell, ofShards, all)] : []), ...ofQueues, ...ofTopics];
  }

  #jobAlarm(spec: AlarmSpec, { job, props }: JobObservabilityProps): Alarm {
    const { id, metric, statistic, threshold, periodMinutes, periods, missing, says } = spec;
    return this.#alarm(id, says, props, {
      metric: jobMetric(job, metric, { statistic, period: Duration.minutes(periodMinutes) }),
      threshold,
      evaluationPeriods: periods,
      treatMissingData: missing === "breaching" ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
    });
  }

  /** Half of what the stream that keeps its records for the shortest time allows (L4). */
  #iteratorAge(
    { stage, cell, function: { function: target } }: Cell,
    bells: readonly Bell[],
    { props }: JobObservabilityProps,
  ): Alarm {
    const hours = Math.min(...bells.map((bell) => retentionHoursOf(bell)!));
    return this.#alarm(
      `${iteratorAge.id}-${stage}-${cell}`,
      iteratorAge.says,
      props,
      {
        metric: target.metric("IteratorAge", { statistic: "Maximum", period: Duration.minutes(1) }),
        threshold: Duration.hours(hours).toMilliseconds() / 2,
        evaluationPeriods: 1,
        treatMissingData: TreatMissingData.NOT_BREACHING,
      },
      iteratorAge.id,
    );
  }

  /** The same of a queue, by its oldest message. */
  #messageAge(id: string, bell: Extract<Bell, { kind: "queue" }>, { props }: JobObservabilityProps): Alarm {
    return this.#alarm(
      `${iteratorAge.id}-${id}`,
      iteratorAge.says,
      props,
      {
        metric: queueMetric(bell.queue, "ApproximateAgeOfOldestMessage"),
        threshold: (retentionHoursOf(bell)! * 3600) / 2,
        evaluationPeriods: 1,
        treatMissingData: TreatMissingData.NOT_BREACHING,
      },
      iteratorAge.id,
    );
  }

  /** Of the topic that is furthest behind: a mapping of Kafka tells how many records wait, not how old they are. */
  #offsetLag({ stage, cell, function: { function: target } }: Cell, { props }: JobObservabilityProps): Alarm {
    return this.#alarm(
      `${offsetLag.id}-${stage}-${cell}`,
      offsetLag.says,
      props,
      {
        metric: target.metric("OffsetLag", { statistic: "Maximum", period: Duration.minutes(5) }),
        threshold: props.offsetLagMax,
        evaluationPeriods: 3,
        treatMissingData: TreatMissingData.NOT_BREACHING,
      },
      offsetLag.id,
    );
  }

  /** Events that a rule could not hand over to its queue within a day. */
  #undelivered(name: string, queue: ExternalQueue, { props }: JobObservabilityProps): Alarm {
    return this.#alarm(
      `${eventsUndelivered.id}-${name}`,
      eventsUndelivered.says,
      props,
      {
        metric: queueMetric(queue, "ApproximateNumberOfMessagesVisible"),
        threshold: 0,
        evaluationPeriods: 1,
        treatMissingData: TreatMissingData.NOT_BREACHING,
      },
      eventsUndelivered.id,
    );
  }

  /** Of a function with reserved concurrency, throttling is what was asked for: the coordinator alone is looked at then. */
  #throttles({ props, tasks, coordinator }: JobObservabilityProps): Alarm {
    const looked = props.reservedConcurrency === undefined ? tasks.cells.map((cell) => cell.function) : [];
    const sums = [coordinator.function, ...looked].map(({ function: target }) =>
      target.metricThrottles({ statistic: "Sum", period: Duration.minutes(5) }),
    );
    return this.#alarm(throttles.id, throttles.says, props, {
      metric: sumOf(sums.slice(0, metricsPerAlarmMax)),
      threshold: 0,
      evaluationPeriods: 3,
      treatMissingData: TreatMissingData.NOT_BREACHING,
    });
  }

  #alarm(
    id: string,
    says: string,
    { alarmTopic }: CheckedProps,
    rule: {
      readonly metric: IMetric;
      readonly threshold: number;
      readonly evaluationPeriods: number;
      readonly treatMissingData: TreatMissingData;
    },
    section = id,
  ): Alarm {
    const alarm = new Alarm(this, id, {
      ...rule,
      comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
      alarmDescription: `${says}. See ${runbookSection(section)}`,
    });
    if (alarmTopic !== undefined) {
      const action = new SnsAction(alarmTopic);
      alarm.addAlarmAction(action);
      alarm.addOkAction(action);
    }
    return alarm;
  }

  #dashboard({ job, tasks }: JobObservabilityProps): void {
    const graph = (title: string, left: IMetric[], unit?: string) =>
      new GraphWidget({ title, left, width: 8, leftYAxis: { min: 0, ...(unit && { label: unit, showUnits: false }) } });
    const sum = (...names: AlarmSpec["metric"][]) => names.map((name) => jobMetric(job, name, { statistic: "Sum" }));
    const most = (name: AlarmSpec["metric"]) => [jobMetric(job, name, { statistic: "Maximum" })];
    const { cells } = tasks;
    const ofCells = (metric: string, statistic: string) =>
      cells.map(({ stage, cell, function: { function: target } }) =>
        target.metric(metric, { statistic, label: `${stage} ${cell}` }),
      );
    new Dashboard(this, "Dashboard", {
      dashboardName: Names.uniqueResourceName(this, { maxLength: 100 }),
      defaultInterval: Duration.hours(3),
      widgets: [
        [
          new TextWidget({
            markdown: `# ${job.name}\n\n${job.stages.map(({ id }) => id).join(" → ")}. What to do: docs/operations/runbook.md`,
            width: 24,
            height: 3,
          }),
        ],
        [
          graph("Records", sum("Records", "Commits")),
          graph("Watermark lag", most("WatermarkLag"), "ms"),
          graph("Checkpoint age", most("CheckpointAge"), "ms"),
        ],
        [
          graph("Put aside and dropped", sum("DeadLetters", "LateDropped", "SourceGap")),
          graph("Errors", sum("Invalid", "Corrupt", "Fenced", "Unavailable", "UserErrors", "InternalErrors")),
          graph("Repeated and lost", sum("EffectsRepeated", "BatchesRerun", "RacesLost")),
        ],
        [
          graph("Age of records", ofCells("IteratorAge", "Maximum"), "ms"),
          graph("Duration", ofCells("Duration", "p99"), "ms"),
          graph("Use of the fullest ring", most("RingUse"), "%"),
        ],
      ],
    });
  }

  #budget({ job, props }: JobObservabilityProps): void {
    new CfnBudget(this, "Budget", {
      budget: {
        budgetType: "COST",
        timeUnit: "MONTHLY",
        budgetLimit: { amount: props.monthlyBudget!, unit: "USD" },
        costFilters: { TagKeyValue: [`user:${jobTag}$${job.name}`] },
      },
      notificationsWithSubscribers: [
        {
          notification: {
            notificationType: "FORECASTED",
            comparisonOperator: "GREATER_THAN",
            threshold: 100,
            thresholdType: "PERCENTAGE",
          },
          subscribers: [{ subscriptionType: "EMAIL", address: props.budgetEmail! }],
        },
      ],
    });
  }
}

/** CloudWatch's own limit for an alarm on an expression. */
const metricsPerAlarmMax = 10;

function sumOf(parts: readonly Metric[]): IMetric {
  if (parts.length === 1) return parts[0]!;
  const usingMetrics = Object.fromEntries(parts.map((part, n) => [`m${n}`, part]));
  return new MathExpression({ expression: "SUM(METRICS())", usingMetrics, period: Duration.minutes(5), label: "throttles" });
}

function queueMetric({ queueArn }: ExternalQueue, metricName: string): Metric {
  const QueueName = Fn.select(5, Fn.split(":", queueArn, 6));
  return new Metric({
    namespace: "AWS/SQS",
    metricName,
    dimensionsMap: { QueueName },
    statistic: "Maximum",
    period: Duration.minutes(5),
  });
}

function jobMetric(
  { name: job }: JobGraph,
  metricName: (typeof metrics)[number]["name"],
  props: Pick<MetricProps, "statistic" | "period">,
): Metric {
  return new Metric({ namespace: metricNamespace, metricName, dimensionsMap: { job }, ...props });
}
