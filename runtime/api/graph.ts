/**
 * The logical graph: what a job author wrote, as data and closures. Made by the builder, read by the plan and the operators.
 *
 * G1 Nodes stand in the order they were added, so every edge points backwards: the graph has no cycle.
 * G2 A uid names one node.
 */
import type { Mode, Sink, Source } from "./connector.ts";
import type { Duration } from "./duration.ts";
import type { Key, KeyPart } from "./key.ts";
import type { StateDeclaration } from "./state.ts";
import type {
  BroadcastProcessFunction,
  BroadcastSpec,
  CoProcessFunction,
  KeyedBroadcastProcessFunction,
  KeyedCoProcessFunction,
} from "./co-functions.ts";
import type { Aggregator, KeyedProcessFunction, ProcessFunction, WindowFunction } from "./functions.ts";
import type { EvictorSpec } from "./evictors.ts";
import type { TriggerSpec } from "./triggers.ts";
import type { WindowAssignerSpec } from "./windows.ts";
import type { WatermarkSpec } from "./watermarks.ts";

/** How records go from one operator to the next. Only `forward` never needs an exchange. */
export type Partitioning =
  | { readonly kind: "forward" }
  | { readonly kind: "keyed"; readonly key: (value: any) => Key }
  /** The records are partitioned by this key already: by the source's own hash of its partition key. */
  | { readonly kind: "assumeKeyed"; readonly key: (value: any) => Key }
  | { readonly kind: "rebalance" }
  /** All to one task; with `key`, an operator with keyed state follows, whose records all have this one key. */
  | { readonly kind: "global"; readonly key?: (value: any) => Key }
  /** Every task is given every record. */
  | { readonly kind: "broadcast" };

export interface LogicalEdge {
  readonly from: string;
  /** The side output's id; undefined is the main output. */
  readonly tag: string | undefined;
  /** Which input of the receiving operator: 0, or 1 for the right side of a two-input operator. */
  readonly input: Side;
  readonly partitioning: Partitioning;
}

/** The incremental or collected contents of a window. */
export type WindowContents =
  | { readonly kind: "reduce"; readonly reduce: (a: any, b: any) => any }
  | { readonly kind: "aggregate"; readonly aggregator: Aggregator<any, any, any> }
  | { readonly kind: "list" };

/** What is done with the contents when a window fires. */
export type WindowResult =
  | { readonly kind: "value" }
  | { readonly kind: "result"; readonly result: (key: any, window: any, value: any) => any }
  | { readonly kind: "apply"; readonly apply: (key: any, window: any, values: readonly any[]) => Iterable<any> }
  | { readonly kind: "process"; readonly fn: WindowFunction<any, any, any, any, any, any> };

export interface WindowSpec {
  readonly kind: "window";
  /** False: the windows are of the whole stream, whose key is null to the author. */
  readonly keyed: boolean;
  readonly assigner: WindowAssignerSpec;
  readonly trigger: TriggerSpec;
  readonly evictor: EvictorSpec | undefined;
  readonly allowedLateness: number;
  readonly lateTag: string | undefined;
  readonly contents: WindowContents;
  readonly result: WindowResult;
}

/** The right side of an operator that is broadcast. */
export interface BroadcastSide {
  /** The uid of the broadcast stream. */
  readonly broadcast: string;
  readonly broadcastStates: BroadcastSpec;
}

export type OperatorSpec =
  | {
      readonly kind: "source";
      readonly source: Source<any>;
      readonly timestamps: ((value: any, meta: RecordMeta) => number) | undefined;
      readonly watermarks: WatermarkSpec | undefined;
    }
  | { readonly kind: "map"; readonly fn: (value: any) => any }
  | { readonly kind: "filter"; readonly keep: (value: any) => boolean }
  | { readonly kind: "flatMap"; readonly fn: (value: any) => Iterable<any> }
  | {
      readonly kind: "assignTimestamps";
      readonly timestamps: (value: any, timestamp: number | undefined) => number;
      readonly watermarks: WatermarkSpec;
    }
  | { readonly kind: "process"; readonly fn: ProcessFunction<any, any, any> }
  | { readonly kind: "keyedProcess"; readonly fn: KeyedProcessFunction<any, any, any, any> }
  | { readonly kind: "coMap"; readonly left: (value: any) => any; readonly right: (value: any) => any }
  | { readonly kind: "coFlatMap"; readonly left: (value: any) => Iterable<any>; readonly right: (value: any) => Iterable<any> }
  | { readonly kind: "coProcess"; readonly fn: CoProcessFunction<any, any, any, any> }
  | { readonly kind: "keyedCoProcess"; readonly fn: KeyedCoProcessFunction<any, any, any, any, any> }
  | (BroadcastSide & { readonly kind: "broadcastProcess"; readonly fn: BroadcastProcessFunction<any, any, any, any> })
  | (BroadcastSide & {
      readonly kind: "keyedBroadcastProcess";
      readonly fn: KeyedBroadcastProcessFunction<any, any, any, any, any, any>;
    })
  | { readonly kind: "reduce"; readonly reduce: (a: any, b: any) => any; readonly state: StateDeclaration }
  | {
      readonly kind: "aggregate";
      readonly aggregator: Aggregator<any, any, any>;
      readonly result: (key: any, value: any) => any;
      readonly state: StateDeclaration;
    }
  | WindowSpec
  | {
      readonly kind: "sink";
      readonly sink: Sink<any, any>;
      /** Its input is a stream of changes ({kind, value}) of this mode. */
      readonly changelog?: Mode;
    };

