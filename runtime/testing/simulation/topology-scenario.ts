/** A topology as a world runs it: made-up records, a world of sinks, and its oracle. */
import { CustomWriter } from "../../connectors/custom/writer.ts";
import { planJob } from "../../plan/plan-job.ts";
import type { SinkDriver } from "../../ports/sink-driver.ts";
import { checkOutputs } from "./checkers.ts";
import { versionPartOf } from "./rules.ts";
import type { SimProcess } from "./scheduler.ts";
import { drawSettings, jobOptions, type Settings } from "./settings.ts";
import type { Outside } from "./sinks.ts";
import { SinkWorld } from "./sink-world.ts";
import type { Scenario, SourceEvent, Subject } from "./subject.ts";
import { jobOf } from "./topologies.ts";
import { createRecords, encodeRecord, type SimRecord, type Touch } from "./workload.ts";
import type { World } from "./world.ts";

/** Any topology, or the one of that name. */
export function topologyScenario(name: string | undefined): Scenario {
  return {
    draw: (random) => drawSettings(random, name),
    create: (world) => topologySubject(world, world.settings as Settings),
  };
}

function topologySubject(world: World, { topology: whole, records: count, stagesMax }: Settings): Subject {
  const topology = whole.upTo?.(stagesMax) ?? whole;
  const outside: Outside = new Map();
  const { faults, options, draws } = world;
  const made = createRecords(topology.sources, count, options.faults.poison, draws, topology.deadly);
  const wanted = options.events && new Set(options.events);
  const own = new Map([...made].map(([source, list]) => [source, list.filter(({ id }) => wanted?.has(id) ?? true)]));
  const records = [...own.values()].flat();
  const fail = (message: string) => world.fail(message);
  const sinks = new SinkWorld(fail, versionPartOf(options.without));
  const touch: Touch = (record, place) => record.deadly === place && dieOf(record);
  // No exception leaves the process: it is gone.
  const dieOf = ({ id }: SimRecord): never => {
    const process = world.scheduler.running as SimProcess;
    if (process.alive) faults.counts.poison++;
    process.alive = false;
    world.trace.add(world.scheduler.steps, process.name, `dies of record ${id}`);
    throw new Error("seen by nobody");
  };
  const event = (record: SimRecord): SourceEvent => ({ partitionKey: record.key, bytes: encodeRecord(record) });
  return {
    name: topology.name,
    sources: new Map([...own].map(([source, list]) => [source, list.map(event)])),
    plan: (sizes, parallelism) => planJob(jobOf(topology, jobOptions(sizes, parallelism), touch, outside)),
    sinksOf: () => (outside.size === 0 ? sinks : withOwn(sinks, outside)),
    check: (when) => checkOutputs({ topology, records, sinks, outside, fail }, when),
  };
}

/** Writers of one process for what is of an author's kind. */
function withOwn(sinks: SinkWorld, outside: Outside): SinkDriver {
  const writers = new Map([...outside].map(([uid, { functions }]) => [uid, new CustomWriter(uid, functions)]));
  return {
    carryOut: (effect) => writers.get(effect.operator)?.carryOut(effect) ?? sinks.carryOut(effect),
    deadLetters: (batch) => sinks.deadLetters(batch),
    quarantine: (operator, restored) => writers.get(operator)?.quarantine(restored) ?? sinks.quarantine(operator, restored),
  };
}
