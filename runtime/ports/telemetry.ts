/** Port: counted units and structured logs, without record contents. */
export interface Telemetry {
  add(unit: string, n: number, labels?: Readonly<Record<string, string>>): void;
  log(level: "info" | "warn" | "error", message: string, fields?: object): void;
}
