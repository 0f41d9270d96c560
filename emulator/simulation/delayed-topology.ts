/**
 * A job that gives by the clock alone: each record some seconds after it came, whether or not anything else comes. So it would put something out
 * at any time, also while it is being stopped.
 */
import { keyedProcess, type } from "../../runtime/api/functions.ts";
import { map } from "../../runtime/api/state.ts";
import { atTheEnd } from "../../runtime/testing/simulation/by-the-clock.ts";
import { appendSink } from "../../runtime/testing/simulation/sinks.ts";
import { byKey, read } from "../../runtime/testing/simulation/topology.ts";
import type { SimRecord, Touch } from "../../runtime/testing/simulation/workload.ts";
import type { DeploymentTopology } from "./deployment-topology.ts";

/** About as long as it takes to come to a stop. */
function delayMsOf({ id }: SimRecord): number {
  return 500 * (1 + (id % 6));
}

function delayed(touch: Touch) {
  return keyedProcess({
    key: type<string>(),
    state: { kept: map<number, number>() },
    output: type<number>(),
    onRecord(record: SimRecord, { state: { kept }, timers, processingTime }) {
      touch(record, "keyed");
      const due = processingTime + delayMsOf(record);
      kept.set(record.id, due);
      timers.processingTime(due);
      timers.eventTime(atTheEnd);
    },
    onTimer(at, { state: { kept }, emit }) {
      for (const [id, due] of [...kept.entries()]) {
        if (due > at && at !== atTheEnd) continue;
        emit(id);
        kept.delete(id);
      }
    },
  });
}

export const delayedRows: DeploymentTopology = {
  name: "delayed",
  sources: ["a"],
  settings: { sources: "streams", mode: "streaming", staysOpen: true, operations: 5 },
  build(job, touch) {
    const rows = read(job, "a", touch).keyBy(byKey).process("delayed", delayed(touch));
    rows.sinkTo("rows", appendSink("rows"));
    rows
      .rebalance()
      .map("behind", (id) => id)
      .sinkTo("again", appendSink("again"));
  },
  expect(records) {
    const ids = records.map(({ id }) => id);
    return { lists: new Map([["rows", ids]]).set("again", ids), tables: new Map() };
  },
};
