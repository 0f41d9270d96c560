/** The ports in memory, all with one clock: for tests, benchmarks and simulation. The counterpart of `openLocal`. */
import type { Clock } from "../../ports/clock.ts";
import { ManualClock } from "./manual-clock.ts";
import { MemoryBlobs } from "./memory-blobs.ts";
import { MemoryJournal } from "./memory-journal.ts";
import { MemoryLog } from "./memory-log.ts";
import { MemoryPages } from "./memory-pages.ts";
import { MemoryTelemetry } from "./memory-telemetry.ts";

export interface MemoryOptions<C extends Clock = Clock> {
  readonly clock?: C;
  readonly ringSize?: number;
  readonly maxRecordBytes?: number;
  /** Shards by the name of streams to create at once. */
  readonly streams?: Readonly<Record<string, number>>;
}

export interface MemoryPorts<C extends Clock = Clock> {
  readonly log: MemoryLog;
  readonly journal: MemoryJournal;
  readonly pages: MemoryPages;
  readonly blobs: MemoryBlobs;
  readonly clock: C;
  readonly telemetry: MemoryTelemetry;
}

/** Fresh and empty ports; the clock is a `ManualClock` at 0 unless one is passed in. */
export function openMemory<C extends Clock = ManualClock>(options: MemoryOptions<C> = {}): MemoryPorts<C> {
  const clock = options.clock ?? (new ManualClock() as Clock as C);
  return {
    log: new MemoryLog({ ...options, clock }),
    journal: new MemoryJournal(options),
    pages: new MemoryPages(),
    blobs: new MemoryBlobs({ clock }),
    clock,
    telemetry: new MemoryTelemetry(),
  };
}
