/**
 * The states of an operator as stored and as declared today, and the way from one to the other.
 *
 * S1 Stored state is addressed by name: an index in stored bytes means the place in the schema stored beside them.
 */
import type { StateDeclaration } from "../api/state.ts";
import { MillraceError } from "../base/errors.ts";

export interface StoredState {
  readonly name: string;
  readonly kind: string;
  readonly version: number;
}
/** An operator's states in the order of their stored indexes. */
export type OperatorSchema = readonly StoredState[];

export function schemaOf(states: ReadonlyMap<string, StateDeclaration>): OperatorSchema {
  return [...states].map(([name, { kind, version }]) => ({ name, kind, version }));
}

/** Text that is the same exactly for the same schema. */
export function schemaText(schema: OperatorSchema): string {
  return schema.map(({ name, kind, version }) => `${name}:${kind}:${version}`).join(",");
}

export function parseSchema(text: string): OperatorSchema {
  if (text === "") return [];
  return text.split(",").map((part) => {
    const [name = "", kind = "", version = "0"] = part.split(":");
    return { name, kind, version: Number(version) };
  });
}

/** Where the states of stored bytes are now. `undefined` at an index: the state was removed, its contents are left out. */
export interface SchemaMapping {
  readonly index: readonly (number | undefined)[];
  readonly migrate: readonly (((value: any) => any) | undefined)[];
}

/**
 * How bytes written under `stored` are read today. Throws `invalid` when a kind has changed, the stored version is newer than the
 * code, or an older one has no `migrate`. Removed states were accepted (or not) when the job was restored.
 */
export function mapSchema(
  operator: string,
  stored: OperatorSchema,
  states: ReadonlyMap<string, StateDeclaration>,
): SchemaMapping {
  const names = [...states.keys()];
  const index: (number | undefined)[] = [];
  const migrate: (((value: any) => any) | undefined)[] = [];
  for (const state of stored) {
    const declared = states.get(state.name);
    index.push(declared === undefined ? undefined : names.indexOf(state.name));
    migrate.push(declared === undefined ? undefined : migration(operator, state, declared));
  }
  return { index, migrate };
}

function migration(operator: string, stored: StoredState, declared: StateDeclaration): ((value: any) => any) | undefined {
  const context = { context: { operator } };
  if (stored.kind !== declared.kind)
    throw new MillraceError(
      "invalid",
      `state ${stored.name} of operator ${operator} is stored as a ${stored.kind} and declared as a ${declared.kind}: give it a new name`,
      context,
    );
  if (stored.version === declared.version) return undefined;
  if (stored.version > declared.version)
    throw new MillraceError(
      "invalid",
      `state ${stored.name} of operator ${operator} was stored by newer code: version ${stored.version}, declared ${declared.version}`,
      context,
    );
  const { migrate } = declared;
  if (migrate === undefined)
    throw new MillraceError(
      "invalid",
      `state ${stored.name} of operator ${operator} needs migrate: stored version ${stored.version}, declared ${declared.version}`,
      context,
    );
  return (value) => migrate(value, stored.version);
}
