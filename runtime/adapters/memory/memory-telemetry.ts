/** Telemetry kept in memory: units added up by name and by name with labels, the latest of each level, logs in their order. */
import type { Telemetry } from "../../ports/telemetry.ts";

/** One line of the log. */
export interface LoggedLine {
  readonly level: "info" | "warn" | "error";
  readonly message: string;
  readonly fields: object;
}

export class MemoryTelemetry implements Telemetry {
  readonly lines: LoggedLine[] = [];
  readonly gauges = new Map<string, number>();
  #totals = new Map<string, number>();
  #labelled = new Map<string, number>();

  add(unit: string, n: number, labels?: Readonly<Record<string, string>>): void {
    this.#totals.set(unit, this.total(unit) + n);
    if (labels === undefined) return;
    const name = labelledName(unit, labels);
    this.#labelled.set(name, (this.#labelled.get(name) ?? 0) + n);
  }

  gauge(name: string, value: number): void {
    this.gauges.set(name, value);
  }

  log(level: "info" | "warn" | "error", message: string, fields: object = {}): void {
    this.lines.push({ level, message, fields });
  }

  /** The sum of a unit over all labels, or for exactly these labels. */
  total(unit: string, labels?: Readonly<Record<string, string>>): number {
    if (labels === undefined) return this.#totals.get(unit) ?? 0;
    return this.#labelled.get(labelledName(unit, labels)) ?? 0;
  }

  /** All units, by name, summed over all labels. */
  totals(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#totals].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** All units that were added with labels, by `unit{label=value,…}`. */
  labelledTotals(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#labelled].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

function labelledName(unit: string, labels: Readonly<Record<string, string>>): string {
  const parts = Object.keys(labels)
    .sort()
    .map((name) => `${name}=${labels[name]}`);
  return `${unit}{${parts.join(",")}}`;
}
