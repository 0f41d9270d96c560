/** What the connector tests share: a directory of their own, whole reads, an oracle of lines. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SystemClock } from "../../runtime/adapters/local/system-clock.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import type { DecodeTarget, Source, SourceRecord } from "../../runtime/api/connector.ts";
import { type Position, type ShardId, id } from "../../runtime/base/ids.ts";
import { openSource, type SourceContext } from "../../runtime/connectors/open-sources.ts";
import type { Pace } from "../../runtime/connectors/pace.ts";
import type { SourceReader } from "../../runtime/connectors/source-reader.ts";
import type { LogReader, ReadLimit } from "../../runtime/ports/log.ts";

export type After = Position | "horizon";

/** A record with all that is otherwise worked out when asked for. */
export interface PlainRecord {
  readonly position: string;
  readonly text: string | undefined;
  readonly bytes: string;
  readonly rejected?: string | undefined;
}

/** What sinks on one machine are given, where a test does not care. */
export function sinkParts(): { readonly job: string; readonly pace: Pace; readonly telemetry: MemoryTelemetry } {
  return { job: "job", pace: { clock: new SystemClock(), random: () => 0.5 }, telemetry: new MemoryTelemetry() };
}

export async function withDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "millrace-test-"));
  try {
    await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export function open(source: Source<any>, context: Partial<SourceContext> = {}): SourceReader {
  return openSource("source", source, new Map(), {
    clock: { now: () => 0 },
    spoolDirectory: "none",
    stdin: undefined,
    ...context,
  });
}

export async function readAll(
  reader: LogReader,
  stream: string,
  shard: string,
  from: string = "horizon",
  limit: ReadLimit = { records: 1000, bytes: 1 << 24 },
): Promise<PlainRecord[]> {
  const records: PlainRecord[] = [];
  let after: After | undefined = id<Position>(from) as After;
  while (after !== undefined) {
    const read = await reader.read(stream, id<ShardId>(shard), after, limit);
    if (read.records.length === 0 && read.next === after) throw new Error(`the reader makes no progress after ${after}`);
    records.push(...read.records.map(plain));
    after = read.next;
  }
  return records;
}

export function plain(record: SourceRecord): PlainRecord {
  const { position, bytes, text, rejected } = record;
  const base = { position, bytes: Buffer.from(bytes).toString("latin1") };
  return rejected === undefined ? { ...base, text } : { ...base, text, rejected };
}

/** What lines a file holds, said in the simplest way. */
export function linesOf(data: Buffer): PlainRecord[] {
  const records: PlainRecord[] = [];
  let start = 0;
  while (start < data.length) {
    const found = data.indexOf(10, start);
    const end = found < 0 ? data.length : found;
    const next = found < 0 ? data.length : found + 1;
    const marked = start === 0 && data.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf]));
    let bytes = data.subarray(marked ? 3 : start, end);
    if (bytes.at(-1) === 13) bytes = bytes.subarray(0, -1);
    if (bytes.length > 0) records.push({ position: String(next), bytes: bytes.toString("latin1"), text: bytes.toString("utf8") });
    start = next;
  }
  return records;
}

/** Keeps what a decoder finds. */
export class Decoded implements DecodeTarget<any> {
  readonly values: unknown[] = [];
  readonly rejections: string[] = [];
  accept(value: unknown): void {
    this.values.push(value);
  }
  reject(reason: string): void {
    this.rejections.push(reason);
  }
}

export function decode(source: Pick<Source<any>, "decode">, ...records: readonly Partial<SourceRecord>[]): Decoded {
  const decoded = new Decoded();
  const base = { position: "1", partitionKey: "", arrivalTime: 0, bytes: new Uint8Array(0) };
  for (const record of records) source.decode({ ...base, ...record }, decoded);
  return decoded;
}

export function encoded(text: string, header?: string): { bytes: Uint8Array; header?: string } {
  return header === undefined ? { bytes: Buffer.from(text) } : { bytes: Buffer.from(text), header };
}
