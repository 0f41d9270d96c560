/**
 * What a run took: counted from what functions write (docs/operations/metrics.md) and from what Lambda would bill. What a killed
 * invocation had counted is gone with it, as on AWS.
 */
import type { CloudEvent } from "../../emulator/cloud/index.ts";

/** USD at list prices of us-east-1. Streams by the hour are not in it: they cost the same whatever is done. */
const prices = {
  wru: 0.625e-6,
  rru: 0.125e-6,
  s3Put: 5e-6,
  s3Get: 0.4e-6,
  putUnit: 0.014e-6,
  invocation: 0.2e-6,
  /** arm64. */
  gbSecond: 0.0000133334,
} as const;

export type Unit = keyof typeof prices;
export type Units = Readonly<Record<Unit, number>>;

export class Figures {
  readonly startedAt = Date.now();
  /** By name: metrics and units of functions, added up. */
  readonly counts = new Map<string, number>();
  invocations = 0;
  gbSeconds = 0;
  /** Invocations that did not return. */
  failures = 0;
  coldStarts = 0;
  duplicates = 0;

  take(event: CloudEvent): void {
    if (event.kind === "log") this.#takeLine(event.line.text);
    if (event.kind === "report") {
      const { durationMs, memoryMb, outcome, initMs } = event.report;
      this.invocations++;
      this.gbSeconds += ((durationMs + (initMs ?? 0)) / 1000) * (memoryMb / 1024);
      if (outcome !== "returned") this.failures++;
      if (initMs !== undefined) this.coldStarts++;
    }
    if (
      event.kind === "mapping" &&
      (event.event.kind === "wentBack" || (event.event.kind === "invoked" && event.event.isDuplicate))
    )
      this.duplicates++;
  }

  count(name: string): number {
    return this.counts.get(name) ?? 0;
  }

  get units(): Units {
    const ofParts = (unit: string) => sum([...this.counts].filter(([name]) => name.startsWith(unit)).map(([, count]) => count));
    return {
      wru: ofParts("dynamodb.wru"),
      rru: ofParts("dynamodb.rru"),
      s3Put: this.count("s3.put") + this.count("s3.list"),
      s3Get: this.count("s3.get"),
      putUnit: this.count("kinesis.putUnits"),
      invocation: this.invocations,
      gbSecond: this.gbSeconds,
    };
  }

  /** One line of CloudWatch's embedded metric format: numbers are metrics, texts of digits are units. */
  #takeLine(text: string): void {
    if (!text.startsWith("{") || !text.includes('"_aws"')) return;
    for (const [name, value] of Object.entries(JSON.parse(text) as object)) {
      const count = Array.isArray(value) ? sum(value.map(Number)) : Number(value);
      if (name === "cell" || !["number", "string", "object"].includes(typeof value) || !Number.isFinite(count)) continue;
      this.counts.set(name, this.count(name) + count);
    }
  }
}

/** USD. */
export function costOf(units: Units): number {
  return sum(Object.entries(prices).map(([unit, price]) => units[unit as Unit] * price));
}

export function describeUnits(units: Units): string {
  return Object.entries(units)
    .map(([unit, count]) => `${unit} ${count < 100 ? Number(count.toFixed(1)) : Math.round(count)}`)
    .join(", ");
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
