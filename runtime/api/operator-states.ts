/** Which states each kind of operator keeps, by stored name: read by the plan (schemas) and by the operators (slots). */
import type { BroadcastSide, OperatorSpec, WindowSpec } from "./graph.ts";
import { broadcastStates } from "./operator-scoped-state.ts";
import { sharesSlices } from "./shared-slices.ts";
import { reducing, type StateDeclaration } from "./state.ts";
import type { TriggerSpec } from "./triggers.ts";

/** Names that the window operator stores beside the author's own, which carry a prefix. */
export const windowStates = {
  contents: "contents",
  /** The contents where an evictor needs the records themselves, with their timestamps. */
  elements: "elements",
  /** The contents of slices by their starts, where windows share them. */
  slices: "slices",
  /** The contents of windows that failed when they fired, until they are given back; as the contents are kept. */
  owed: "owed",
  triggerPrefix: "trigger.",
  keyPrefix: "key.",
  windowPrefix: "window.",
} as const;
export const reduceState = "reduced";
export const aggregateState = "accumulator";

/** The declared states of an operator in a fixed order: the order is that of the stored state indexes. */
export function statesOf(spec: OperatorSpec): ReadonlyMap<string, StateDeclaration> {
  switch (spec.kind) {
    case "keyedProcess":
    case "keyedCoProcess":
    case "keyedBroadcastProcess":
      return new Map(Object.entries((spec.fn.state ?? {}) as Record<string, StateDeclaration>));
    case "reduce":
      return new Map([[reduceState, spec.state]]);
    case "aggregate":
      return new Map([[aggregateState, spec.state]]);
    case "window":
      return windowStatesOf(spec);
    default:
      return new Map();
  }
}

function keepsOfWindows({ windowState }: { readonly windowState?: object }): boolean {
  return Object.keys(windowState ?? {}).length > 0;
}

/** The declared states of an operator that belong to its tasks, not to keys; in a fixed order as well. */
export function operatorStatesOf(spec: OperatorSpec): ReadonlyMap<string, StateDeclaration> {
  if (spec.kind === "broadcastProcess" || spec.kind === "keyedBroadcastProcess")
    return broadcastStates(spec.broadcastStates, broadcastPrefix(spec));
  if (spec.kind === "process" || spec.kind === "coProcess")
    return new Map(Object.entries((spec.fn.operatorState ?? {}) as Record<string, StateDeclaration>));
  return new Map();
}

/** The states of a broadcast are stored under its uid. */
export function broadcastPrefix({ broadcast }: BroadcastSide): string {
  return `${broadcast}.`;
}

/** All that an operator stores: keyed state, then what belongs to its tasks. Names of the two may be the same, kinds are not. */
export function allStatesOf(spec: OperatorSpec): readonly (readonly [name: string, declaration: StateDeclaration])[] {
  return [...statesOf(spec), ...operatorStatesOf(spec)];
}

function windowStatesOf(spec: OperatorSpec & { kind: "window" }): Map<string, StateDeclaration> {
  const contents = contentsState(spec);
  // All windows have the second, though not all put something there: whether they do may change from one version of a job to the next.
  const states = new Map<string, StateDeclaration>([
    [contentsName(spec), contents],
    [windowStates.owed, contents],
  ]);
  for (const [name, declared] of triggerStates(spec.trigger)) states.set(windowStates.triggerPrefix + name, declared);
  if (spec.result.kind === "process") {
    const { state = {}, windowState = {} } = spec.result.fn;
    for (const [name, declared] of Object.entries(state)) states.set(windowStates.keyPrefix + name, declared as StateDeclaration);
    for (const [name, declared] of Object.entries(windowState))
      states.set(windowStates.windowPrefix + name, declared as StateDeclaration);
  }
  return states;
}

/** The name under which windows keep their contents: it tells how. */
export function contentsName(spec: WindowSpec): string {
  if (spec.evictor !== undefined) return windowStates.elements;
  return sharesSlices(spec) ? windowStates.slices : windowStates.contents;
}

/**
 * How long an operator's windows stay after they have fired without a timer that says so (Cell C2): where nothing is to be done when one
 * is over but to forget it. 0: there is only what was stored when they stayed longer. Infinity: it has timers for that. Their contents
 * are its first state.
 */
export function retentionOf(spec: OperatorSpec): number {
  if (spec.kind !== "window" || sharesSlices(spec)) return Infinity;
  const { assigner, trigger, result } = spec;
  if (assigner.time !== "event" || assigner.kind === "session" || trigger.kind !== "eventTime") return Infinity;
  const tells = result.kind === "process" && (result.fn.onClear !== undefined || keepsOfWindows(result.fn));
  return tells ? Infinity : spec.allowedLateness;
}

/** What a trigger keeps of each window, by name. Of one inside a time-out the names have a prefix. */
export const triggerState = { count: "count", next: "next", last: "last", timeOut: "timeOut", innerPrefix: "inner." } as const;

type NamedState = [name: string, declared: StateDeclaration];

function triggerStates(spec: TriggerSpec): NamedState[] {
  const value = (name: string): NamedState => [name, { kind: "value", version: 0 }];
  switch (spec.kind) {
    case "count":
      return [[triggerState.count, reducing<number>((a, b) => a + b)]];
    case "continuousEventTime":
    case "continuousProcessingTime":
      return [[triggerState.next, reducing<number>((a, b) => Math.min(a, b))]];
    case "delta":
      return [value(triggerState.last)];
    case "purging":
      return triggerStates(spec.inner);
    case "timeOut": {
      const inner = triggerStates(spec.inner).map(([name, declared]): NamedState => [triggerState.innerPrefix + name, declared]);
      return [value(triggerState.timeOut), ...inner];
    }
    case "custom":
      return Object.entries((spec.trigger.state ?? {}) as Record<string, StateDeclaration>);
    default:
      return [];
  }
}

function contentsState(spec: WindowSpec): StateDeclaration {
  const { contents, evictor } = spec;
  if (contents.kind === "list" || evictor !== undefined) return { kind: "list", version: 0 };
  if (contents.kind === "reduce") return { kind: "value", version: 0 };
  const { aggregator } = contents;
  const { version = 0, migrate, schema } = aggregator;
  const kind = sharesSlices(spec) ? "slices" : "value";
  return { kind, version, migrate: migrate?.bind(aggregator), initial: () => aggregator.create(), ...(schema && { schema }) };
}

/** True when the operator keeps state or timers by key. */
export function isKeyed(spec: OperatorSpec): boolean {
  return keyedKinds.has(spec.kind);
}

const keyedKinds: ReadonlySet<OperatorSpec["kind"]> = new Set([
  "keyedProcess",
  "keyedCoProcess",
  "keyedBroadcastProcess",
  "reduce",
  "aggregate",
  "window",
]);
