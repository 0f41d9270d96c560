/** Port: counted units, levels and structured logs, without record contents. */
export interface Telemetry {
  add(unit: string, n: number, labels?: Readonly<Record<string, string>>): void;
  /** Something that stands at `value` now: the latest is what counts. */
  gauge(name: string, value: number): void;
  log(level: "info" | "warn" | "error", message: string, fields?: object): void;
}
