/**
 * What stands between stored state and a plan that is to take it over: decided before anything is deployed or read.
 *
 * K1 State is found by operator uid and state name, so only these and the shape under them matter, not how stages are cut.
 * K2 Nothing that is stored is dropped unless the author allows it (`allowSkippedState`, Flink's allowNonRestoredState).
 */
import type { LogicalGraph, OperatorSpec } from "../api/graph.ts";
import { allStatesOf, isKeyed, operatorStatesOf } from "../api/operator-states.ts";
import { isOperatorScoped } from "../api/operator-scoped-state.ts";
import { hashOf } from "./plan-stages.ts";
import type { KeyHash, StateSchema } from "./job-graph.ts";
import { stateSchema } from "./state-schema.ts";

/** What an operator stores: what a manifest says of it. A source stores positions. */
export interface OperatorSchema {
  readonly uid: string;
  readonly kind: string;
  /** How its keys are spread over key groups; undefined without keys. */
  readonly hash: KeyHash | undefined;
  readonly states: readonly StateSchema[];
}

/** The same of the code that is to take it over. */
export interface PlannedOperatorSchema extends OperatorSchema {
  readonly states: readonly (StateSchema & { /** It can make its value of an older version's. */ readonly migrates: boolean })[];
}

export type SchemaDifference = {
  readonly operator: string;
  /** The state cannot be taken over. */
  readonly fatal: boolean;
} & (
  | { readonly difference: "operatorRemoved" }
  | { readonly difference: "operatorKindChanged" | "keyHashChanged"; readonly stored: string; readonly planned: string }
  | { readonly difference: "stateRemoved"; readonly state: string }
  | { readonly difference: "stateKindChanged"; readonly state: string; readonly stored: string; readonly planned: string }
  /** Newer: written by later code. Older: and the code has no `migrate`. */
  | {
      readonly difference: "versionNewer" | "versionOlder";
      readonly state: string;
      readonly stored: number;
      readonly planned: number;
    }
);

/** What a job's operators store, in the order of the graph. */
export function schemasOf({ nodes }: LogicalGraph): readonly PlannedOperatorSchema[] {
  return nodes
    .filter(({ spec }) => spec.kind === "source" || isKeyed(spec) || operatorStatesOf(spec).size > 0)
    .map((node) => ({
      uid: node.uid,
      kind: kindOf(node.spec),
      hash: hashOf(node),
      states: allStatesOf(node.spec).map(([name, declaration]) => ({
        ...stateSchema([name, declaration]),
        migrates: !!declaration.migrate,
      })),
    }));
}

/** With a source's connector: positions of one mean nothing to another. */
function kindOf(spec: OperatorSpec): string {
  return spec.kind === "source" ? `source(${spec.source.kind})` : spec.kind;
}

/** Every difference that matters to stored state, in its order. None fatal: the plan can take the state over. */
export function compareSchemas(
  stored: readonly OperatorSchema[],
  planned: readonly PlannedOperatorSchema[],
  options: { readonly allowSkippedState?: boolean } = {},
): readonly SchemaDifference[] {
  const skippingIsFatal = !options.allowSkippedState;
  const byUid = new Map(planned.map((schema) => [schema.uid, schema]));
  return stored.flatMap((old) => {
    const now = byUid.get(old.uid);
    return now ? compareOperator(old, now, skippingIsFatal) : [removed(old, skippingIsFatal)];
  });
}

function removed({ uid }: OperatorSchema, fatal: boolean): SchemaDifference {
  return { operator: uid, fatal, difference: "operatorRemoved" };
}

function compareOperator(old: OperatorSchema, now: PlannedOperatorSchema, skippingIsFatal: boolean): SchemaDifference[] {
  const operator = old.uid;
  if (old.kind !== now.kind)
    return [{ operator, fatal: true, difference: "operatorKindChanged", stored: old.kind, planned: now.kind }];
  if (old.hash !== now.hash)
    return [{ operator, fatal: true, difference: "keyHashChanged", stored: old.hash ?? "none", planned: now.hash ?? "none" }];
  const byName = new Map(now.states.map((state) => [nameOf(state), state]));
  return old.states.flatMap((state) => compareState(operator, state, byName.get(nameOf(state)), skippingIsFatal));
}

/** Keyed state and state outside keys may be of the same name. */
function nameOf({ kind, name }: StateSchema): string {
  return isOperatorScoped(kind) ? `${name}:operator` : name;
}

function compareState(
  operator: string,
  old: StateSchema,
  now: PlannedOperatorSchema["states"][number] | undefined,
  skippingIsFatal: boolean,
): SchemaDifference[] {
  const state = old.name;
  if (!now) return [{ operator, fatal: skippingIsFatal, difference: "stateRemoved", state }];
  if (old.kind !== now.kind)
    return [{ operator, fatal: true, difference: "stateKindChanged", state, stored: old.kind, planned: now.kind }];
  const versions = { state, stored: old.version, planned: now.version };
  if (old.version > now.version) return [{ operator, fatal: true, difference: "versionNewer", ...versions }];
  if (old.version < now.version && !now.migrates) return [{ operator, fatal: true, difference: "versionOlder", ...versions }];
  return [];
}

/** A difference in words: what differs, with both sides, and what can be done. */
export function describeDifference(difference: SchemaDifference): string {
  const { difference: what, operator, fatal: _fatal, ...values } = difference;
  const words = what.replace(/([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`);
  const shown = Object.entries(values).map(([name, value]) => `${name} ${String(value)}`);
  return `operator ${operator}: ${[words, ...shown].join(", ")} (${remedies[what]})`;
}

const remedies: Readonly<Record<SchemaDifference["difference"], string>> = {
  operatorRemoved: "keep it, or leave its state behind with allowSkippedState",
  operatorKindChanged: "give the new operator a uid of its own",
  keyHashChanged: "give the new operator a uid of its own",
  stateRemoved: "keep it, or leave it behind with allowSkippedState",
  stateKindChanged: "give the new state a name of its own",
  versionNewer: "run the code that stored it, or newer",
  versionOlder: "give it a migrate function",
};
