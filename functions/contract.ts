/**
 * Every name that the functions share with what deploys and emulates them: environment variables, payloads, handlers. Plain data: the
 * deployment writes what the functions read, from this one file.
 *
 * N1 A payload has a version; one of another version, or that is not whole, is refused by name and followed in no part.
 * N2 Environment variables may have 4 KB together: names of functions and streams stand in them, nothing of the job's own size.
 */
import { MillraceError } from "../runtime/base/errors.ts";
import { id, type BlobName, type TaskId } from "../runtime/base/ids.ts";
import type { Order } from "../runtime/snapshots/decide-order.ts";

/** The environment variables of the functions. */
export const variable = {
  /** The table of rings, mailboxes and pages. */
  stateTable: "MILLRACE_STATE_TABLE",
  /** The bucket of segments, payloads and manifests. */
  stateBucket: "MILLRACE_STATE_BUCKET",
  /** Where dead letters go, under `deadLetterPrefix`; default: the state bucket. */
  deadLetterBucket: "MILLRACE_DEAD_LETTER_BUCKET",
  /** The deployment's ordinal, rising with each (R9, L4). */
  deployment: "MILLRACE_DEPLOYMENT",
  /** JSON {logical name or uid: name}: what streams, tables and buckets of the job's connectors are called here. */
  bindings: "MILLRACE_BINDINGS",
  /** JSON {stage: [stream, one per cell]}: the inbox streams. */
  inboxes: "MILLRACE_INBOXES",
  /** Of the coordinator: JSON {stage: [function, one per cell]}; of a stage that reads sources there is one. */
  taskFunctions: "MILLRACE_TASK_FUNCTIONS",
  /** Of a task function: the stage and the number of the cell that it serves, for logs and metrics. */
  stage: "MILLRACE_STAGE",
  cell: "MILLRACE_CELL",
} as const;

/** What a bundle exports, as Lambda names it: `<file>.<export>`. */
export const handlerName = "index.handler";

/** By its handler's module in this folder. */
export type FunctionKind = "task" | "coordinator" | "check";

const creators: Readonly<Record<FunctionKind, string>> = {
  task: "createTaskHandler",
  coordinator: "createCoordinatorHandler",
  check: "createCheckHandler",
};

/**
 * The module that a function's bundle, `index.mjs`, is made of. `job` and `functions` are what it imports: the author's job module, and this
 * folder, whose modules end with `extension`. `parameters` are the job's, as JSON; the function's environment may have others
 * (runtime/api/environment-parameters.ts).
 */
export function entryOf(
  kind: FunctionKind,
  job: string,
  functions: string,
  {
    extension = ".ts",
    parameters = {},
  }: { readonly extension?: string; readonly parameters?: Readonly<Record<string, unknown>> } = {},
): string {
  const create = creators[kind];
  const from = JSON.stringify(`${functions}/${kind}${extension}`);
  const given = Object.keys(parameters).length === 0 ? "job" : `job.withParameters(${JSON.stringify(parameters)})`;
  return `import job from ${JSON.stringify(job)};\nimport { ${create} } from ${from};\nexport const handler = ${create}(${given});\n`;
}

/** Where a job's inbox of a stage is unless `inboxes` says otherwise. */
export function defaultInbox(job: string, stage: string): string {
  return `${job}-inbox-${stage}`;
}

/** What the keys of dead letters begin with. Apart from the job's state: they are for people, and nothing of the job deletes them. */
export function deadLetterPrefix(job: string): string {
  return `dead-letters/${job}/`;
}

/** What a function is set up with. */
export interface Settings {
  readonly stateTable: string;
  readonly stateBucket: string;
  readonly deadLetterBucket: string;
  readonly deployment: number;
  readonly bindings: Readonly<Record<string, string>>;
  readonly inboxes: Readonly<Record<string, readonly string[]>>;
  readonly taskFunctions: Readonly<Record<string, readonly string[]>>;
  readonly stage: string;
  readonly cell: number;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** The settings of the process. Throws `invalid`, naming the variable. */
export function readSettings(variables: Variables): Settings {
  return {
    stateTable: textOf(variables, variable.stateTable),
    stateBucket: textOf(variables, variable.stateBucket),
    deadLetterBucket: textOf(
      { [variable.deadLetterBucket]: variables[variable.stateBucket], ...variables },
      variable.deadLetterBucket,
    ),
    deployment: countOf(variables, variable.deployment, 1),
    bindings: namesOf(variables, variable.bindings, isText, "a name"),
    inboxes: namesOf(variables, variable.inboxes, isTexts, "a list of streams"),
    taskFunctions: namesOf(variables, variable.taskFunctions, isTexts, "a list of functions"),
    stage: variables[variable.stage] ?? "",
    cell: countOf(variables, variable.cell, 0),
  };
}

/** What the deployment sets; the counterpart of `readSettings`. */
export function writeSettings(settings: Settings): Record<string, string> {
  return {
    [variable.stateTable]: settings.stateTable,
    [variable.stateBucket]: settings.stateBucket,
    [variable.deadLetterBucket]: settings.deadLetterBucket,
    [variable.deployment]: String(settings.deployment),
    [variable.bindings]: JSON.stringify(settings.bindings),
    [variable.inboxes]: JSON.stringify(settings.inboxes),
    [variable.taskFunctions]: JSON.stringify(settings.taskFunctions),
    [variable.stage]: settings.stage,
    [variable.cell]: String(settings.cell),
  };
}

function textOf(variables: Variables, name: string): string {
  const text = variables[name];
  if (text === undefined || text === "") throw unset(name, "is not set");
  return text;
}

function countOf(variables: Variables, name: string, least: number): number {
  const text = variables[name] ?? String(least);
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count < least)
    throw unset(name, `must be a whole number from ${least} on: ${text}`);
  return count;
}