/** The sides of a two-input operator, by the number of its input. */
export const sides = ["left", "right"] as const;
export type Side = 0 | 1;

/** True for operators that keep two inputs apart. */
export function hasTwoInputs({ kind }: Pick<OperatorSpec, "kind">): boolean {
  return twoInputKinds.has(kind);
}
const twoInputKinds: ReadonlySet<OperatorSpec["kind"]> = new Set([
  "coMap",
  "coFlatMap",
  "coProcess",
  "keyedCoProcess",
  "broadcastProcess",
  "keyedBroadcastProcess",
]);

export interface LogicalNode {
  readonly uid: string;
  readonly spec: OperatorSpec;
  readonly inputs: readonly LogicalEdge[];
  /** Ids of the side outputs that the operator may write. */
  readonly sideOutputs: readonly string[];
  /** Set by `.with()`. */
  readonly options: OperatorOptions;
}

export interface OperatorOptions {
  parallelism?: number;
  chain?: "always" | "new" | "never";
}

export interface LogicalGraph {
  readonly name: string;
  readonly nodes: readonly LogicalNode[];
  /** What the job asked for through `param`, with the values it was built with. */
  readonly parameters?: ReadonlyMap<string, KeyPart>;
}

/** What a source tells of a record beside its value. */
export interface RecordMeta {
  readonly shard: string;
  readonly position: string;
  /** Epoch ms. */
  readonly arrivalTime: number;
  readonly partitionKey?: string;
}

export interface CheckpointOptions {
  /** From the start of one to the start of the next; default 1 min. */
  interval?: Duration;
  /** After which an unfinished one is abandoned; default 10 min. */
  timeout?: Duration;
  /** At least so long between the end of one and the start of the next; default none. */
  minPause?: Duration;
  /** Completed checkpoints that are kept beside all savepoints; default 3. */
  retained?: number;
  /** Failed checkpoints in a row after which the job stops; default: it goes on, and the alarm rings. */
  tolerableFailures?: number;
}

export interface DeadLetterOptions {
  /** Of one task, within a minute of its clock: above it the job pauses behind a checkpoint, and says why. */
  perMinuteMax?: number;
}

export interface JobOptions {
  /** Tasks per keyed stage; default 1: the whole job is one task and has no exchange. */
  parallelism?: number;
  /** Flink's maxParallelism: a power of two, fixed for the job's life; default 32,768. */
  keyGroups?: number;
  checkpoints?: CheckpointOptions;
  /** What happens when a handler throws; default "deadLetter". */
  onUserError?: "fail" | "deadLetter";
  /** When too many records are put aside, the job pauses rather than drain its input into the dead letters. Default: it never does. */
  deadLetters?: DeadLetterOptions;
  /** Event-time grid on which watermarks advance, the same at every parallelism; default 1 s. */
  watermarkStep?: Duration;
  /** Between tasks, watermarks without records beside them are sent at most so often; default 200 ms (Flink's autoWatermarkInterval). */
  watermarkInterval?: Duration;
  /**
   * "batch": all sources are bounded, and each keyed operator sees its input sorted by key, then timestamp, one key's state at a time
   * (Flink's RuntimeExecutionMode). Results of windows and the last ones of what rolls on are those of "streaming", the default.
   */
  mode?: "streaming" | "batch";
  /**
   * Lets the job go on from a checkpoint with operators or states that it no longer declares: what they stored is left behind (Flink's
   * allowNonRestoredState). Default false: such a job is refused. To be taken away again once the job has gone on.
   */
  allowSkippedState?: boolean;
  /** Where cold key groups go; default "cooling". */
  statePlacement?: "cooling" | "table" | "segments";
}
