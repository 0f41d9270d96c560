/** When a job took in records of a stream, as its functions said: how long it stood still. */
import type { CloudEvent } from "../../../emulator/cloud/index.ts";

export class Progress {
  readonly #stream: string;
  /** Functions that the stream's mappings ring. */
  readonly #readers = new Set<string>();
  /** Rising, epoch ms. */
  readonly #times: number[] = [];

  constructor(stream: string) {
    this.#stream = stream;
  }

  take(event: CloudEvent): void {
    if (event.kind === "mapping" && event.streamName === this.#stream) this.#readers.add(event.functionName);
    if (event.kind !== "log" || !this.#readers.has(event.line.functionName)) return;
    if (recordsIn(event.line.text) > 0) this.#times.push(Date.now());
  }

  get lastAt(): number | undefined {
    return this.#times.at(-1);
  }

  /** The longest time between two invocations that took something in, of those that reach into the interval, ms. */
  standstill(from: number, to: number): number {
    const before = this.#times.findLast((at) => at <= from) ?? from;
    const after = this.#times.find((at) => at >= to) ?? Date.now();
    const times = [before, ...this.#times.filter((at) => at > before && at < after), after];
    return Math.max(...times.slice(1).map((at, n) => at - times[n]!));
  }
}

/** Of a line in CloudWatch's embedded metric format. */
function recordsIn(text: string): number {
  if (!text.startsWith("{") || !text.includes('"_aws"')) return 0;
  const { Records = 0 } = JSON.parse(text) as { readonly Records?: number | readonly number[] };
  return [Records].flat().reduce((sum: number, records) => sum + records, 0);
}
