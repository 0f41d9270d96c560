/**
 * A job whose dead letters are given back once its code takes them: every record comes out once, of each key in the order in which they came, and
 * those that were given back in the order of their own.
 */
import { keyedProcess, type } from "../../runtime/api/functions.ts";
import { list } from "../../runtime/api/state.ts";
import { appendSink, tableSink } from "../../runtime/testing/simulation/sinks.ts";
import { byKey, read } from "../../runtime/testing/simulation/topology.ts";
import type { SimRecord, Touch } from "../../runtime/testing/simulation/workload.ts";
import type { DeploymentTopology } from "./deployment-topology.ts";

interface Seen {
  readonly key: string;
  readonly ids: readonly number[];
}

function seenOfKey(touch: Touch) {
  return keyedProcess({
    key: type<string>(),
    state: { seen: list<number>() },
    output: type<Seen>(),
    onRecord(record: SimRecord, { key, state: { seen }, emit }) {
      touch(record, "keyed");
      seen.add(record.id);
      emit({ key, ids: [...seen.get()] });
    },
  });
}

export const redriven: DeploymentTopology = {
  name: "redriven",
  sources: ["a", "b"],
  asTheyCome: true,
  settings: { realSinks: true, mode: "streaming" },
  poison: 0.05,
  isMendable: true,
  build(job, touch) {
    const seen = read(job, "a", touch)
      .union(read(job, "b", touch))
      .keyBy(byKey)
      .process("seen", seenOfKey(touch));
    seen.map("last", ({ key, ids }) => ({ key, id: ids.at(-1)! })).sinkTo("rows", appendSink("rows"));
    seen.sinkTo("order", tableSink("order", byKey));
  },
  expect: (records) => ({
    lists: new Map([["rows", records.map(({ key, id }) => ({ key, id }))]]),
    tables: new Map(),
  }),
  checkFurther({ records, sinks, fail }, when, letters) {
    const byId = new Map(records.map((record) => [record.id, record]));
    for (const [key, row] of sinks.table("order")) {
      const last = new Map<string, number>();
      for (const id of (JSON.parse(row) as Seen).ids) {
        const { source } = byId.get(id)!;
        // Letters of a source are given back to it, those from behind the exchange to the operator, before anything else.
        const lane = letters.has(id) ? `letters of ${letters.get(id)} of ${source}` : source;
        if ((last.get(lane) ?? -1) >= id)
          fail(`C4: order of key ${key} ${when}: ${id} comes after ${last.get(lane)}, both of ${lane}`);
        last.set(lane, id);
      }
    }
  },
};
