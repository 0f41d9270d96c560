/**
 * Telemetry of a function: counts of one invocation become one line of CloudWatch's embedded metric format, logs become lines of JSON.
 *
 * T1 Nothing of a record's contents is given to it: fields are names, positions, counts and kinds of error.
 * T2 What is counted, or a level, and is no metric (the ports' units) stands in the same line as its properties: it costs no metric.
 */
import { Logger } from "@aws-lambda-powertools/logger";
import { Metrics, MetricUnit } from "@aws-lambda-powertools/metrics";
import type { Telemetry } from "../runtime/ports/telemetry.ts";
import { alwaysWritten, metricNamespace, metrics } from "./metrics.ts";

/** Which function it is of. */
export interface Origin {
  readonly job: string;
  readonly stage: string;
  readonly cell: number;
}

/** What the handlers need of telemetry beside the port. */
export interface InvocationTelemetry extends Telemetry {
  /** Writes what the invocation has counted. */
  flush(): void;
}

/** Of what is counted with labels, the sum over all; of tables, by the part that uses them, since journal and pages cost apart. */
function propertyOf(unit: string, labels: Readonly<Record<string, string>> | undefined): string {
  return labels?.part === undefined ? unit : `${unit}.${labels.part}`;
}

/** Sums of parts of a second without their last digits, which say nothing. */
function textOf(count: number): string {
  return String(Number(count.toPrecision(12)));
}

const specs = new Map(metrics.map((spec) => [spec.of as string, spec]));

export class FunctionTelemetry implements InvocationTelemetry {
  readonly #logger: Logger;
  readonly #metrics: Metrics;
  readonly #origin: Origin;
  readonly #counts = new Map<string, number>();
  readonly #levels = new Map<string, number>();

  constructor(origin: Origin) {
    const { job, stage, cell } = origin;
    this.#origin = origin;
    this.#logger = new Logger({ serviceName: job, persistentKeys: { stage, cell } });
    this.#metrics = new Metrics({ namespace: metricNamespace, serviceName: job });
    this.#metrics.clearDefaultDimensions();
    this.#metrics.setDefaultDimensions({ job });
  }

  add(unit: string, n: number, labels?: Readonly<Record<string, string>>): void {
    const name = specs.has(unit) ? unit : propertyOf(unit, labels);
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + n);
  }

  gauge(name: string, value: number): void {
    this.#levels.set(name, value);
  }

  log(level: "info" | "warn" | "error", message: string, fields: object = {}): void {
    this.#logger[level](message, { ...fields });
  }

  flush(): void {
    const isEmpty = this.#counts.size === 0 && this.#levels.size === 0;
    if (isEmpty) return;
    for (const spec of metrics) this.#measure(spec);
    for (const [name, value] of [...this.#counts, ...this.#levels])
      if (!specs.has(name)) this.#metrics.addMetadata(name, textOf(value));
    const { stage, cell } = this.#origin;
    this.#metrics.addMetadata("stage", stage).addMetadata("cell", String(cell));
    this.#metrics.publishStoredMetrics();
    this.#counts.clear();
    this.#levels.clear();
  }

  #measure({ name, unit, of, kind }: (typeof metrics)[number]): void {
    // A line needs a metric: without those that are always written, an invocation's units would be lost with it.
    const value = (kind === "sum" ? this.#counts : this.#levels).get(of) ?? 0;
    if (value !== 0 || alwaysWritten.has(name)) this.#metrics.addMetric(name, MetricUnit[unit], value);
  }
}
