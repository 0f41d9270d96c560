/**
 * A job that reads queues: rows as they are brought, at least once each, and what `firstOfKey` makes of them, once each. A queue keeps no order, so
 * nothing goes by event time.
 */
import { hours } from "../../runtime/api/duration.ts";
import { firstOfKey } from "../../runtime/api/first-of-key.ts";
import { appendSink, tableSink } from "../../runtime/testing/simulation/sinks.ts";
import { byKey, read } from "../../runtime/testing/simulation/topology.ts";
import { add, keyTotals, touched } from "../../runtime/testing/simulation/totals.ts";
import type { SimRecord } from "../../runtime/testing/simulation/workload.ts";
import type { DeploymentTopology } from "./deployment-topology.ts";

/** A record as a queue brings it. */
export interface QueuedRecord extends SimRecord {
  /** The same each time that it is brought. */
  readonly messageId: string;
}

/** Longer than any message is under way. */
const within = hours(30);

export const queued: DeploymentTopology = {
  name: "queued",
  sources: ["a", "b"],
  settings: { sources: "queues", mode: "streaming", reshardings: 0, staysOpen: true },
  poison: 0.03,
  build(job, touch) {
    const records = read(job, "a", touch).union(read(job, "b", touch));
    records.map("brought", ({ id }) => id).sinkTo("every", appendSink("every"));
    const once = records
      .keyBy((record) => (record as QueuedRecord).messageId)
      .process("once", firstOfKey<SimRecord, string>({ within }))
      .map("one", touched(touch));
    once.map("values", ({ key, total }) => ({ key, total })).sinkTo("rows", appendSink("rows"));
    once.keyBy(byKey).reduce("total", add).sinkTo("table", tableSink("table", byKey));
  },
  expect: (records) => ({
    lists: new Map([["rows", records.map(({ key, value: total }) => ({ key, total }))]]),
    tables: new Map([["table", keyTotals(records)]]),
  }),
  checkFurther({ records, sinks, fail }, when) {
    // One that kills behind this sink has come out there before.
    const known = new Set(records.map(({ id }) => String(id)));
    const found = new Set(sinks.list("every"));
    for (const id of found) if (!known.has(id)) fail(`C4: rows of every ${when}: ${id} is no record`);
    for (const { id, deadly } of records)
      if (deadly === undefined && !found.has(String(id))) fail(`C4: rows of every ${when}: record ${id} is missing`);
  },
};
