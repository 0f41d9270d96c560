/** A job that is held to its word: its input, where its results are, and the script that says what they must be. */
import type { Topology } from "../../emulator/cloud/index.ts";
import type { Job } from "../../runtime/index.ts";

export interface PutRecord {
  readonly stream: string;
  readonly shard: number;
  readonly bytes: Uint8Array;
}

/** What is put in one go. It must be worked off before the next act: what is late then is late whichever shard is read first. */
export type Act = readonly PutRecord[];

/** Lines by output, sorted. */
export type Results = Readonly<Record<string, readonly string[]>>;

/** Where the lines of an output are. */
export type Place =
  | { readonly kind: "table"; readonly table: string }
  | { readonly kind: "objects"; readonly bucket: string; readonly prefix: string };

/** A job as it is deployed. */
export interface DeployedJob<O extends ScenarioJobOptions = ScenarioJobOptions> {
  /** The module and its export that makes the job; the job's options are plain data. */
  readonly module: string;
  readonly maker: string;
  readonly job: (options: O) => Job;
  readonly outside: Pick<Topology, "streams" | "tables" | "buckets">;
  /** By name; dead letters come beside them, as "deadLetters". */
  readonly places: Readonly<Record<string, Place>>;
}

export interface Scenario extends DeployedJob {
  readonly name: string;
  /** The job begins at the first, and is stopped and resumed at each of the others. */
  readonly parallelisms: readonly number[];
  /** Three acts: what comes first, with late records in none but the second; what comes after; what closes all windows. */
  readonly acts: (seed: number, records: number) => readonly [Act, Act, Act];
  readonly expected: (acts: readonly Act[]) => Results;
}

export interface ScenarioJobOptions {
  readonly parallelism: number;
  /** Milliseconds. */
  readonly checkpointInterval: number;
  readonly retained: number;
}
