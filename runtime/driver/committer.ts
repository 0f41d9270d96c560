/**
 * Writes what a turn has gathered as the task's next journal entry, and carries out its effects.
 *
 * R3 Entry n + 1 is written only after all effects of n are done.
 * L16 No promise is left pending at the end of a turn.
 */
import { isKind } from "../base/errors.ts";
import { type AttemptId, type BlobName, id, type Seq, type TaskId } from "../base/ids.ts";
import type { Ports } from "../ports/ports.ts";
import { objectName } from "../snapshots/names.ts";
import type { Base, Commit, Effect } from "../state/commit.ts";
import { buildBase, wantForBase } from "../task/base-builder.ts";
import type { Task } from "../task/task.ts";
import { carryOut } from "./carry-out.ts";
import type { EnvironmentOptions } from "./environment-options.ts";
import type { InboxShards } from "./inbox-shards.ts";
import { storeCommit } from "./journal-entry.ts";
import { loadMissing } from "./load-groups.ts";
import { LostRace } from "./lost-race.ts";
import type { OpenedTask } from "./opened-task.ts";

export class Committer {
  private readonly ports: Ports;
  private readonly options: EnvironmentOptions;
  private readonly inboxes: InboxShards;
  private attempts = 0;

  constructor(ports: Ports, options: EnvironmentOptions, inboxes: InboxShards) {
    this.ports = ports;
    this.options = options;
    this.inboxes = inboxes;
  }

  /** Ends the open commit: writes it, and carries its effects out. Throws `LostRace` when somebody else was faster. */
  async commit(opened: OpenedTask): Promise<void> {
    const { task } = opened;
    const barrier = task.barriers.due;
    const attempt = id<AttemptId>(`${this.options.id}.${++this.attempts}`);
    const groups = this.needsBase(opened) ? await this.loadForBase(opened, barrier !== undefined || task.ended) : undefined;
    const runsBefore = task.sorted.runBlobs;
    await this.spill(task, objectName("runs", task.plan.task, task.head + 1, this.inNames(attempt)));
    const draft = task.finish();
    const base = groups === undefined ? opened.base : await this.writeBase(opened, groups, draft.seq, attempt);
    const effects: Effect[] = [...draft.effects];
    if (barrier !== undefined)
      effects.push({ effect: "acknowledge", checkpoint: barrier.checkpoint, index: base?.index, declined: false });
    if (task.ended) effects.push({ effect: "ended", index: base?.index });
    const done = draft.seq - 1;
    const commit: Commit = { ...draft, effects, attempt, by: takesFromBatch(opened) ? "mapping" : "poke", done, base };
    const bytes = await storeCommit(commit, this.ports.blobs, this.options.payload, this.inNames(attempt));
    const carryOutEffects = () => carryOut(commit, opened.plan, this.ports, this.inboxes, this.options.messageBytesMax);
    if (!this.options.safeguards.holds("R2")) await carryOutEffects();
    await this.write(task.plan.task, draft.seq, attempt, bytes);
    opened.head = commit;
    opened.base = base;
    opened.commits++;
    if (opened.batch !== undefined) opened.deliveries?.taken.committedTo(opened.batch.position());
    await opened.attempts?.committed();
    opened.journalBytes = groups === undefined ? opened.journalBytes + bytes.length : 0;
    opened.effectsDone = false;
    const effectsCarriedOut = carryOutEffects();
    if (this.options.safeguards.holds("R3")) await effectsCarriedOut;
    else this.leave(opened, effectsCarriedOut);
    opened.effectsDone = true;
    const runs = task.sorted.runBlobs;
    const spent = [...runsBefore].filter((blob) => !runs.has(blob));
    if (spent.length > 0) await this.ports.blobs.delete(spent);
  }

  /** Without R6: attempts at an entry write to the same place. */
  private inNames(attempt: AttemptId): AttemptId {
    return this.options.safeguards.holds("R6") ? attempt : id<AttemptId>("any");
  }

  private async spill(task: Task, name: BlobName): Promise<void> {
    const bytes = task.sorted.spill(name);
    if (bytes !== undefined) await this.ports.blobs.put(name, bytes);
  }

  /** Without R3: the next entry does not wait, only the turn's end does. */
  private leave(opened: OpenedTask, work: Promise<void>): void {
    work.catch(() => undefined);
    opened.unfinished.push(work);
  }

  private needsBase(opened: OpenedTask): boolean {
    const { task } = opened;
    if (task.barriers.due !== undefined || (task.ended && this.options.safeguards.holds("L11"))) return true;
    const above = task.head + 1 - (opened.base?.seq ?? 0);
    return above >= this.ports.journal.ringSize - 8 || opened.journalBytes > this.options.journalBytesMax;
  }

  private async loadForBase(opened: OpenedTask, forCheckpoint: boolean) {
    const groups = wantForBase(opened.task, forCheckpoint);
    if (opened.task.missing.length > 0) await loadMissing(opened.task, this.ports.blobs, this.ports.pages);
    return groups;
  }

  private async writeBase(
    opened: OpenedTask,
    groups: ReturnType<typeof wantForBase>,
    seq: Seq,
    attempt: AttemptId,
  ): Promise<Base> {
    const { task } = opened;
    if (task.chain.stores.length === 0 && task.channels.held.count === 0) return { seq, index: undefined, local: undefined };
    const name = objectName("segments", task.plan.task, seq, this.inNames(attempt));
    const { bytes, ranges } = buildBase(task, groups, name, seq);
    await this.ports.blobs.put(name, bytes);
    return { seq, ...ranges };
  }

  /** The one write that decides. A lost response is told from a lost race by the attempt. */
  private async write(task: TaskId, seq: Seq, attempt: AttemptId, bytes: Uint8Array): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        const result = await this.ports.journal.write(task, { seq, attempt, bytes });
        if (result.outcome === "written" || (result.by === attempt && result.seq === seq)) return;
        throw new LostRace(`entry ${seq} of ${task} was written by ${result.by}`);
      } catch (error) {
        if (!isKind(error, "unavailable") || tries === 2) throw error;
      }
    }
  }
}

/** Whether the open commit advances the position by records of the mapping's batch; asked once per commit. */
function takesFromBatch({ batch }: OpenedTask): boolean {
  if (batch === undefined) return false;
  const before = batch.at;
  batch.at = batch.position();
  return batch.at !== before;
}
