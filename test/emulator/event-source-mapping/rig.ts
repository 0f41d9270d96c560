/** A mapping over a stream in memory and a function in this process, all on one virtual clock. */
import { EnvironmentPool, type EnvironmentPoolOptions } from "../../../emulator/lambda/environment-pool.ts";
import { inProcessEnvironments, type InProcessHandler } from "../../../emulator/lambda/in-process-environment.ts";
import {
  EventSourceMapping,
  type EventSourceMappingOptions,
  type MappingEvent,
  type MappingSettings,
  MemoryStream,
  VirtualClock,
} from "../../../emulator/event-source-mapping/index.ts";

export interface RigOptions extends Partial<Omit<EventSourceMappingOptions, "settings" | "stream" | "invoker" | "clock">> {
  readonly settings?: Partial<MappingSettings>;
  readonly shards?: number;
  readonly retentionMs?: number;
  /** Of every environment; default: returns nothing. */
  readonly handler?: InProcessHandler;
  readonly pool?: Partial<EnvironmentPoolOptions>;
  /** Default true: a queue. */
  readonly hasDestination?: boolean;
}

/** What the function was handed, and when. */
export interface Call {
  readonly at: number;
  readonly event: any;
  /** The records' data as text. */
  readonly data: readonly string[];
}

export interface Rig {
  readonly clock: VirtualClock;
  readonly stream: MemoryStream;
  readonly pool: EnvironmentPool;
  readonly mapping: EventSourceMapping;
  readonly calls: Call[];
  readonly events: MappingEvent[];
  /** What the destination got, parsed, with the key of S3. */
  readonly discards: { readonly key: string | undefined; readonly record: any }[];
  /** Seconds since the rig was made. */
  seconds(at?: number): number;
  /** The data of all calls, in order. */
  delivered(): readonly (readonly string[])[];
  stop(): Promise<void>;
}

export function makeRig(options: RigOptions = {}): Rig {
  const {
    handler = () => undefined,
    shards = 1,
    retentionMs,
    settings,
    hasDestination = true,
    pool: poolOptions,
    ...rest
  } = options;
  const clock = new VirtualClock();
  const begin = clock.now();
  const stream = new MemoryStream({ clock, shards, ...(retentionMs === undefined ? {} : { retentionMs }) });
  const calls: Call[] = [];
  const events: MappingEvent[] = [];
  const discards: Rig["discards"] = [];
  const factory = inProcessEnvironments({
    clock,
    start: () => (event, context) => {
      calls.push({ at: clock.now(), event: structuredClone(event), data: dataOf(event) });
      return handler(event, context);
    },
  });
  const pool = new EnvironmentPool({ factory, clock, timeoutMs: 60_000, ...poolOptions });
  const take = (record: string, key?: string) => {
    discards.push({ key, record: JSON.parse(record) });
    return Promise.resolve();
  };
  const mapping = new EventSourceMapping({
    stream,
    invoker: pool,
    clock,
    settings: { startingPosition: "TRIM_HORIZON", ...settings },
    ...(hasDestination ? { onFailure: { kind: "sqs", send: (message) => take(message) } } : {}),
    ...rest,
    onEvent: (event) => {
      events.push(event);
      rest.onEvent?.(event);
    },
  });
  return {
    clock,
    stream,
    pool,
    mapping,
    calls,
    events,
    discards,
    seconds: (at = clock.now()) => (at - begin) / 1000,
    delivered: () => calls.map(({ data }) => data),
    stop: async () => {
      await clock.until(mapping.stop());
      await pool.stop();
    },
  };
}

export function dataOf(event: any): readonly string[] {
  return event.Records.map((record: any) => Buffer.from(record.kinesis.data, "base64").toString());
}

/** The sequence numbers of an event. */
export function sequenceNumbersOf(event: any): readonly string[] {
  return event.Records.map((record: any) => record.kinesis.sequenceNumber);
}

/** Puts the numbers from 0 as data, all of one key. */
export function putNumbers(stream: MemoryStream, count: number, from = 0): readonly string[] {
  const data = Array.from({ length: count }, (_, n) => String(from + n));
  for (const text of data) stream.put("key", text);
  return data;
}
