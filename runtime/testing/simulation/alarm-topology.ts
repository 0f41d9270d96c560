/** A job of timers that kill: each is of the records of one key and time alone, and takes nothing else with it. */
import { keyedProcess, type } from "../../api/functions.ts";
import { map } from "../../api/state.ts";
import { appendSink } from "./sinks.ts";
import { byKey, read, type Topology } from "./topology.ts";
import type { SimRecord } from "./workload.ts";

/** Event time at which the timer of a record fires. */
export function alarmOf({ at }: SimRecord): number {
  return at + 30;
}

export const alarms: Topology = {
  name: "alarms",
  sources: ["a"],
  deadly: ["timestamp", "keyed", "timer", "timer", "timer"],
  build(job, touch) {
    const alarm = keyedProcess({
      key: type<string>(),
      state: { waiting: map<number, readonly SimRecord[]>() },
      output: type<number>(),
      onRecord(record: SimRecord, { state: { waiting }, timers }) {
        touch(record, "keyed");
        const at = alarmOf(record);
        waiting.set(at, [...(waiting.get(at) ?? []), record]);
        timers.eventTime(at);
      },
      onTimer(at, ctx) {
        const { waiting } = ctx.state;
        for (const record of waiting.get(at) ?? []) {
          touch(record, "timer");
          ctx.emit(record.id);
        }
        waiting.delete(at);
      },
    });
    read(job, "a", touch).keyBy(byKey).process("alarm", alarm).sinkTo("rows", appendSink("rows"));
  },
  expect(records, timers) {
    const nameOf = (record: SimRecord) => `${record.key} ${alarmOf(record)}`;
    const dead = new Set(timers.map(nameOf));
    const ids = records.filter((record) => !dead.has(nameOf(record))).map(({ id }) => id);
    return { lists: new Map([["rows", ids]]), tables: new Map() };
  },
};
