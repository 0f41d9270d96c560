/** What a world runs, as the world sees it: its size, what its sources bring, its plan, where its sinks write, and how the end is judged. */
import type { SeededRandom } from "../../base/seeded-random.ts";
import type { JobGraph } from "../../plan/job-graph.ts";
import type { SinkDriver } from "../../ports/sink-driver.ts";
import type { SimProcess } from "./scheduler.ts";
import type { Sizes } from "./settings.ts";
import type { World } from "./world.ts";

/** A record of a source's stream. */
export interface SourceEvent {
  /** Where it goes, by its hash. */
  readonly partitionKey: string;
  readonly bytes: Uint8Array;
}

export interface Subject {
  /** Of the topology, or of the author's job. */
  readonly name: string;
  /** By uid, in the order in which they are appended. */
  readonly sources: ReadonlyMap<string, readonly SourceEvent[]>;
  /** Streams of so many shards at first; default: one to three. */
  readonly shards?: ReadonlyMap<string, number>;
  /** Records may be late, and are dropped then. */
  readonly mayBeLate?: boolean;
  /** False: it never goes back to a checkpoint. Default true. */
  readonly restorable?: boolean;
  plan(sizes: Sizes, parallelism: number): JobGraph;
  /** What the sinks write to, by the hand of this process. */
  sinksOf(process: SimProcess): SinkDriver;
  /** Waits for what goes on outside and is not the scheduler's: it is over before anything else begins. False: there was nothing. */
  settle?(): Promise<boolean>;
  /** Whether what has come out by now is what should have; reported to the world. */
  check(when: string): Promise<void> | void;
  /** The run is over. */
  close?(): Promise<void>;
}

/** Makes the subject of a world, from the seed's random numbers alone. */
export interface Scenario {
  /** The first that is drawn. */
  draw(random: SeededRandom): Sizes;
  create(world: World): Subject;
}
