/** Tags of streams. */
import { KinesisError } from "../kinesis-error.ts";
import { requestLimits } from "../limits.ts";
import { type Call, type Output, parseArn, type Service, streamNamed, streamOf } from "../service.ts";
import type { StreamEntry } from "../stream-registry.ts";

type Tags = Readonly<Record<string, string>>;

/** Throws InvalidArgumentException for too many tags or too long ones. */
export function checkTags(tags: Tags): Tags {
  if (Object.keys(tags).length > requestLimits.tagsPerStream) {
    throw new KinesisError("InvalidArgumentException", `A stream has at most ${requestLimits.tagsPerStream} tags.`);
  }
  for (const [key, value] of Object.entries(tags)) {
    if (key.length >= 1 && key.length <= 128 && value.length <= 256) continue;
    throw new KinesisError("InvalidArgumentException", `A tag's key has 1 to 128 characters, its value up to 256: ${key}`);
  }
  return tags;
}

export async function addTags(service: Service, call: Call): Promise<Output> {
  const added = call.input.texts("Tags") ?? {};
  const entry = await taggedStream(service, call);
  entry.tags = checkTags({ ...entry.tags, ...added });
  await service.registry.save();
  return {};
}

export async function removeTags(service: Service, call: Call): Promise<Output> {
  const removed = call.input.requiredTexts("TagKeys", { min: 1, max: 50 });
  const entry = await taggedStream(service, call);
  entry.tags = Object.fromEntries(Object.entries(entry.tags).filter(([key]) => !removed.includes(key)));
  await service.registry.save();
  return {};
}

export async function listTags(service: Service, call: Call): Promise<Output> {
  const limit = call.input.integer("Limit", { min: 1, max: 50 }) ?? 50;
  const after = call.input.text("ExclusiveStartTagKey") ?? "";
  const { tags } = await taggedStream(service, call);
  const found = Object.entries(tags)
    .filter(([key]) => key > after)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return { Tags: found.slice(0, limit).map(([Key, Value]) => ({ Key, Value })), HasMoreTags: found.length > limit };
}

async function taggedStream(service: Service, { input }: Call): Promise<StreamEntry> {
  const arn = input.text("ResourceARN");
  return arn === undefined ? streamOf(service, input) : streamNamed(service, parseArn(service, arn).name);
}
