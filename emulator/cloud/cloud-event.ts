/** What happens in an emulated cloud, as whoever watches it is told. */
import type { MappingEvent } from "../event-source-mapping/mapping-events.ts";
import type { DroppedEvent } from "../lambda/async-invocations.ts";
import type { InvocationReport, LogLine } from "../lambda/process-environment.ts";
import type { QueueMappingEvent } from "../messaging/queue-mapping.ts";

export type CloudEvent =
  | { readonly kind: "log"; readonly line: LogLine }
  | { readonly kind: "report"; readonly report: InvocationReport }
  | {
      readonly kind: "mapping";
      readonly functionName: string;
      /** Of a table's mapping "table <name>". */
      readonly streamName: string;
      readonly event: MappingEvent;
    }
  | {
      readonly kind: "queueMapping";
      readonly functionName: string;
      readonly queueName: string;
      readonly event: QueueMappingEvent;
    }
  | { readonly kind: "scheduled"; readonly schedule: string; readonly functionName: string }
  /** An asynchronous event that was given up. */
  | { readonly kind: "dropped"; readonly dropped: DroppedEvent };
