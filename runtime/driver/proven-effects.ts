/**
 * R5's one proof that a head's effects are done although nobody here saw them finish: a mapping moves on only after success, and success
 * is answered only after the effects.
 *
 * It holds when the task has a single shard, the head advanced its position by records of a batch of its own mapping, in this
 * deployment (a mapping that is replaced may begin elsewhere, L4), and the batch that is brought now starts after that position. With
 * several shards the mapping of one says nothing of what the head took from another: there is no proof. Nor is there where the head's batch may
 * have been given out before the job was restored: the mapping has moved on from it by another's success, in the generation before, and not by
 * that of whoever committed it. That goes for inboxes too, whose streams may outlive generations: of such a batch no frame is taken in, but
 * timers fire in the same commit. So the head must have got to what was not there before: in a source behind the place where a read of this
 * generation has found nothing more, in an inbox to a frame of the generation. Or nobody can hold such a batch any more.
 */
import type { SourceRecord } from "../api/connector.ts";
import type { Position } from "../base/ids.ts";
import { type Commit, hasReceived, type Progress, type ShardProgress } from "../state/commit.ts";
import { comparePositions, isBefore } from "../streaming/position.ts";
import type { Safeguards } from "../task/safeguards.ts";
import type { AddressedBell } from "./doorbell.ts";

/** Whether the doorbell is a mapping's: others say where they began to read. */
export function isMappingsBatch(bell: AddressedBell): boolean {
  return bell.kind !== "poke" && bell.after === undefined;
}

/** What is known of the one who asks, and of the generation. */
export interface ProofContext {
  readonly deployment: number;
  readonly safeguards: Safeguards;
  /** Whoever was given a source's batch before the generation began may be alive (L3). */
  readonly mayHoldOlder: boolean;
}

export function provesEffects(
  head: Commit,
  bell: AddressedBell,
  { deployment, safeguards, mayHoldOlder }: ProofContext,
): boolean {
  if (bell.kind === "poke" || !isMappingsBatch(bell)) return false;
  if (head.by !== "mapping" || (head.deployment !== deployment && safeguards.holds("L4"))) return false;
  const first: SourceRecord | undefined = bell.records[0];
  const position = bell.kind === "frames" ? ownPosition(head.progress) : positionOf(head, bell, safeguards, mayHoldOlder);
  return (
    first !== undefined && position !== undefined && position !== "horizon" && comparePositions(first.position, position) > 0
  );
}

/** Undefined: no frame has come to the task, of its generation, since no other is received. */
function ownPosition({ channels, inbox }: Progress): Position | "horizon" | undefined {
  return hasReceived(channels) ? inbox : undefined;
}

/**
 * Whether a mapping's batch was taken in by entries before the head: their effects are done, or the head would not have been written (R3).
 * `before`: how far the entry before the head had come.
 */
export function isTakenInBefore(before: Progress | undefined, bell: AddressedBell): boolean {
  if (before === undefined || !isMappingsBatch(bell) || bell.kind === "poke") return false;
  // What is brought without positions is another record each time.
  if (bell.kind === "records" && bell.taken !== undefined) return false;
  const last = bell.records.at(-1);
  const position = bell.kind === "frames" ? before.inbox : before.sources.get(bell.source)?.shards.get(bell.shard)?.position;
  if (last === undefined || position === undefined || position === "horizon") return false;
  return comparePositions(last.position, position) <= 0;
}

/** Of the task's only shard; undefined when it has several, or what it has taken last may have been given out before the generation. */
function positionOf(
  { progress }: Commit,
  { source, shard }: AddressedBell & { readonly kind: "records" },
  safeguards: Safeguards,
  mayHoldOlder: boolean,
): Position | "horizon" | undefined {
  const shards: ShardProgress[] = [...progress.sources.values()].flatMap((known) => [...known.shards.values()]);
  if (shards.length > 1 && safeguards.holds("R5.shards")) return undefined;
  const known = progress.sources.get(source)?.shards.get(shard);
  if (known === undefined || !mayHoldOlder) return known?.position;
  return known.tip !== undefined && isBefore(known.tip, known.position) ? known.position : undefined;
}
