/** The package `millrace/producer`: what an application imports to put events into a stream. */
export { openProducer, Producer, type ProducerEvent, type ProducerOptions, type ProducerParts } from "./producer.ts";
export type { Placement } from "./event.ts";
export type { ProducerCounts } from "./sender.ts";
export type { PutResult, Stream } from "./stream.ts";
export type { PackedRecord } from "./pack.ts";
export { json, ndjson } from "../runtime/connectors/formats/json.ts";
export { csv, type CsvOptions } from "../runtime/connectors/formats/csv.ts";
export type { Format } from "../runtime/connectors/formats/format.ts";
export { type ErrorKind, isKind, MillraceError } from "../runtime/base/errors.ts";
