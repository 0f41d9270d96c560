/** Lambda's event source mapping for Kinesis, for tests and laptops. */
export { type Clock, systemClock } from "../clock.ts";
export { VirtualClock } from "../virtual-clock.ts";
export {
  type Checkpoints,
  EventSourceMapping,
  type EventSourceMappingOptions,
  type MappingState,
  type MappingTimings,
  shardEnd,
} from "./event-source-mapping.ts";
export type { DeliveryFaults } from "./faults.ts";
export { KinesisStream } from "./kinesis-stream.ts";
export type { MappingEvent, MappingMetrics } from "./mapping-events.ts";
export { MemoryStream, type MemoryStreamOptions } from "./memory-stream.ts";
export type { Discard, OnFailureDestination } from "./on-failure.ts";
export type { MappingSettings } from "./settings.ts";
export type { ReadBatch, ReadFrom, SourceStream, StreamRecord, StreamShard } from "./source-stream.ts";
