/** The console as a sink: for looking at what a job does. */
import type { ChangeKind, Mode, Sink, SinkWriter } from "../../api/connector.ts";
import { encodeJsonLine } from "../formats/json.ts";

/**
 * Rows as lines of JSON on standard output. Of a changelog, an insertion is its row, any other change is written as
 * {"kind":"+U","value":…}. At least once: a line is repeated when the process ends between a commit and its effects.
 */
export function consoleSink<T>(): Sink<T, Mode> {
  return {
    kind: "console",
    name: "console",
    guarantee: "atLeastOnce",
    options: {},
    accepts: ["append", "upsert", "retract"],
    createWriter: () => new ConsoleSinkWriter(),
  };
}

class ConsoleSinkWriter implements SinkWriter<unknown> {
  #lines: Uint8Array[] = [];

  add(value: unknown, _timestamp: number | undefined, kind: ChangeKind): void {
    this.#lines.push(encodeJsonLine(kind === "+I" ? value : { kind, value }));
  }

  flush(): readonly Uint8Array[] {
    if (this.#lines.length === 0) return [];
    const payload = Buffer.concat(this.#lines);
    this.#lines = [];
    return [payload];
  }

  state(): undefined {
    return undefined;
  }

  restore(): void {
    this.#lines = [];
  }
}
