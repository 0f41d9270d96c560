/** What a mapping tells of its work: events as they happen, and AWS's counts of them. */
import type { Discard } from "./on-failure.ts";

export type MappingEvent =
  | { readonly kind: "shardStarted" | "shardEnded"; readonly shardId: string }
  | { readonly kind: "polled"; readonly shardId: string; readonly records: number; readonly filteredOut: number }
  | {
      readonly kind: "invoked";
      readonly shardId: string;
      /** Empty: the last of a window. */
      readonly sequenceNumbers: readonly string[];
      readonly payloadBytes: number;
      readonly outcome: "success" | "partial" | "failure" | "throttled" | "tooLarge" | "notSent";
      /** Of an outcome that is no success. */
      readonly why: string | undefined;
      /** Age of the last record when its batch was done. */
      readonly iteratorAgeMs: number;
      /** A second delivery that the faults asked for; nothing hangs on its outcome. */
      readonly isDuplicate: boolean;
    }
  | { readonly kind: "discarded"; readonly discard: Discard; readonly delivery: "delivered" | "failed" | "none" }
  /** The faults made the mapping go back: these records come again. */
  | { readonly kind: "wentBack"; readonly shardId: string; readonly sequenceNumbers: readonly string[] }
  | { readonly kind: "checkpoint"; readonly shardId: string; readonly sequenceNumber: string }
  | { readonly kind: "problem"; readonly message: string };

/**
 * Counts of records, by the names of CloudWatch's metrics of mappings.
 *
 * Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
 */
export interface MappingMetrics {
  polledEventCount: number;
  filteredOutEventCount: number;
  invokedEventCount: number;
  failedInvokeEventCount: number;
  droppedEventCount: number;
  onFailureDestinationDeliveredEventCount: number;
  /** Of invocation records. */
  destinationDeliveryFailures: number;
  /** Of the batch that ended last. */
  iteratorAgeMs: number;
}

export function noMetrics(): MappingMetrics {
  return {
    polledEventCount: 0,
    filteredOutEventCount: 0,
    invokedEventCount: 0,
    failedInvokeEventCount: 0,
    droppedEventCount: 0,
    onFailureDestinationDeliveredEventCount: 0,
    destinationDeliveryFailures: 0,
    iteratorAgeMs: 0,
  };
}

/** Adds an event to the counts. */
export function countEvent(metrics: MappingMetrics, event: MappingEvent): void {
  switch (event.kind) {
    case "polled":
      metrics.polledEventCount += event.records;
      metrics.filteredOutEventCount += event.filteredOut;
      return;
    case "invoked": {
      if (event.isDuplicate) return;
      const records = event.sequenceNumbers.length;
      metrics.iteratorAgeMs = event.iteratorAgeMs;
      if (event.outcome === "success" || event.outcome === "partial" || event.outcome === "failure")
        metrics.invokedEventCount += records;
      if (event.outcome === "failure" || event.outcome === "partial") metrics.failedInvokeEventCount += records;
      return;
    }
    case "discarded":
      metrics.droppedEventCount += event.discard.count;
      if (event.delivery === "delivered") metrics.onFailureDestinationDeliveredEventCount += event.discard.count;
      if (event.delivery === "failed") metrics.destinationDeliveryFailures++;
      return;
    default:
  }
}
