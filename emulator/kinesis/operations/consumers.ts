/** Registered consumers of a stream: what enhanced fan-out reads as. */
import { KinesisError } from "../kinesis-error.ts";
import { requestLimits } from "../limits.ts";
import {
  activeStreamOf,
  type Call,
  consumerArn,
  type Output,
  parseArn,
  type Service,
  streamArn,
  streamNamed,
  streamOf,
} from "../service.ts";
import type { Consumer, StreamEntry } from "../stream-registry.ts";
import type { Input } from "../input.ts";
import { checkTags } from "./tags.ts";

const consumerName = { min: 1, max: 128, pattern: /^[a-zA-Z0-9_.-]+$/ };

export async function registerConsumer(service: Service, { input }: Call): Promise<Output> {
  const name = input.requiredText("ConsumerName", consumerName);
  input.requiredText("StreamARN");
  checkTags(input.texts("Tags") ?? {});
  const entry = await activeStreamOf(service, input);
  if (entry.consumers.some((consumer) => consumer.name === name)) {
    const where = `under stream ${entry.name} under account ${service.account}`;
    throw new KinesisError("ResourceInUseException", `Consumer ${name} ${where} already exists.`);
  }
  if (entry.consumers.length >= requestLimits.consumersPerStream) {
    throw new KinesisError("LimitExceededException", `A stream has at most ${requestLimits.consumersPerStream} consumers.`);
  }
  const consumer: Consumer = { name, createdAt: service.clock.now() };
  entry.consumers = [...entry.consumers, consumer];
  await service.registry.save();
  return { Consumer: describe(service, entry, consumer) };
}

export async function deregisterConsumer(service: Service, { input }: Call): Promise<Output> {
  const { entry, consumer } = await activeConsumerOf(service, input);
  entry.consumers = entry.consumers.filter((other) => other !== consumer);
  service.subscriptions.end(consumerArn(service, entry, consumer));
  await service.registry.save();
  return {};
}

export async function describeConsumer(service: Service, { input }: Call): Promise<Output> {
  const { entry, consumer } = await consumerOf(service, input);
  return { ConsumerDescription: { ...describe(service, entry, consumer), StreamARN: streamArn(service, entry.name) } };
}

export async function listConsumers(service: Service, { input }: Call): Promise<Output> {
  input.requiredText("StreamARN");
  const limit = input.integer("MaxResults", { min: 1, max: 10_000 }) ?? 100;
  const after = input.text("NextToken") ?? "";
  const entry = await streamOf(service, input);
  const found = entry.consumers.filter(({ name }) => name > after).sort((a, b) => (a.name < b.name ? -1 : 1));
  const page = found.slice(0, limit);
  return {
    Consumers: page.map((consumer) => describe(service, entry, consumer)),
    NextToken: found.length > limit ? page.at(-1)!.name : undefined,
  };
}

/** The consumer that a call is about, by its ARN or by its name and its stream's. Throws ResourceNotFoundException. */
async function consumerOf(service: Service, input: Input): Promise<{ readonly entry: StreamEntry; readonly consumer: Consumer }> {
  const arn = input.text("ConsumerARN");
  const named = arn === undefined ? undefined : parseArn(service, arn);
  const entry = await (named === undefined ? streamOf(service, input) : streamNamed(service, named.name));
  const name = named === undefined ? input.requiredText("ConsumerName", consumerName) : named.consumer;
  const consumer = entry.consumers.find((candidate) => candidate.name === name);
  if (consumer !== undefined && (arn === undefined || arn === consumerArn(service, entry, consumer))) return { entry, consumer };
  throw new KinesisError(
    "ResourceNotFoundException",
    `Consumer ${arn ?? name} of stream ${entry.name} under account ${service.account} not found.`,
  );
}

/** The same, but throws ResourceInUseException while it is still being registered. */
export async function activeConsumerOf(
  service: Service,
  input: Input,
): Promise<{ readonly entry: StreamEntry; readonly consumer: Consumer }> {
  const found = await consumerOf(service, input);
  if (isActive(service, found.consumer)) return found;
  throw new KinesisError("ResourceInUseException", `Consumer ${found.consumer.name} is not in an ACTIVE state.`);
}

function isActive(service: Service, consumer: Consumer): boolean {
  return service.clock.now() >= consumer.createdAt + service.transitionMs;
}

function describe(service: Service, entry: StreamEntry, consumer: Consumer): Output {
  return {
    ConsumerName: consumer.name,
    ConsumerARN: consumerArn(service, entry, consumer),
    ConsumerStatus: isActive(service, consumer) ? "ACTIVE" : "CREATING",
    ConsumerCreationTimestamp: new Date(consumer.createdAt),
  };
}
