/** Everything the driver asks of the outside, handed over once. */
import type { Blobs } from "./blobs.ts";
import type { Clock } from "./clock.ts";
import type { Journal } from "./journal.ts";
import type { Log, LogReader } from "./log.ts";
import type { Pages } from "./pages.ts";
import type { SinkDriver } from "./sink-driver.ts";
import type { Telemetry } from "./telemetry.ts";

export interface Ports {
  /** The inbox streams, one per stage that is fed by an exchange. */
  readonly log: Log;
  readonly journal: Journal;
  readonly pages: Pages;
  readonly blobs: Blobs;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly sinks: SinkDriver;
  /** The reader of a source, by operator uid; its stream name is the source's logical name. */
  source(uid: string): LogReader;
}
