/** Names of tasks and channels. */
import { type ChannelId, type Generation, id, type TaskId } from "../base/ids.ts";

/** One task of a generation: of an inbox shard (by index), a source shard (by id), or the whole job ("all"). */
export function taskId(generation: Generation, stage: string, instance: string): TaskId {
  return id<TaskId>(`g${generation}.${stage}~${instance}`);
}

/** The stage of a task. */
export function stageOf(task: TaskId): string {
  return task.slice(task.indexOf(".") + 1, task.indexOf("~"));
}

/** The generation of a task. */
export function generationOf(task: TaskId): Generation {
  return Number(task.slice(1, task.indexOf(".")));
}

/** The instance of a task: the shard it reads, or its place. */
export function instanceOf(task: TaskId): string {
  return task.slice(task.indexOf("~") + 1);
}

/** What the task is called in every generation: its stage and its instance. */
export function lastingName(task: TaskId): string {
  return task.slice(task.indexOf(".") + 1);
}

/** The path from one upstream task to one downstream task. */
export function channelId(from: TaskId, to: TaskId): ChannelId {
  return id<ChannelId>(`${from}>${to}`);
}

export function upstreamOf(channel: ChannelId): TaskId {
  return id<TaskId>(channel.slice(0, channel.indexOf(">")));
}

export function downstreamOf(channel: ChannelId): TaskId {
  return id<TaskId>(channel.slice(channel.indexOf(">") + 1));
}
