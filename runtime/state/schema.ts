/**
 * The states of an operator as stored and as declared today, and the way from one to the other.
 *
 * S1 Stored state is addressed by name: an index in stored bytes means the place in the schema stored beside them.
 */
import type { StateDeclaration } from "../api/state.ts";
import { MillraceError, messageOf } from "../base/errors.ts";
import type { Timed } from "./ttl.ts";

export interface StoredState {
  readonly name: string;
  readonly kind: string;
  readonly version: number;
  /** Its contents carry the time at which they were written. */
  readonly ttl?: true;
}
/** An operator's states in the order of their stored indexes. */
export type OperatorSchema = readonly StoredState[];

export function schemaOf(states: ReadonlyMap<string, StateDeclaration>): OperatorSchema {
  return [...states].map(([name, { kind, version, ttl }]) => ({ name, kind, version, ...(ttl && { ttl: true }) }));
}

/** Text that is the same exactly for the same schema. */
export function schemaText(schema: OperatorSchema): string {
  return schema.map(({ name, kind, version, ttl }) => `${name}:${kind}:${version}${ttl ? ":ttl" : ""}`).join(",");
}

export function parseSchema(text: string): OperatorSchema {
  if (text === "") return [];
  return text.split(",").map((part) => {
    const [name = "", kind = "", version = "0", ttl] = part.split(":");
    return { name, kind, version: Number(version), ...(ttl === "ttl" && { ttl: true }) };
  });
}

/** Where the states of stored bytes are now. `undefined` at an index: the state was removed, its contents are left out. */
export interface SchemaMapping {
  readonly index: readonly (number | undefined)[];
  readonly migrate: readonly (((value: any) => any) | undefined)[];
}

/**
 * How bytes written under `stored` are read today. What was stored without ttl and has one now counts as written at `since`; what had
 * one and has none any more is taken as it lies, expired or not. Throws `invalid` when a kind has changed, the stored version is newer than the
 * code, or an older one has no `migrate`. Removed states were accepted (or not) when the job was restored.
 */
export function mapSchema(
  operator: string,
  stored: OperatorSchema,
  states: ReadonlyMap<string, StateDeclaration>,
  since: number,
): SchemaMapping {
  const names = [...states.keys()];
  const index: (number | undefined)[] = [];
  const migrate: (((value: any) => any) | undefined)[] = [];
  for (const state of stored) {
    const declared = states.get(state.name);
    index.push(declared === undefined ? undefined : names.indexOf(state.name));
    migrate.push(declared === undefined ? undefined : conversion(operator, state, declared, since));
  }
  return { index, migrate };
}

/** From what was stored to what is kept today: the value migrated, in the form with or without a time. */
function conversion(
  operator: string,
  stored: StoredState,
  declared: StateDeclaration,
  since: number,
): ((value: any) => any) | undefined {
  const migrate = migration(operator, stored, declared);
  if (stored.ttl) {
    const timed = migrate && (([writtenAt, value]: Timed): Timed => [writtenAt, migrate(value)]);
    return declared.ttl ? timed : ([, value]: Timed) => (migrate ? migrate(value) : value);
  }
  return declared.ttl ? (value: any): Timed => [since, migrate ? migrate(value) : value] : migrate;
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
  return (value) => {
    try {
      return migrate(value, stored.version);
    } catch (error) {
      throw new MillraceError(
        "user",
        `migrate of state ${stored.name} of operator ${operator} threw on a value of version ${stored.version}, declared ${declared.version}: ${messageOf(error)}`,
        { cause: error, ...context },
      );
    }
  };
}
