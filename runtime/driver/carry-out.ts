/**
 * Carries out the effects of a commit, after it is written (R2). All of it may be repeated, at any later time.
 *
 * One frame per channel is in flight: appending may reorder, so the next is sent only when the one before is acknowledged. Different
 * channels, sinks and messages go side by side; payloads of one sink in their order.
 *
 * What a task says of itself (that it has a checkpoint's part, that it has ended) comes last: who hears that all tasks have ended looks
 * at none of them again, and would not find what had not been published.
 *
 * L16 The shard that took a frame is the one of the task it is for.
 */
import { postAcknowledgement } from "./acknowledgements.ts";
import type { InboxShards } from "./inbox-shards.ts";
import { together } from "./together.ts";
import { encodeValue } from "../base/message-pack.ts";
import { MillraceError } from "../base/errors.ts";
import { id, type OperatorUid, type Seq, type TaskId } from "../base/ids.ts";
import type { Ports } from "../ports/ports.ts";
import { inboxName, jobRing, standingMessage, wakeUpMessage } from "../snapshots/names.ts";
import type { Acknowledgement } from "../snapshots/manifest.ts";
import type { Commit, Effect } from "../state/commit.ts";
import { downstreamOf, stageOf } from "../streaming/channel.ts";
import type { HashRange } from "../streaming/hash-range.ts";
import type { TaskPlan } from "../task/task-plan.ts";

type EffectOf<K extends Effect["effect"]> = Extract<Effect, { effect: K }>;

function all<K extends Effect["effect"]>(commit: Commit, kind: K): EffectOf<K>[] {
  return commit.effects.filter((effect): effect is EffectOf<K> => effect.effect === kind);
}

/** Throws `unavailable` when something could not be done: the whole is to be repeated. */
export async function carryOut(
  commit: Commit,
  plan: TaskPlan,
  ports: Ports,
  inboxes: InboxShards,
  messageBytesMax: number,
): Promise<void> {
  if (commit.effects.length === 0) return;
  const work = [sendFrames(commit, plan, ports, inboxes), writeSinks(commit, ports), writeDeadLetters(commit, ports)];
  await together(work);
  await postMessages(commit, plan, ports, messageBytesMax);
}

/** What a commit brings to the outside of the job alone: sinks and dead letters. May be repeated as all effects. */
export async function publish(commit: Commit, ports: Ports): Promise<void> {
  await together([writeSinks(commit, ports), writeDeadLetters(commit, ports)]);
}

interface Outgoing {
  readonly range: HashRange;
  readonly frames: readonly Uint8Array[];
}

async function sendFrames(commit: Commit, plan: TaskPlan, ports: Ports, inboxes: InboxShards): Promise<void> {
  const byStage = new Map<string, Outgoing[]>();
  for (const { channel, frames } of all(commit, "send")) {
    const task = downstreamOf(channel);
    const outgoing = { range: rangeOf(plan, task), frames };
    byStage.set(stageOf(task), [...(byStage.get(stageOf(task)) ?? []), outgoing]);
  }
  const send = ([stage, outgoing]: readonly [string, Outgoing[]]) =>
    sendToStage(inboxName(commit.generation, stage), outgoing, ports, inboxes);
  await together([...byStage].map(send));
}

function rangeOf(plan: TaskPlan, task: TaskId): HashRange {
  for (const { tasks } of plan.downstream) for (const target of tasks) if (target.task === task) return target.range;
  throw new MillraceError("internal", `no range for task ${task}`);
}

async function sendToStage(stream: string, outgoing: readonly Outgoing[], ports: Ports, inboxes: InboxShards): Promise<void> {
  const rounds = Math.max(...outgoing.map(({ frames }) => frames.length));
  for (let round = 0; round < rounds; round++) {
    let waiting = outgoing.filter(({ frames }) => round < frames.length);
    for (let attempt = 0; waiting.length > 0; attempt++) {
      if (attempt > 0) await backOff(attempt, stream, ports);
      const results = await ports.log.append(
        stream,
        waiting.map(({ range, frames }) => ({ hashKey: range.from, bytes: frames[round] as Uint8Array })),
      );
      for (const [n, { range }] of waiting.entries()) {
        const result = results[n];
        if (result?.outcome === "appended") await inboxes.check(stream, range, result.shard);
      }
      waiting = waiting.filter((_, n) => results[n]?.outcome === "throttled");
    }
  }
}

async function backOff(attempt: number, stream: string, ports: Ports): Promise<void> {
  if (attempt > 8) throw new MillraceError("unavailable", `the inbox stream throttles, it is tried again: ${stream}`);
  await ports.clock.sleep(Math.min(2_000, 25 * 2 ** attempt));
}

async function writeSinks(commit: Commit, ports: Ports): Promise<void> {
  const bySink = new Map<string, EffectOf<"sink">[]>();
  for (const effect of all(commit, "sink")) bySink.set(effect.operator, [...(bySink.get(effect.operator) ?? []), effect]);
  const { task, generation } = commit;
  const seq = versionOf(commit);
  await together(
    [...bySink].map(async ([operator, effects]) => {
      for (const { n, payload, as } of effects)
        await ports.sinks.carryOut({ operator: id<OperatorUid>(operator), task, generation, seq, n, payload, ...(as && { as }) });
    }),
  );
}

/** By which what a commit puts out is told from what its task, or those before it, put out earlier (L5). */
function versionOf({ progress, seq }: Commit): Seq {
  return progress.versionOffset + seq;
}

async function writeDeadLetters(commit: Commit, ports: Ports): Promise<void> {
  const letters = all(commit, "deadLetter").map((letter) => ({ ...letter, operator: id<OperatorUid>(letter.operator) }));
  const { task, generation } = commit;
  if (letters.length > 0) await ports.sinks.deadLetters({ task, generation, seq: versionOf(commit), letters });
}

async function postMessages(commit: Commit, plan: TaskPlan, ports: Ports, bytesMax: number): Promise<void> {
  const { journal } = ports;
  for (const effect of all(commit, "acknowledge"))
    await postAcknowledgement(commit, "part", acknowledgement(commit, plan, effect), ports, bytesMax);
  for (const effect of all(commit, "ended")) {
    const said = acknowledgement(commit, plan, { ...effect, checkpoint: 0, declined: false });
    await postAcknowledgement(commit, "ended", said, ports, bytesMax);
  }
  for (const { group, at } of all(commit, "align"))
    await journal.post(jobRing, { name: standingMessage(commit.task), version: commit.seq, bytes: encodeValue({ group, at }) });
  for (const { at, by } of all(commit, "wakeAt"))
    await journal.post(commit.task, { name: wakeUpMessage, version: commit.seq, bytes: encodeValue([at, by]) });
}

function acknowledgement(commit: Commit, plan: TaskPlan, effect: Omit<EffectOf<"acknowledge">, "effect">): Acknowledgement {
  const { progress } = commit;
  return {
    task: commit.task,
    stage: plan.stage.id,
    checkpoint: effect.checkpoint,
    declined: effect.declined,
    range: plan.range,
    lastSeq: versionOf(commit),
    index: effect.index,
    sources: progress.sources,
    valves: progress.valves,
    ended: progress.ended,
    successors: progress.successors,
    now: progress.now,
    totals: progress.totals,
  };
}
