/**
 * What a connector tells the plan and the task. A connector is a declaration (pure data and pure functions); its reader or
 * writer is made at run time from `kind` and `options` and is never imported by a job module.
 *
 * C1 `decode` and `SinkWriter` are pure: they run inside the task.
 * C2 Names of outside resources are logical; a deployment or the command line binds them.
 * C3 Every payload of a `SinkWriter` may be carried out again, at any later time, without further effect.
 */
import type { Key } from "./key.ts";

declare const brand: unique symbol;

/** A schema that records were written with, as a registry keeps it. What a registry has given an id never changes. */
export interface WriterSchema {
  readonly id: string;
  /** Its text: JSON, or the Protobuf language. */
  readonly definition: string;
  /** Schemas that it names, each after those that it names itself. */
  readonly references: readonly { readonly name: string; readonly definition: string }[];
}

/** How a record came that has no position of its own, as a queue's messages have none. */
export interface Delivery {
  /** What it is known by each time that it comes. */
  readonly id: string;
  /** How often it has come, this time included; about: it may have come for reasons of its own. */
  readonly times: number;
  /** Records of one group are taken in in the order in which they come; undefined: it is of none. */
  readonly group?: string | undefined;
}

/** One record of a source shard as the reader hands it over. `text` saves the decoder a copy where the reader has it already. */
export interface SourceRecord {
  /** Decimal digits without leading zeros, growing within the shard: ordered by length, then as text. */
  readonly position: string;
  readonly partitionKey: string;
  /** Epoch ms at which the source took the record in. */
  readonly arrivalTime: number;
  readonly bytes: Uint8Array;
  readonly text?: string | undefined;
  /** The header line of the file it stands in, where the format has one: what `decode` needs to name the fields. */
  readonly header?: string | undefined;
  /** The schema that it names, where the format has its schemas from a registry: the reader fetched it before it handed the record over. */
  readonly schema?: WriterSchema | undefined;
  /** Why the reader could not hand over a whole record (too long, cut off): goes to the dead letters with `bytes`, undecoded. */
  readonly rejected?: string | undefined;
  /** Of a source that is read in parts, the number of the part it is of; undefined: the last. */
  readonly part?: number | undefined;
  /** Of a record that is brought without a position. */
  readonly delivery?: Delivery | undefined;
}

/** Takes what a decoder finds in one record: values, and what must go to the dead letters. */
export interface DecodeTarget<T> {
  accept(value: T): void;
  reject(reason: string, bytes?: Uint8Array): void;
}

export type Decoder<T> = (record: SourceRecord, target: DecodeTarget<T>) => void;

/** Plain JSON describing a connector: shown by `explain()`, given to the reader or writer. */
export type ConnectorOptions = Readonly<Record<string, unknown>>;

/** Made by a connector: a declaration, not a reader. */
export interface Source<out T> {
  readonly kind: string;
  /** The logical name a deployment binds. */
  readonly name: string;
  readonly bounded: boolean;
  readonly options: ConnectorOptions;
  /** Of a source that is read in parts, one after the other: these. */
  readonly parts?: readonly Source<any>[] | undefined;
  readonly decode: Decoder<any>;
  readonly [brand]?: () => T;
}

export type Mode = "append" | "upsert" | "retract";
export type ChangeKind = "+I" | "-U" | "+U" | "-D";

/** What the writer of one sink in one task may know. */
export interface SinkWriterContext {
  readonly generation: number;
  readonly task: string;
  readonly operator: string;
  /** The number of the commit being built. */
  seq(): number;
  /** The turn's processing time, epoch ms. */
  now(): number;
}

/** Why a commit ends: within a checkpoint every open object must be finished, since rows after it may be taken back. */
export type CommitEnd = "turn" | "barrier" | "endOfInput";

/** The pure half of a sink in one task: turns rows into payloads, which the runtime half carries out after the commit. */
export interface SinkWriter<T> {
  add(value: T, timestamp: number | undefined, change: ChangeKind): void;
  /** Of a sink that sends messages: one that its receiver refused, and that was given back, as it stands in a letter's `back`. */
  addAgain?(message: Uint8Array): void;
  /** Called once before each commit, and after each row that was given back, with "turn". Payloads are effects of that commit, in order. */
  flush(end: CommitEnd): readonly Uint8Array[];
  /** What must survive between commits (the open file, its length); part of the journal, not of a checkpoint. Undefined: nothing. */
  state(): unknown;
  restore(state: unknown): void;
}

/** T and M are what the sink accepts, so a sink for more modes serves wherever one for fewer is asked for. */
export interface Sink<in T, in M extends Mode = "append"> {
  readonly kind: string;
  readonly name: string;
  readonly guarantee: "exactlyOnce" | "atLeastOnce";
  readonly options: ConnectorOptions;
  /** The modes of input that it accepts; default: only "append". */
  readonly accepts?: readonly Mode[] | undefined;
  /** An upsert sink's key: the plan routes by it, so that one task writes a row. */
  readonly key?: ((value: any) => Key) | undefined;
  createWriter(context: SinkWriterContext): SinkWriter<any>;
  readonly [brand]?: (value: T, mode: M) => void;
}
