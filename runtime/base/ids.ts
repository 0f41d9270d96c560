/**
 * Names and numbers that are stored or sent, branded so that they cannot be mixed up.
 * Every durable name is formed in `snapshots/names.ts` or `streaming/channel.ts`, nowhere else.
 */
declare const brand: unique symbol;
type Id<N extends string> = string & { readonly [brand]: N };

/** The author's stable name of a source, operator or sink; the name of its state for ever. */
export type OperatorUid = Id<"OperatorUid">;
export type StageId = Id<"StageId">;
/** One parallel instance of a stage in one generation. */
export type TaskId = Id<"TaskId">;
/** `${upstream task}>${downstream task}` */
export type ChannelId = Id<"ChannelId">;
export type ShardId = Id<"ShardId">;
export type BlobName = Id<"BlobName">;
/** One attempt to write a journal entry: environment plus counter (L16). Tells a lost response from a lost race. */
export type AttemptId = Id<"AttemptId">;
/** A place in a shard; ordered by the log that made it, compared through `comparePositions`, never as text. */
export type Position = Id<"Position">;
export type Seq = number;
export type KeyGroup = number;
export type Checkpoint = number;
export type Generation = number;

/** Puts the brand on a string that is known to be such a name. */
export function id<T extends string>(text: string): T {
  return text as T;
}
