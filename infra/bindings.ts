/**
 * What a deployment binds the job's logical names to: a prop for each kind of thing, and in it a CDK object by the name, or the uid, of a
 * source or sink. Another kind is another prop, and a line of `bindable`.
 */
import { MillraceError } from "../runtime/base/errors.ts";
import type { Place } from "./connector.ts";
import type { StreamJobProps } from "./stream-job-props.ts";

/** By prop: what functions are told of what is bound there, and what an error calls it. */
const bindable = {
  streams: { nameOf: ({ streamName }: Thing<"streams">) => streamName, one: "a stream" },
  tables: { nameOf: ({ tableName }: Thing<"tables">) => tableName, one: "a table" },
  buckets: { nameOf: ({ bucketName }: Thing<"buckets">) => bucketName, one: "a bucket" },
} as const;

export type BindingProp = keyof typeof bindable;
export type Bound = Pick<StreamJobProps, "streams" | "tables" | "buckets">;
type Thing<P extends keyof Bound> = NonNullable<Bound[P]>[string];

const props = Object.keys(bindable) as BindingProp[];

/** What functions are told: logical name or uid, and the name here. */
export function bindingsOf(bound: Bound): Record<string, string> {
  const ofProp = <P extends BindingProp>(prop: P) => {
    const { nameOf } = bindable[prop] as { nameOf(thing: Thing<P>): string };
    return Object.entries(bound[prop] ?? {}).map(([name, thing]) => [name, nameOf(thing as Thing<P>)] as const);
  };
  return Object.fromEntries(props.flatMap(ofProp));
}

/** Throws `invalid` where nothing is bound there; says where else it is, if it is. */
export function boundTo<P extends BindingProp>(bound: Bound, prop: P, { uid, name }: Place): Thing<P> {
  const at = (from: BindingProp) => bound[from]?.[uid] ?? bound[from]?.[name];
  const found = at(prop);
  if (found !== undefined) return found as Thing<P>;
  const other = props.find((from) => at(from) !== undefined);
  const { one } = bindable[prop];
  const hint = other === undefined ? "" : ` (${other} has this name, but ${one} is meant)`;
  throw new MillraceError(
    "invalid",
    `operator ${uid} needs ${one} that is not bound${hint}, add ${prop}: { ${JSON.stringify(name)}: … }`,
    { context: { operator: uid } },
  );
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