function namesOf<T>(
  variables: Variables,
  name: string,
  isValue: (value: unknown) => value is T,
  what: string,
): Record<string, T> {
  const text = variables[name];
  if (text === undefined || text === "") return {};
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw unset(name, "is not JSON");
  }
  if (!isRecord(parsed)) throw unset(name, "must be a JSON object");
  const wrong = Object.entries(parsed).find(([, value]) => !isValue(value));
  if (wrong !== undefined) throw unset(name, `must have ${what} for each key: ${wrong[0]}`);
  return parsed as Record<string, T>;
}

function unset(name: string, what: string): MillraceError {
  return new MillraceError("invalid", `the function's environment variable ${name} ${what}`, { context: { variable: name } });
}

// ---- payloads ----

export const payloadVersion = 1;

/** To a task function: "something may have to be done for these tasks". */
export interface Poke {
  readonly version: typeof payloadVersion;
  readonly kind: "poke";
  readonly tasks: readonly TaskId[];
}

export function pokeOf(tasks: readonly TaskId[]): Poke {
  return { version: payloadVersion, kind: "poke", tasks };
}

/** Undefined: the event is no poke but something else's. Throws `invalid` for a poke that this code does not know. */
export function decodePoke(event: unknown): Poke | undefined {
  if (!isRecord(event) || event.kind !== "poke") return undefined;
  const { tasks } = checkVersion(event, "poke");
  if (!isTexts(tasks)) throw refused("poke", "its `tasks` are not a list of task ids");
  return pokeOf(tasks.map((task) => id<TaskId>(task)));
}

/** To the coordinator: look at the job, as the schedule says, follow an order, or say what the job is called and where it keeps its data. */
export type CoordinatorCommand = { readonly version: typeof payloadVersion } & (
  { readonly kind: "look" } | { readonly kind: "describe" } | Order
);
export type DescribeCommand = Extract<CoordinatorCommand, { kind: "describe" }>;

/** What `describe` is answered with, whatever state the job is in: all that a tool needs to find it. */
export interface JobDescription extends Pick<
  Settings,
  "stateTable" | "stateBucket" | "deadLetterBucket" | "deployment" | "bindings" | "inboxes" | "taskFunctions"
> {
  readonly version: typeof payloadVersion;
  readonly job: string;
}

export const describeCommand: DescribeCommand = { version: payloadVersion, kind: "describe" };

/** What the schedule sends. */
export const lookCommand: CoordinatorCommand = { version: payloadVersion, kind: "look" };

/** Throws `invalid` for what is no command of this version. An order needs an `id`: it may come twice. */
export function decodeCommand(event: unknown): CoordinatorCommand {
  if (!isRecord(event)) throw refused("command", "it is not an object");
  const { kind, id: name, manifest } = checkVersion(event, "command");
  if (kind === "look") return lookCommand;
  if (kind === "describe") return describeCommand;
  if (kind !== "savepoint" && kind !== "stop" && kind !== "pause" && kind !== "resume" && kind !== "restore")
    throw refused("command", `its kind is none of look, describe, savepoint, stop, pause, resume, restore: ${String(kind)}`);
  if (!isText(name) || name === "") throw refused("command", `an order needs an id of its own: ${kind}`);
  if (kind !== "restore") return { version: payloadVersion, kind, id: name };
  if (manifest !== undefined && !isText(manifest)) throw refused("command", "its manifest is not a name");
  return { version: payloadVersion, kind, id: name, manifest: manifest === undefined ? undefined : id<BlobName>(manifest) };
}

// ---- the start-up check ----

/** The custom resource whose making is the check: what depends on it is made, or changed, once the check has passed. */
export const startCheckType = "Custom::MillraceStartCheck";

/** What the resource says beside what the check's function is set up with. CloudFormation hands over texts alone. */
export interface StartCheckProperties {
  /** The deployment's ordinal: with each deployment it is another, so each is checked. */
  readonly Deployment: string;
  /** Of each task function; absent: none is reserved. */
  readonly ReservedConcurrency?: string;
  /** ARNs of the keys that the job's roles may use. */
  readonly Keys: readonly string[];
}

function checkVersion(payload: Record<string, unknown>, what: string): Record<string, unknown> {
  if (payload.version === payloadVersion) return payload;
  throw refused(what, `it is of version ${String(payload.version)}, this code knows ${payloadVersion}`);
}

function refused(what: string, why: string): MillraceError {
  return new MillraceError("invalid", `the ${what} is refused: ${why}`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every(isText);
}
