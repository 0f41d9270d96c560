/** The counting job from an NDJSON file, and what reading such a file costs without an engine. */
import { readFileSync, writeFileSync } from "node:fs";
import { boundedOutOfOrderness, count, defineJob, files, json, minutes, seconds, tumbling, type } from "../../runtime/index.ts";
import { SystemClock } from "../../runtime/adapters/local/system-clock.ts";
import { openSource } from "../../runtime/connectors/open-sources.ts";
import { type Outcome, rowSink, runJob } from "./engine.ts";
import type { Event } from "./events.ts";

export function writeLines(file: string, events: readonly Event[]): void {
  writeFileSync(file, `${events.map((event) => JSON.stringify(event)).join("\n")}\n`);
}

/** read + split + JSON.parse, and nothing done with the values. */
export function countLines(file: string): number {
  let lines = 0;
  for (const text of readFileSync(file, "utf8").split("\n")) if (text !== "" && JSON.parse(text) !== null) lines++;
  return lines;
}

/** The keyed 1-minute count over the file, on the memory adapter. */
export function runLines(file: string): Promise<Outcome> {
  const source = files({ paths: file, format: json(type<Event>()) });
  const job = defineJob("counts-lines", (builder) => {
    builder
      .source("events", source, { timestamps: (event) => event.at, watermarks: boundedOutOfOrderness(seconds(2)) })
      .keyBy((event) => event.key)
      .window(tumbling(minutes(1)))
      .aggregate("counts", count(), (key, window, n) => [key, window.start, n] as const)
      .sinkTo("rows", rowSink());
  });
  const context = { clock: new SystemClock(), spoolDirectory: "", stdin: undefined };
  return runJob(job, openSource("events", source, new Map(), context), {});
}
