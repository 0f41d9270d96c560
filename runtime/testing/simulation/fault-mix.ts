/** Faults as data: how likely each is where it can happen, and how often each did. */
import { MillraceError } from "../../base/errors.ts";

/** Probabilities, each per occasion. */
export interface FaultMix {
  // Per port call.
  /** The process dies; the call had no effect. */
  readonly crashBefore: number;
  /** The process dies; the call had its effect. */
  readonly crashAfter: number;
  /** `unavailable`, without effect. */
  readonly refused: number;
  /** `unavailable`, although the effect took place. */
  readonly lostResponse: number;
  /** The process freezes before the effect, and goes on long after others have taken over. */
  readonly zombieBefore: number;
  /** The same with the effect done. */
  readonly zombieAfter: number;
  /** The effect took place, the response is slow. */
  readonly slow: number;
  /** Of a read of a ring: part of it is read before, part after what happens meanwhile. */
  readonly tornRead: number;
  /** Of a read that would bring records: it brings none, and says that there are some. */
  readonly emptyRead: number;
  /** Per record appended. */
  readonly throttled: number;
  /** Per frame appended: it lands in another shard than its hash key's, as in a stream that somebody is resharding. */
  readonly astray: number;
  /** Of an entry that was written, in worlds that are frail: the process dies before any of its effects. */
  readonly commitOnly: number;
  /** Of a write to the outside: it takes place again, long after others. */
  readonly echo: number;
  /** Of a record: whoever takes it in dies, until it is put aside. */
  readonly poison: number;
  /** Of a process: its clock is wrong. */
  readonly skew: number;
  // Per delivery.
  /** A batch is delivered again after it succeeded. */
  readonly duplicate: number;
  /** A batch is given to two environments at once. */
  readonly twin: number;
  /** An environment of an older deployment is rung. */
  readonly oldEnvironment: number;
}

export type Fault = keyof FaultMix;
export type FaultCounts = Record<Fault, number>;

/** The one mix in which every rule is shown to matter. */
export const commonFaults: FaultMix = {
  crashBefore: 0.004,
  crashAfter: 0.006,
  refused: 0.004,
  lostResponse: 0.008,
  zombieBefore: 0.01,
  zombieAfter: 0.004,
  slow: 0.1,
  tornRead: 0.1,
  emptyRead: 0.08,
  throttled: 0.03,
  astray: 0.004,
  commitOnly: 0.2,
  echo: 0.08,
  poison: 0.004,
  skew: 0.3,
  duplicate: 0.15,
  twin: 0.16,
  oldEnvironment: 0.1,
};

export const noFaults: FaultMix = {
  crashBefore: 0,
  crashAfter: 0,
  refused: 0,
  lostResponse: 0,
  zombieBefore: 0,
  zombieAfter: 0,
  slow: 0,
  tornRead: 0,
  emptyRead: 0,
  throttled: 0,
  astray: 0,
  commitOnly: 0,
  echo: 0,
  poison: 0,
  skew: 0,
  duplicate: 0,
  twin: 0,
  oldEnvironment: 0,
};

export const faultNames = Object.keys(noFaults) as readonly Fault[];

export function noCounts(): FaultCounts {
  return { ...noFaults };
}

/** Faults by what an author calls them; each fault's own name stands for itself as well. */
const groups: Readonly<Record<string, readonly Fault[]>> = {
  crash: ["crashBefore", "crashAfter", "commitOnly"],
  lost: ["lostResponse"],
  zombie: ["zombieBefore", "zombieAfter"],
};

/** What `mixOf` takes. */
export const faultKinds: readonly string[] = [...Object.keys(groups), ...faultNames];

/** The mix without any faults but those named, as likely as they are there. Throws `invalid` for a name that there is not. */
export function mixOf(kinds: readonly string[], mix: FaultMix = commonFaults): FaultMix {
  const named = new Set(kinds.flatMap((kind): readonly string[] => groups[kind] ?? [kind]));
  const unknown = [...named].find((kind) => !(faultNames as readonly string[]).includes(kind));
  if (unknown !== undefined)
    throw new MillraceError("invalid", `there is no such fault: ${unknown}: choose of ${faultKinds.join(", ")}`);
  return { ...noFaults, ...Object.fromEntries(Object.entries(mix).filter(([fault]) => named.has(fault))) };
}
