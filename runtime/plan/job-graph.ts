/**
 * The job graph: the logical graph cut into stages at every exchange. What the driver runs, what `explain()` prints.
 *
 * P1 A stage is fed either by source shards (kind "source", one task per shard) or by an inbox stream (kind "keyed", one task
 *    per inbox shard); the stage of kind "single" is the whole job in one task, fed by all shards of all sources.
 * P2 Operators of a stage are in topological order; edges inside a stage are chained, edges between stages are exchanges.
 * P3 An exchange's number is its place in `exchanges`; it travels in frames, so it is stable for one plan (fingerprint).
 * P4 A stage of kind "source" receives no exchange, and no path of exchanges leads from a stage back to itself, so stages stand
 *    in an order in which every exchange points forwards.
 */
import type { LogicalGraph, LogicalNode, Partitioning, Side } from "../api/graph.ts";

export interface JobGraph {
  readonly name: string;
  /** Of everything that stored state and in-flight frames depend on. */
  readonly fingerprint: string;
  readonly options: ResolvedJobOptions;
  readonly graph: LogicalGraph;
  readonly operators: ReadonlyMap<string, OperatorPlan>;
  readonly stages: readonly StagePlan[];
  readonly exchanges: readonly ExchangePlan[];
}

/** All defaults filled in; times in ms. */
export interface ResolvedJobOptions {
  readonly parallelism: number;
  readonly keyGroups: number;
  readonly checkpointIntervalMs: number;
  readonly checkpointTimeoutMs: number;
  readonly checkpointMinPauseMs: number;
  readonly checkpointsRetained: number;
  readonly tolerableCheckpointFailures: number;
  readonly onUserError: "fail" | "deadLetter";
  /** Of one task. */
  readonly deadLettersPerMinuteMax: number;
  readonly watermarkStepMs: number;
  readonly watermarkIntervalMs: number;
  readonly mode: "streaming" | "batch";
  readonly allowSkippedState: boolean;
  readonly statePlacement: "cooling" | "table" | "segments";
}

export interface StagePlan {
  /** The uid of its first operator. */
  readonly id: string;
  readonly kind: "single" | "source" | "keyed";
  readonly operators: readonly string[];
  readonly sources: readonly string[];
  /** Tasks of a keyed stage; 1 for "single"; as many as there are shards for "source". */
  readonly parallelism: number | "shards";
  /** How the keys of its keyed operators are hashed; murmur3 when there are both kinds, which only a "single" stage can have. */
  readonly hash: KeyHash;
}

/** Kinesis' own MD5 of the partition key where the source is keyed already, else murmur3. */
export type KeyHash = "murmur3" | "md5";

export interface OperatorPlan {
  readonly node: LogicalNode;
  readonly stage: string;
  readonly states: readonly StateSchema[];
  /** How its keys are hashed, whatever the parallelism, so that its state can be restored at another; undefined without keys. */
  readonly hash: KeyHash | undefined;
  readonly outputs: readonly OutputEdge[];
}

/** An edge seen from its upstream end. */
export interface OutputEdge {
  readonly tag: string | undefined;
  readonly to: string;
  readonly input: Side;
  readonly partitioning: Partitioning;
  /** The exchange's number, or undefined when the edge is chained. */
  readonly exchange: number | undefined;
}

export interface ExchangePlan {
  readonly number: number;
  readonly from: string;
  readonly tag: string | undefined;
  readonly to: string;
  readonly input: Side;
  readonly partitioning: Partitioning;
  readonly fromStage: string;
  readonly toStage: string;
}

/** A stored state as the plan declares it: compared with what a snapshot holds. */
export interface StateSchema {
  readonly name: string;
  readonly kind: string;
  readonly version: number;
  /** How long contents live; not there when they live until they are cleared. */
  readonly ttlMs?: number;
}
