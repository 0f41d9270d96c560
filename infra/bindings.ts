/**
 * What a deployment binds the job's logical names to: a prop for each kind of thing, and in it a CDK object by the name, or the uid, of a
 * source or sink. Another kind is another prop, and a line of `bindable`.
 */
import { Token } from "aws-cdk-lib";
import { MillraceError } from "../runtime/base/errors.ts";
import type { Place } from "./connector.ts";
import type { StreamJobProps } from "./stream-job-props.ts";

const longestName = 64;
/** With a region, an account and a name that CloudFormation has made. */
const longestArn = 140;

/** By prop: what functions are told of what is bound there (undefined: the name that the job uses), how long that may be, what an error calls it. */
const bindable = {
  streams: { nameOf: ({ streamName }: Thing<"streams">) => streamName, longest: longestName, one: "a stream" },
  tables: { nameOf: ({ tableName }: Thing<"tables">) => tableName, longest: longestName, one: "a table" },
  buckets: { nameOf: ({ bucketName }: Thing<"buckets">) => bucketName, longest: longestName, one: "a bucket" },
  queues: { nameOf: ({ queueArn }: Thing<"queues">) => queueArn, longest: longestArn, one: "a queue" },
  topics: { nameOf: ({ topicArn }: Thing<"topics">) => topicArn, longest: longestArn, one: "a topic" },
  eventBuses: { nameOf: ({ eventBusArn }: Thing<"eventBuses">) => eventBusArn, longest: longestArn, one: "an event bus" },
  functions: { nameOf: ({ functionArn }: Thing<"functions">) => functionArn, longest: longestArn, one: "a function" },
  deliveryStreams: {
    nameOf: ({ deliveryStreamName }: Thing<"deliveryStreams">) => deliveryStreamName,
    longest: longestName,
    one: "a delivery stream",
  },
  endpoints: { nameOf: (url: Thing<"endpoints">) => url, longest: 2 * longestArn, one: "an endpoint" },
  kafkaTopics: { nameOf: ({ topicName }: Thing<"kafkaTopics">) => topicName, longest: longestName, one: "a Kafka topic" },
} as const;

export type BindingProp = keyof typeof bindable;
export type Bound = Pick<
  StreamJobProps,
  | "streams"
  | "tables"
  | "buckets"
  | "queues"
  | "topics"
  | "eventBuses"
  | "functions"
  | "deliveryStreams"
  | "endpoints"
  | "kafkaTopics"
>;
type Thing<P extends keyof Bound> = NonNullable<Bound[P]>[string];

const props = Object.keys(bindable) as BindingProp[];

/** What functions are told: logical name or uid, and the name here. */
export function bindingsOf(bound: Bound): Record<string, string> {
  return Object.fromEntries(entriesOf(bound).map(({ name, value }) => [name, value]));
}

/** The same, with the longest that CloudFormation may put in the place of what is not known yet. */
export function longestBindingsOf(bound: Bound): Record<string, string> {
  return Object.fromEntries(
    entriesOf(bound).map(({ name, value, longest }) => [name, Token.isUnresolved(value) ? "x".repeat(longest) : value]),
  );
}

function entriesOf(bound: Bound) {
  const ofProp = <P extends BindingProp>(prop: P) => {
    const { nameOf, longest } = bindable[prop] as { nameOf(thing: Thing<P>): string | undefined; readonly longest: number };
    return Object.entries(bound[prop] ?? {}).flatMap(([name, thing]) => {
      const value = nameOf(thing as Thing<P>);
      return value === undefined ? [] : [{ name, value, longest }];
    });
  };
  return props.flatMap(ofProp);
}

/** Throws `invalid` where nothing is bound there; says where else it is, if it is. */
export function boundTo<P extends BindingProp>(bound: Bound, prop: P, place: Place): Thing<P> {
  const found = ifBoundTo(bound, prop, place);
  if (found !== undefined) return found;
  const { uid, name } = place;
  const other = props.find((from) => ifBoundTo(bound, from, place) !== undefined);
  const { one } = bindable[prop];
  const hint = other === undefined ? "" : ` (${other} has this name, but ${one} is meant)`;
  throw new MillraceError(
    "invalid",
    `operator ${uid} needs ${one} that is not bound${hint}, add ${prop}: { ${JSON.stringify(name)}: … }`,
    { context: { operator: uid } },
  );
}

/** Undefined where nothing is bound there. */
export function ifBoundTo<P extends BindingProp>(bound: Bound, prop: P, { uid, name, part }: Place): Thing<P> | undefined {
  // The uid of a source of several parts stands for the last.
  return ((part === "inner" ? undefined : bound[prop]?.[uid]) ?? bound[prop]?.[name]) as Thing<P> | undefined;
}

/** Throws `invalid` for what is bound and not in the job, and for a name that is bound twice. */
export function checkBound(bound: Bound, places: readonly Omit<Place, "stage">[]): void {
  const names = props.flatMap((prop) => Object.keys(bound[prop] ?? {}));
  const unknown = names.find((name) => !places.some((place) => place.uid === name || place.name === name));
  if (unknown !== undefined) {
    const known = places.map(({ uid, name }) => (uid === name ? uid : `${name} (${uid})`)).join(", ");
    throw new MillraceError("invalid", `nothing in the job is called so; there are: ${known}: ${unknown}`);
  }
  const twice = names.find((name, n) => names.indexOf(name) < n);
  if (twice === undefined) return;
  const kinds = props.map((prop) => bindable[prop].one).join(", ");
  throw new MillraceError("invalid", `a name stands for one of ${kinds}, not for two: bind by the operators' uids: ${twice}`);
}
