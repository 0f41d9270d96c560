/** Page views as an NDJSON file, of which the counting job reads the key and the time; and the plainest program that reads it. */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { SystemClock } from "../../runtime/adapters/local/system-clock.ts";
import { openSource } from "../../runtime/connectors/open-sources.ts";
import { files, json } from "../../runtime/index.ts";
import type { Input } from "./engine.ts";
import { type Event, generateEvents } from "./events.ts";

export function writeNdjson(path: string, count: number, keys: number): void {
  const file = openSync(path, "w");
  let lines = "";
  let n = 0;
  for (const { key, at } of generateEvents(count, keys)) {
    const page = `/shop/${(n * 7919) % 5000}`;
    lines += `${JSON.stringify({ id: n, key, page, amount: n % 97, at, tags: ["a", "b"], agent: "Mozilla/5.0 (X11; Linux x86_64)" })}\n`;
    if (++n % 10_000 === 0 || n === count) {
      writeSync(file, lines);
      lines = "";
    }
  }
  closeSync(file);
}

/** The file through the files source and the JSON format. */
export function ndjsonInput(path: string): Input {
  const source = files({ paths: path, format: json<Event>() });
  return {
    source,
    reader: openSource("events", source, new Map(), { clock: new SystemClock(), spoolDirectory: "", stdin: undefined }),
  };
}

/** Read + split + JSON.parse: the values, of which nothing is made. Returns how many there are. */
export function parseNdjson(path: string): number {
  let values = 0;
  for (const line of readFileSync(path, "utf8").split("\n")) if (line !== "" && JSON.parse(line) !== null) values++;
  return values;
}
